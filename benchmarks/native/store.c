/* A mail store that costs next to nothing: IMAP, POP3 and SMTP submission on loopback.
 *
 *     store NUMBER IMAP-PORT POP3-PORT SMTP-PORT
 *
 * Store 1 holds the accounts with an even number, store 2 the odd ones, store 0 all; an account
 * of another store and a wrong password are refused.  So a login that succeeds has reached the
 * right store with its own name and password.  The replies to NOOP, LOGOUT and QUIT tell the store
 * and the account, so that a client knows whom it is joined to.
 *
 * IMAP also has FETCH COUNT (COUNT octets of the text in wire.h), APPEND (the octets are compared
 * with the text) and, before the login too, XCOUNT (what was counted).  One thread, no disk. */
#include "wire.h"

#define INPUT_ROOM 4096
#define REPLY_ROOM 16384
#define LITERAL_LIMIT 1024
#define CAPABILITIES "IMAP4rev1 SASL-IR LITERAL+ ID AUTH=PLAIN"
#define LOGGED_IN "IMAP4rev1 LITERAL+ ID IDLE NAMESPACE"

struct connection {
    int fd;
    enum protocol protocol;
    int listens, authenticated, awaits_response, leaving, gone, polls_out;
    char tag[40], name[64];
    char input[INPUT_ROOM];
    size_t input_length, literal_invited;
    uint64_t to_send, send_offset;  /* of a FETCH under way */
    uint64_t to_take, take_offset;  /* of an APPEND under way */
};

static struct {
    unsigned long long logins, refusals, connections, open, sent, taken, spoilt, stuck;
} counted;
static int store_number, poller;
static char reply[REPLY_ROOM], arrived[1 << 18];
static size_t reply_length;

/* -- writing -------------------------------------------------------------------------------- */

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...) {
    va_list values;
    va_start(values, format);
    int count = vsnprintf(reply + reply_length, REPLY_ROOM - reply_length, format, values);
    va_end(values);
    if (count > 0 && (size_t)count < REPLY_ROOM - reply_length) reply_length += (size_t)count;
}

static void watch_output(struct connection *it, int wanted) {
    if (it->polls_out == wanted) return;
    it->polls_out = wanted;
    struct epoll_event event = {.events = wanted ? EPOLLOUT : EPOLLIN, .data.ptr = it};
    epoll_ctl(poller, EPOLL_CTL_MOD, it->fd, &event);
}

static void drop(struct connection *it) {
    if (it->gone) return;
    it->gone = 1;
    close(it->fd);
    counted.open--;
}

/* Sends the replies at hand.  They are small, and the peer reads: a full socket is a fault. */
static void flush_replies(struct connection *it) {
    size_t length = reply_length;
    reply_length = 0;
    if (it->gone || length == 0) return;
    int flags = MSG_NOSIGNAL | (it->to_send > 0 ? MSG_MORE : 0);
    ssize_t sent = send(it->fd, reply, length, flags);
    if (sent == (ssize_t)length) return;
    if (sent >= 0 || errno == EAGAIN) counted.stuck++;
    drop(it);
}

/* A few pieces at a time: other connections wait. */
static void send_message(struct connection *it) {
    for (int pieces = 0; it->to_send > 0; pieces++) {
        size_t piece = it->to_send < STRETCH ? (size_t)it->to_send : STRETCH;
        ssize_t sent = -1;
        if (pieces < 8)
            sent = send(it->fd, text_at(it->send_offset), piece, MSG_NOSIGNAL | MSG_MORE);
        if (pieces == 8 || (sent < 0 && errno == EAGAIN)) {
            watch_output(it, 1);
            return;
        }
        if (sent < 0) {
            drop(it);
            return;
        }
        it->to_send -= (uint64_t)sent;
        it->send_offset += (uint64_t)sent;
        counted.sent += (uint64_t)sent;
    }
    watch_output(it, 0);
    say(")\r\n%s OK fetched\r\n", it->tag);
}

/* -- accounts ------------------------------------------------------------------------------- */

static int log_in(struct connection *it, const char *name, const char *password) {
    unsigned number;
    char expected_name[64], expected_password[32];
    if (sscanf(name, "u%7u@", &number) != 1) number = 0;
    snprintf(expected_name, sizeof expected_name, ACCOUNT_FORMAT, number);
    snprintf(expected_password, sizeof expected_password, PASSWORD_FORMAT, number);
    int ours = store_number == 0 || (int)(number % 2) + 1 == store_number;
    if (!ours || strcmp(name, expected_name) != 0 || strcmp(password, expected_password) != 0) {
        counted.refusals++;
        return 0;
    }
    snprintf(it->name, sizeof it->name, "%s", name);
    it->authenticated = 1;
    counted.logins++;
    return 1;
}

