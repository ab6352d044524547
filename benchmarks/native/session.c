/* One client's session; see session.h.  Every answer is compared with the one that is due. */
#include "session.h"

#include <openssl/err.h>

struct behaviour behaviour;
struct tally tally;
struct session sessions = {.next = &sessions, .previous = &sessions};
int stopping;
const char *const FAULT_NAMES[FAULTS] = {"connect", "tls",      "temporary", "refused", "accepted",
                                         "wording", "identity", "spoilt",    "ended",   "silent"};

static const struct {
    const char *greeting, *good, *noop, *noop_good, *quit, *quit_good;
} DIALECTS[PROTOCOLS] = {
    [IMAP] = {"* OK", "a OK", "a NOOP\r\n", "a OK", "a LOGOUT\r\n", "a OK"},
    [POP3] = {"+OK", "+OK", "NOOP\r\n", "+OK", "QUIT\r\n", "+OK"},
    [SMTP] = {"220", "235", "NOOP\r\n", "250", "QUIT\r\n", "221"},
};
#define DIALECT DIALECTS[behaviour.protocol]

static int poller;
static SSL_CTX *tls_context;
static SSL_SESSION *ticket;
static char arrived[1 << 18];

/* -- accounting ----------------------------------------------------------------------------- */

static void measure(double since) {
    if (tally.measured == tally.room) {
        tally.room = tally.room > 0 ? tally.room * 2 : 65536;
        tally.milliseconds = realloc(tally.milliseconds, (size_t)tally.room * sizeof(float));
        if (tally.milliseconds == NULL) exit(1);
    }
    tally.milliseconds[tally.measured++] = (float)((seconds_now() - since) * 1e3);
}