/* SASL PLAIN (RFC 4616): authzid NUL authcid NUL password. */
static int log_in_plain(struct connection *it, const char *response) {
    char octets[400];
    int count = decode_base64(response, octets, sizeof octets);
    if (count <= 0) return 0;
    const char *end = octets + count, *name = memchr(octets, 0, (size_t)count);
    if (name == NULL) return 0;
    const char *password = memchr(name + 1, 0, (size_t)(end - name - 1));
    return password != NULL && log_in(it, name + 1, password + 1);
}

static const char *who(const struct connection *it) {
    static char words[96];
    snprintf(words, sizeof words, "s%d %s", store_number, it->name);
    return words;
}

/* -- commands: each gets its words; a word is what lies between spaces, unquoted -------------- */

#define WORDS 5

static void imap_verdict(const struct connection *it, int good) {
    /* As Dovecot does: a client need not ask what it may do now. */
    if (good) say("%s OK [CAPABILITY " LOGGED_IN "] logged in\r\n", it->tag);
    else say("%s NO [AUTHENTICATIONFAILED] wrong name or password\r\n", it->tag);
}

static void imap_count(const struct connection *it) {
    say("* XCOUNT logins=%llu refusals=%llu connections=%llu open=%llu sent=%llu taken=%llu"
        " spoilt=%llu stuck=%llu\r\n%s OK counted\r\n",
        counted.logins, counted.refusals, counted.connections, counted.open, counted.sent,
        counted.taken, counted.spoilt, counted.stuck, it->tag);
}

static void imap_authenticate(struct connection *it, char *const *words) {
    if (strcasecmp(words[2], "PLAIN") != 0) say("%s NO unknown mechanism\r\n", it->tag);
    else if (*words[3] != '\0') imap_verdict(it, log_in_plain(it, words[3]));
    else {
        it->awaits_response = 1;
        say("+ \r\n");
    }
}

static void imap_command(struct connection *it, char *const *words) {
    const char *verb = words[1];
    if (it->awaits_response) {
        it->awaits_response = 0;
        imap_verdict(it, log_in_plain(it, words[0]));
        return;
    }
    snprintf(it->tag, sizeof it->tag, "%s", words[0]);
    if (!strcasecmp(verb, "LOGIN")) imap_verdict(it, log_in(it, words[2], words[3]));
    else if (!strcasecmp(verb, "AUTHENTICATE")) imap_authenticate(it, words);
    else if (!strcasecmp(verb, "CAPABILITY"))
        say("* CAPABILITY " CAPABILITIES "\r\n%s OK done\r\n", it->tag);
    else if (!strcasecmp(verb, "ID")) say("* ID NIL\r\n%s OK done\r\n", it->tag);
    else if (!strcasecmp(verb, "XCOUNT")) imap_count(it);
    else if (!strcasecmp(verb, "NOOP")) say("%s OK %s\r\n", it->tag, who(it));
    else if (!strcasecmp(verb, "LOGOUT")) {
        say("* BYE leaving\r\n%s OK %s\r\n", it->tag, who(it));
        it->leaving = 1;
    } else if (!it->authenticated) say("%s BAD log in first\r\n", it->tag);
    else if (!strcasecmp(verb, "FETCH")) {
        it->to_send = strtoull(words[2], NULL, 10);
        it->send_offset = 0;
        say("* 1 FETCH (BODY[] {%llu}\r\n", (unsigned long long)it->to_send);
        flush_replies(it);
        if (!it->gone) send_message(it);
    } else say("%s BAD unknown command\r\n", it->tag);
}

static void pop3_verdict(int good) {
    if (good) say("+OK logged in\r\n");
    else say("-ERR [AUTH] wrong name or password\r\n");
}

static void pop3_command(struct connection *it, char *const *words) {
    const char *verb = words[0];
    if (it->awaits_response) {
        it->awaits_response = 0;
        pop3_verdict(log_in_plain(it, words[0]));
    } else if (!strcasecmp(verb, "USER")) {
        snprintf(it->name, sizeof it->name, "%s", words[1]);
        say("+OK\r\n");
    } else if (!strcasecmp(verb, "PASS")) {
        char name[sizeof it->name];
        memcpy(name, it->name, sizeof name);
        pop3_verdict(log_in(it, name, words[1]));
    } else if (!strcasecmp(verb, "AUTH") && !strcasecmp(words[1], "PLAIN")) {
        it->awaits_response = *words[2] == '\0';
        if (it->awaits_response) say("+ \r\n");
        else pop3_verdict(log_in_plain(it, words[2]));
    } else if (!strcasecmp(verb, "CAPA")) say("+OK\r\nUSER\r\nRESP-CODES\r\nSASL PLAIN\r\n.\r\n");
    else if (!strcasecmp(verb, "NOOP")) say("+OK %s\r\n", who(it));
    else if (!strcasecmp(verb, "QUIT")) {
        say("+OK %s\r\n", who(it));
        it->leaving = 1;
    } else say("-ERR unknown command\r\n");
}