static void end_session(struct session *it) {
    if (it->ssl != NULL) {
        /* Otherwise OpenSSL forbids that the session is resumed. */
        SSL_set_shutdown(it->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        SSL_free(it->ssl);
    }
    if (it->fd >= 0) close(it->fd);
    it->previous->next = it->next;
    it->next->previous = it->previous;
    tally.active--;
    free(it);
}

/* Counts a fault and ends the session.  Returns -1, as do all below that have ended a session. */
static int fail(struct session *it, enum fault fault) {
    tally.faults[fault]++;
    if (tally.first_fault[0] == '\0') {
        char *words = tally.first_fault;
        snprintf(words, sizeof tally.first_fault, "%s in step %d after: %.*s", FAULT_NAMES[fault],
                 (int)it->step, (int)(it->line_length < 100 ? it->line_length : 100), it->line);
        for (; *words != '\0'; words++)
            if (*words < ' ' || *words > '~' || *words == '"' || *words == '\\') *words = '.';
    }
    if (it->step == HELD) tally.held--;
    end_session(it);
    return -1;
}

/* -- octets in and out ---------------------------------------------------------------------- */

static void watch(struct session *it, uint32_t events) {
    if (it->watched == events) return;
    struct epoll_event event = {.events = events, .data.ptr = it};
    epoll_ctl(poller, it->watched != 0 ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, it->fd, &event);
    it->watched = events;
}

enum { WAIT = -1, BROKEN = -2 };

/* What came of an attempt at TLS: its count of octets, 0 at the end, WAIT or BROKEN. */
static ssize_t tls_result(const struct session *it, int result) {
    if (result > 0) return result;
    int error = SSL_get_error(it->ssl, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return WAIT;
    return error == SSL_ERROR_ZERO_RETURN ? 0 : BROKEN;
}

static ssize_t read_octets(struct session *it, size_t room) {
    if (it->ssl != NULL) {
        ERR_clear_error();
        return tls_result(it, SSL_read(it->ssl, arrived, (int)room));
    }
    ssize_t count = recv(it->fd, arrived, room, 0);
    return count >= 0 ? count : errno == EAGAIN ? WAIT : BROKEN;
}

static ssize_t write_octets(struct session *it, const char *octets, size_t count) {
    if (it->ssl != NULL) {
        ERR_clear_error();
        ssize_t written = tls_result(it, SSL_write(it->ssl, octets, (int)count));
        return written == 0 ? BROKEN : written;
    }
    ssize_t written = send(it->fd, octets, count, MSG_NOSIGNAL);
    return written >= 0 ? written : errno == EAGAIN ? WAIT : BROKEN;
}

static int push(struct session *it) {
    while (it->output_sent < it->output_length || (it->step == UPLOAD && it->left > 0)) {
        int commands = it->output_sent < it->output_length;
        size_t piece = it->left < STRETCH ? (size_t)it->left : STRETCH;
        ssize_t written =
            commands ? write_octets(it, it->output + it->output_sent, it->output_length - it->output_sent)
                     : write_octets(it, text_at(it->offset), piece);
        if (written == BROKEN) return fail(it, ENDED);
        if (written == WAIT) {
            watch(it, EPOLLIN | EPOLLOUT);
            return 0;
        }
        it->moved = seconds_now();
        if (commands) it->output_sent += (size_t)written;
        else {
            it->left -= (uint64_t)written;
            it->offset += (uint64_t)written;
            tally.octets += (uint64_t)written;
            if (it->left == 0) {
                it->step = APPENDED;
                it->output_length = (size_t)snprintf(it->output, sizeof it->output, "\r\n");
                it->output_sent = 0;
            }
        }
    }
    it->output_sent = it->output_length = 0;
    watch(it, EPOLLIN);
    return 0;
}

__attribute__((format(printf, 3, 4))) static int say(struct session *it, enum step next,
                                                     const char *format, ...) {
    va_list values;
    va_start(values, format);
    size_t room = sizeof it->output - it->output_length;
    it->output_length += (size_t)vsnprintf(it->output + it->output_length, room, format, values);
    va_end(values);
    it->step = next;
    return push(it);
}

/* -- the dialogue --------------------------------------------------------------------------- */

static int next_round(struct session *it) {
    it->asked = seconds_now();
    if (behaviour.work == HOLD) {
        it->step = HELD;
        tally.held++;
        tally.done++;
        return 0;
    }
    if (behaviour.work == LOGIN || stopping || it->rounds_left-- == 0)
        return say(it, GOODBYE, "%s", DIALECT.quit);
    it->left = behaviour.octets;
    it->offset = 0;
    unsigned long long octets = behaviour.octets;
    if (behaviour.work == FETCH) return say(it, ANNOUNCED, "a FETCH %llu\r\n", octets);
    if (behaviour.work == APPEND) return say(it, INVITED, "a APPEND x {%llu}\r\n", octets);
    return say(it, ANSWER, "%s", DIALECT.noop);
}

static int round_done(struct session *it) {
    tally.done++;
    measure(it->asked);
    if (behaviour.pace_seconds <= 0) return next_round(it);
    it->due = seconds_now() + behaviour.pace_seconds;
    it->step = PAUSE;
    return 0;
}

static int send_login(struct session *it, enum step next) {
    unsigned account = it->account, secret = account + (behaviour.wrong_password ? 1 : 0);
    char plain[128], digits[192];
    if (behaviour.protocol == IMAP)
        next = say(it, VERDICT, "a LOGIN " ACCOUNT_FORMAT " " PASSWORD_FORMAT "\r\n", account, secret);
    else if (behaviour.protocol == POP3 && next == NAME)
        next = say(it, NAME, "USER " ACCOUNT_FORMAT "\r\n", account);
    else if (behaviour.protocol == POP3)
        next = say(it, VERDICT, "PASS " PASSWORD_FORMAT "\r\n", secret);
    else {
        plain[0] = '\0';
        int length = 1 + snprintf(plain + 1, sizeof plain - 1, ACCOUNT_FORMAT "%c" PASSWORD_FORMAT,
                                  account, 0, secret);
        encode_base64(plain, (size_t)length, digits);
        next = say(it, VERDICT, "AUTH PLAIN %s\r\n", digits);
    }
    if ((int)next != -1 && behaviour.leave_early && it->step == VERDICT) {
        tally.done++;
        end_session(it);
        return -1;
    }
    return (int)next == -1 ? -1 : 0;
}

static int starts(const char *line, const char *words) {
    return strncmp(line, words, strlen(words)) == 0;
}

static int on_verdict(struct session *it, const char *line) {
    if (behaviour.protocol == IMAP && *line == '*') return 0;
    if (behaviour.protocol == SMTP && strlen(line) > 3 && line[3] == '-') return 0;
    int good = starts(line, DIALECT.good);
    if (!good) {
        int temporary = strstr(line, "UNAVAILABLE") != NULL || strstr(line, "SYS/TEMP") != NULL;
        if (behaviour.protocol == SMTP && *line == '4') temporary = 1;
        int refused = starts(line, "a NO") || starts(line, "-ERR") || starts(line, "535");
        if (temporary || !refused) return fail(it, temporary ? TEMPORARY : WORDING);
        if (!behaviour.wrong_password) return fail(it, REFUSED);
        tally.done++;
        end_session(it);
        return -1;
    }
    if (behaviour.wrong_password) return fail(it, ACCEPTED);
    if (behaviour.work == LOGIN || behaviour.work == HOLD) measure(it->began);
    return next_round(it);
}

/* The reply must tell this account, at the store that holds it. */
static int is_ours(const struct session *it, const char *line) {
    char name[64], words[80];
    snprintf(name, sizeof name, ACCOUNT_FORMAT, it->account);
    snprintf(words, sizeof words, "s%d %s", behaviour.any_store ? 0 : (int)(it->account % 2) + 1, name);
    return strstr(line, words) != NULL;
}

/* The answer to NOOP, LOGOUT or QUIT: 1 if it is the right one, 0 if it is still to come. */
static int expect(struct session *it, const char *line, const char *good) {
    if (behaviour.protocol == IMAP && *line == '*') return 0;
    if (!starts(line, good)) return fail(it, WORDING);
    return is_ours(it, line) ? 1 : fail(it, IDENTITY);
}

static int on_greeting(struct session *it, const char *line) {
    if (!starts(line, DIALECT.greeting)) return fail(it, WORDING);
    if (behaviour.protocol == SMTP)
        return line[3] == '-' ? 0 : say(it, HELLO, "EHLO client.example.org\r\n");
    return send_login(it, NAME);
}

static int on_announced(struct session *it, const char *line) {
    const char *brace = strrchr(line, '{');
    if (!starts(line, "* 1 FETCH") || brace == NULL) return fail(it, WORDING);
    if (strtoull(brace + 1, NULL, 10) != behaviour.octets) return fail(it, WORDING);
    it->step = BODY;
    return 0;
}

/* One line without its end.  Returns -1 if the session is over. */
static int on_line(struct session *it, const char *line) {
    int verdict;
    switch (it->step) {
    case GREETING: return on_greeting(it, line);
    case HELLO:
        if (!starts(line, "250")) return fail(it, WORDING);
        return line[3] == '-' ? 0 : send_login(it, VERDICT);
    case NAME: return starts(line, "+OK") ? send_login(it, VERDICT) : fail(it, REFUSED);
    case VERDICT: return on_verdict(it, line);
    case ANSWER:
        verdict = expect(it, line, DIALECT.noop_good);
        return verdict == 1 ? round_done(it) : verdict;
    case PING:
        verdict = expect(it, line, DIALECT.noop_good);
        if (verdict != 1) return verdict;
        tally.pinged++;
        return say(it, GOODBYE, "%s", DIALECT.quit);
    case ANNOUNCED: return on_announced(it, line);
    case BODY_END:
        if (strcmp(line, ")") == 0) return 0;
        return starts(line, "a OK fetched") ? round_done(it) : fail(it, WORDING);
    case INVITED: return *line == '+' ? say(it, UPLOAD, "%s", "") : fail(it, WORDING);
    case APPENDED: return starts(line, "a OK appended") ? round_done(it) : fail(it, WORDING);
    case GOODBYE:
        verdict = expect(it, line, DIALECT.quit_good);
        if (verdict == 1) it->step = END;
        return verdict < 0 ? -1 : 0;
    default: return fail(it, WORDING);
    }
}

static int feed(struct session *it, const char *octets, size_t count) {
    while (count > 0) {
        size_t piece;
        if (it->step == BODY) {
            piece = count < it->left ? count : (size_t)it->left;
            if (!is_text(octets, piece, it->offset)) return fail(it, SPOILT);
            it->left -= piece;
            it->offset += piece;
            tally.octets += piece;
            if (it->left == 0) it->step = BODY_END;
        } else {
            const char *newline = memchr(octets, '\n', count);
            piece = newline != NULL ? (size_t)(newline - octets) + 1 : count;
            if (it->line_length + piece >= sizeof it->line) return fail(it, WORDING);
            memcpy(it->line + it->line_length, octets, piece);
            it->line_length += piece;
            if (newline != NULL) {
                while (it->line_length > 0 && strchr("\r\n", it->line[it->line_length - 1]))
                    it->line_length--;
                it->line[it->line_length] = '\0';
                if (on_line(it, it->line) < 0) return -1;
                it->line_length = 0;
            }
        }
        octets += piece;
        count -= piece;
    }
    return 0;
}

/* -- from connect to the end ---------------------------------------------------------------- */

static int remember_ticket(SSL *ssl, SSL_SESSION *fresh) {
    (void)ssl;
    SSL_SESSION_free(ticket);
    ticket = SSL_SESSION_dup(fresh);
    return 0;
}

int ticket_is_missing(void) { return behaviour.resume && ticket == NULL; }

void prepare_sessions(void) {
    signal(SIGPIPE, SIG_IGN);
    raise_open_files();
    make_text();
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (!behaviour.tls) return;
    tls_context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(tls_context, TLS1_3_VERSION);
    SSL_CTX_set_options(tls_context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(tls_context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set1_sigalgs_list(tls_context, "ECDSA+SHA256");
    if (behaviour.resume) {
        SSL_CTX_set_session_cache_mode(tls_context,
                                       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(tls_context, remember_ticket);
    } else SSL_CTX_set_session_cache_mode(tls_context, SSL_SESS_CACHE_OFF);
}

void begin_session(void) {
    struct session *it = calloc(1, sizeof *it);
    if (it == NULL) exit(1);
    struct sockaddr_in address = loopback(behaviour.port);
    int one = 1;
    unsigned long turn = (unsigned long)tally.started * behaviour.stride % behaviour.accounts;
    it->account = (unsigned)(behaviour.first_account + turn);
    it->rounds_left = behaviour.rounds;
    it->began = it->moved = seconds_now();
    it->next = sessions.next;
    it->previous = &sessions;
    it->next->previous = it->previous->next = it;
    tally.started++;
    tally.active++;
    it->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (it->fd < 0) {
        fail(it, CONNECT);
        return;
    }
    setsockopt(it->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(it->fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EINPROGRESS)
        fail(it, CONNECT);
    else watch(it, EPOLLOUT);
}

static int on_connected(struct session *it) {
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(it->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) return fail(it, CONNECT);
    it->step = behaviour.tls ? HANDSHAKE : GREETING;
    watch(it, EPOLLIN);
    if (!behaviour.tls) return 0;
    it->ssl = SSL_new(tls_context);
    SSL_set_fd(it->ssl, it->fd);
    if (behaviour.resume && ticket != NULL) {
        /* A copy: OpenSSL lets a session of TLS 1.3 be resumed once. */
        SSL_SESSION *copy = SSL_SESSION_dup(ticket);
        SSL_set_session(it->ssl, copy);
        SSL_SESSION_free(copy);
    }
    return 0;
}

static int on_handshake(struct session *it) {
    ERR_clear_error();
    ssize_t result = tls_result(it, SSL_connect(it->ssl));
    if (result == WAIT) return 0;
    if (result <= 0) return fail(it, TLS);
    tally.resumed += SSL_session_reused(it->ssl);
    it->step = GREETING;
    return 0;
}

static int on_end(struct session *it) {
    if (it->step != END) return fail(it, ENDED);
    if (behaviour.work == LOGIN) tally.done++;
    end_session(it);
    return -1;
}

void serve_session(struct session *it, uint32_t events) {
    it->moved = seconds_now();
    if (it->step == CONNECTING && on_connected(it) < 0) return;
    if (it->step == HANDSHAKE && on_handshake(it) < 0) return;
    if (it->step <= HANDSHAKE) return;
    if ((events & EPOLLOUT) != 0 && push(it) < 0) return;
    for (int i = 0; i < 16; i++) {
        size_t room = it->ssl != NULL ? 16384 : sizeof arrived;
        ssize_t count = read_octets(it, room);
        if (count == WAIT) return;
        if (count <= 0) {
            on_end(it);
            return;
        }
        if (feed(it, arrived, (size_t)count) < 0) return;
        if (it->ssl == NULL && (size_t)count < room) return;
    }
}

void release_session(struct session *it) {
    tally.held--;
    it->moved = seconds_now();
    say(it, PING, "%s", DIALECT.noop);
}

void give_up_silent_sessions(double now) {
    for (struct session *it = sessions.next, *next; it != &sessions; it = next) {
        next = it->next;
        if (it->step != HELD && now - it->moved > behaviour.patience_seconds) fail(it, SILENT);
    }
}

void resume_paced_sessions(double now) {
    for (struct session *it = sessions.next, *next; it != &sessions; it = next) {
        next = it->next;
        if (it->step != PAUSE || now < it->due) continue;
        it->moved = now;
        next_round(it);
    }
}

int wait_for_events(struct epoll_event *events, int room, int milliseconds) {
    return epoll_wait(poller, events, room, milliseconds);
}

int watch_input(int fd, int wanted) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    return epoll_ctl(poller, wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, fd, &event);
}