static void smtp_verdict(int good) {
    if (good) say("235 2.7.0 logged in\r\n");
    else say("535 5.7.8 wrong name or password\r\n");
}

static void smtp_command(struct connection *it, char *const *words) {
    const char *verb = words[0];
    if (it->awaits_response) {
        it->awaits_response = 0;
        smtp_verdict(log_in_plain(it, words[0]));
    } else if (!strcasecmp(verb, "EHLO"))
        say("250-store\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 AUTH PLAIN\r\n");
    else if (!strcasecmp(verb, "HELO")) say("250 store\r\n");
    else if (!strcasecmp(verb, "AUTH") && !strcasecmp(words[1], "PLAIN")) {
        it->awaits_response = *words[2] == '\0';
        if (it->awaits_response) say("334 \r\n");
        else smtp_verdict(log_in_plain(it, words[2]));
    } else if (!strcasecmp(verb, "NOOP")) say("250 2.0.0 %s\r\n", who(it));
    else if (!strcasecmp(verb, "RSET")) say("250 2.0.0 done\r\n");
    else if (!strcasecmp(verb, "QUIT")) {
        say("221 2.0.0 %s\r\n", who(it));
        it->leaving = 1;
    } else say("502 5.5.1 unknown command\r\n");
}

/* -- reading -------------------------------------------------------------------------------- */

/* The size of the literal that this line announces, or -1.  *waits: the client wants a "+". */
static long announced_literal(const char *line, const char *end, int *waits) {
    if (end - line < 3 || end[-1] != '}') return -1;
    const char *digit = end - 2;
    *waits = *digit != '+';
    if (!*waits) digit--;
    const char *last = digit;
    while (digit > line && *digit >= '0' && *digit <= '9') digit--;
    return *digit == '{' && digit < last ? strtol(digit + 1, NULL, 10) : -1;
}

/* The length of the command at the head of the input with its literals; 0: it is not whole yet. */
static size_t whole_command(struct connection *it) {
    size_t from = 0;
    for (;;) {
        char *line = it->input + from;
        char *newline = memchr(line, '\n', it->input_length - from);
        if (newline == NULL) return 0;
        size_t length = (size_t)(newline - it->input) + 1;
        const char *end = newline > line && newline[-1] == '\r' ? newline - 1 : newline;
        int waits;
        long literal = it->protocol == IMAP ? announced_literal(line, end, &waits) : -1;
        if (literal < 0) return length;
        const char *verb = memchr(it->input, ' ', length);
        if (verb != NULL && strncasecmp(verb + 1, "APPEND ", 7) == 0) return length;
        if (literal > LITERAL_LIMIT) {
            drop(it);
            return 0;
        }
        if (waits && length > it->literal_invited) {
            say("+ go on\r\n");
            it->literal_invited = length;
        }
        from = length + (size_t)literal;
        if (from > it->input_length) return 0;
    }
}

/* Cuts a command into words, in place: atoms, quoted strings and literals. */
static void cut(char *at, char *end, char **words) {
    static char nothing[] = "";
    for (int i = 0; i < WORDS; i++) words[i] = nothing;
    for (int i = 0; i < WORDS; i++) {
        while (at < end && (*at == ' ' || *at == '\r' || *at == '\n')) *at++ = '\0';
        if (at >= end) return;
        if (*at == '"') {
            char *write = words[i] = ++at;
            while (at < end && *at != '"') {
                if (*at == '\\' && at + 1 < end) at++;
                *write++ = *at++;
            }
            *write = '\0';
            at++;
        } else if (*at == '{' && memchr(at, '\n', (size_t)(end - at)) != NULL) {
            size_t length = strtoul(at + 1, NULL, 10);
            at = (char *)memchr(at, '\n', (size_t)(end - at)) + 1;
            if (length >= (size_t)(end - at)) return;
            words[i] = at;
            at += length;
        } else {
            words[i] = at;
            while (at < end && *at != ' ' && *at != '\r' && *at != '\n') at++;
        }
    }
    if (at < end) *at = '\0';
}

/* An APPEND's literal begins: what follows is compared with the text. */
static int begins_append(struct connection *it, size_t length) {
    const char *verb = memchr(it->input, ' ', length);
    if (it->protocol != IMAP || verb == NULL || strncasecmp(verb + 1, "APPEND ", 7) != 0) return 0;
    int waits = 0;
    const char *end = it->input + length - 2;
    long literal = announced_literal(it->input, end, &waits);
    if (literal <= 0 || !it->authenticated) return 0;
    snprintf(it->tag, sizeof it->tag, "%.*s", (int)(verb - it->input), it->input);
    it->to_take = (uint64_t)literal;
    it->take_offset = 0;
    if (waits) say("+ go on\r\n");
    return 1;
}

static void answer_command(struct connection *it, size_t length) {
    char *words[WORDS];
    if (begins_append(it, length)) return;
    cut(it->input, it->input + length, words);
    if (it->protocol == IMAP) imap_command(it, words);
    else if (it->protocol == POP3) pop3_command(it, words);
    else smtp_command(it, words);
}

static void answer_commands(struct connection *it) {
    while (!it->gone && !it->leaving && it->to_send == 0 && it->to_take == 0) {
        /* The empty line that ends an APPEND's literal, and any other. */
        size_t length = 0;
        while (length < it->input_length && strchr("\r\n", it->input[length]) != NULL) length++;
        if (length == 0 || it->awaits_response) {
            length = whole_command(it);
            if (length == 0) break;
            answer_command(it, length);
        }
        it->literal_invited = 0;
        it->input_length -= length;
        memmove(it->input, it->input + length, it->input_length);
    }
    flush_replies(it);
    if (it->leaving) drop(it);
}

static void take(struct connection *it, const char *octets, size_t count) {
    if (!is_text(octets, count, it->take_offset)) counted.spoilt++;
    it->to_take -= count;
    it->take_offset += count;
    counted.taken += count;
    if (it->to_take == 0) say("%s OK appended\r\n", it->tag);
}

static void receive(struct connection *it) {
    ssize_t count = recv(it->fd, arrived, sizeof arrived, 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) {
        drop(it);
        return;
    }
    const char *at = arrived;
    size_t left = (size_t)count;
    while (left > 0 && !it->gone) {
        size_t piece;
        if (it->to_take > 0) {
            piece = left < it->to_take ? left : (size_t)it->to_take;
            take(it, at, piece);
        } else {
            piece = INPUT_ROOM - it->input_length;
            if (piece > left) piece = left;
            if (piece == 0) drop(it); /* a command without end */
            memcpy(it->input + it->input_length, at, piece);
            it->input_length += piece;
            answer_commands(it);
            if (it->to_take > 0 && it->input_length > 0) {
                /* The head of a literal that came with its command. */
                size_t head = it->input_length;
                if (head > it->to_take) head = (size_t)it->to_take;
                take(it, it->input, head);
                it->input_length -= head;
                memmove(it->input, it->input + head, it->input_length);
            }
        }
        at += piece;
        left -= piece;
    }
    flush_replies(it);
}

/* -- connections ---------------------------------------------------------------------------- */

static struct connection *connection_of(int fd, enum protocol protocol, int listens) {
    struct connection *it = calloc(1, sizeof *it);
    if (it == NULL) exit(1);
    it->fd = fd;
    it->protocol = protocol;
    it->listens = listens;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = it};
    epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
    return it;
}

static void accept_some(const struct connection *listener) {
    for (int i = 0; i < 64; i++) {
        int one = 1;
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct connection *it = connection_of(fd, listener->protocol, 0);
        counted.connections++;
        counted.open++;
        if (it->protocol == IMAP) say("* OK [CAPABILITY " CAPABILITIES "] ready\r\n");
        else if (it->protocol == POP3) say("+OK ready\r\n");
        else say("220 store ESMTP\r\n");
        flush_replies(it);
        if (it->gone) free(it);
    }
}

static void serve(struct connection *it) {
    if (it->polls_out) {
        send_message(it);
        flush_replies(it);
        if (it->to_send == 0) answer_commands(it);
    } else receive(it);
    if (it->gone) free(it);
}

static void listen_at(int port, enum protocol protocol) {
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = loopback(port);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 8192) != 0) {
        perror("store: listen");
        exit(1);
    }
    connection_of(fd, protocol, 1);
}

int main(int count, char **values) {
    if (count != 2 + PROTOCOLS) {
        fprintf(stderr, "usage: store NUMBER IMAP-PORT POP3-PORT SMTP-PORT\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    raise_open_files();
    make_text();
    store_number = atoi(values[1]);
    poller = epoll_create1(EPOLL_CLOEXEC);
    for (int protocol = 0; protocol < PROTOCOLS; protocol++)
        listen_at(atoi(values[2 + protocol]), (enum protocol)protocol);
    for (;;) {
        struct epoll_event events[256];
        int ready = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *it = events[i].data.ptr;
            if (it->listens) accept_some(it);
            else serve(it);
        }
    }
}
