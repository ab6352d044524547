/* The clients of one run: many sessions at once in one thread, the outcome as a line of JSON.
 *
 *     load WORK PROTOCOL PORT [option value | option]...
 *
 * WORK: login (connect, log in, log out), chat (NOOPs), fetch and append (messages), hold (log in,
 * print "READY" and the outcome, wait for the end of standard input, then NOOP and log out).
 *     --count N         sessions in all (login, hold)     --at-once N   sessions at the same time
 *     --seconds S       start none and end all after S    --rate N      new sessions a second
 *     --rounds N        NOOPs or messages of a session    --octets N    of a message
 *     --pace MS         between an answer and the next    --patience S  with a silent server
 *     --accounts N      use N accounts in turn,           --first N     from this one on,
 *     --stride N        in steps of                       --any-store   no routing is expected
 *     --tls             TLS 1.3 from the first octet      --resume      its sessions
 *     --wrong           passwords; to be refused          --leave       when the login is sent
 *     --until-eof       of standard input: end all then
 */
#include "session.h"

static long count = 1, at_once = 1;
static int until_eof;
static double seconds, rate;

static int take_flag(const char *name) {
    if (strcmp(name, "--tls") == 0) behaviour.tls = 1;
    else if (strcmp(name, "--resume") == 0) behaviour.resume = 1;
    else if (strcmp(name, "--wrong") == 0) behaviour.wrong_password = 1;
    else if (strcmp(name, "--leave") == 0) behaviour.leave_early = 1;
    else if (strcmp(name, "--any-store") == 0) behaviour.any_store = 1;
    else if (strcmp(name, "--until-eof") == 0) until_eof = 1;
    else return 0;
    return 1;
}

static int take_value(const char *name, const char *value) {
    double number = strtod(value, NULL);
    if (strcmp(name, "--count") == 0) count = (long)number;
    else if (strcmp(name, "--at-once") == 0) at_once = (long)number;
    else if (strcmp(name, "--seconds") == 0) seconds = number;
    else if (strcmp(name, "--rate") == 0) rate = number;
    else if (strcmp(name, "--rounds") == 0) behaviour.rounds = (long)number;
    else if (strcmp(name, "--octets") == 0) behaviour.octets = (uint64_t)number;
    else if (strcmp(name, "--pace") == 0) behaviour.pace_seconds = number / 1e3;
    else if (strcmp(name, "--patience") == 0) behaviour.patience_seconds = number;
    else if (strcmp(name, "--accounts") == 0) behaviour.accounts = (unsigned long)number;
    else if (strcmp(name, "--first") == 0) behaviour.first_account = (unsigned long)number;
    else if (strcmp(name, "--stride") == 0) behaviour.stride = (unsigned long)number;
    else return 0;
    return 1;
}

static int read_command_line(int given, char **values) {
    static const char *const WORKS[] = {"login", "chat", "fetch", "append", "hold"};
    int protocol = given > 3 ? protocol_called(values[2]) : -1, work = -1;
    behaviour = (struct behaviour){.accounts = 1, .stride = 1, .rounds = 1, .patience_seconds = 30};
    for (int i = 0; given > 3 && i < 5; i++)
        if (strcmp(values[1], WORKS[i]) == 0) work = i;
    if (work < 0 || protocol < 0) return 0;
    behaviour.work = (enum work)work;
    behaviour.protocol = (enum protocol)protocol;
    behaviour.port = atoi(values[3]);
    for (int i = 4; i < given; i++) {
        if (take_flag(values[i])) continue;
        if (i + 1 >= given || !take_value(values[i], values[i + 1])) {
            fprintf(stderr, "load: what is %s?\n", values[i]);
            return 0;
        }
        i++;
    }
    if (behaviour.work != LOGIN && behaviour.work != HOLD) count = at_once;
    return behaviour.accounts > 0;
}

/* -- the outcome ---------------------------------------------------------------------------- */

static int by_size(const void *left, const void *right) {
    float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

static double percentile(double share) {
    if (tally.measured == 0) return 0;
    return (double)tally.milliseconds[(long)(share * (double)(tally.measured - 1) + 0.5)];
}

static void report(const char *before, double elapsed) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    if (tally.measured > 0)
        qsort(tally.milliseconds, (size_t)tally.measured, sizeof(float), by_size);
    printf("%s{\"done\": %ld, \"started\": %ld, \"seconds\": %.4f, \"octets\": %llu, ", before,
           tally.done, tally.started, elapsed, tally.octets);
    printf("\"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f, ", percentile(0.5),
           percentile(0.99), percentile(1));
    printf("\"held\": %ld, \"pinged\": %ld, \"resumed\": %ld, \"cpu_seconds\": %.4f, ", tally.held,
           tally.pinged, tally.resumed,
           (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
    printf("\"first_fault\": \"%s\", \"faults\": {", tally.first_fault);
    const char *comma = "";
    for (int fault = 0; fault < FAULTS; fault++) {
        if (tally.faults[fault] == 0) continue;
        printf("%s\"%s\": %ld", comma, FAULT_NAMES[fault], tally.faults[fault]);
        comma = ", ";
    }
    printf("}}\n");
    fflush(stdout);
}

static long faults(void) {
    long sum = 0;
    for (int fault = 0; fault < FAULTS; fault++) sum += tally.faults[fault];
    return sum;
}

/* -- the schedule --------------------------------------------------------------------------- */

static void begin_some(double elapsed) {
    while (!stopping && tally.started < count && tally.active - tally.held < at_once) {
        if (rate > 0 && (double)tally.started > elapsed * rate) return;
        /* The first session alone fetches the ticket for all others. */
        if (tally.started > 0 && ticket_is_missing() && tally.active > 0) return;
        begin_session();
    }
}

static void release_some(void) {
    struct session *it = sessions.next;
    while (it != &sessions && tally.active - tally.held < 64) {
        struct session *next = it->next;
        if (it->step == HELD) release_session(it);
        it = next;
    }
}

static void serve_some(int milliseconds, int *input_open) {
    struct epoll_event events[256];
    int ready = wait_for_events(events, 256, milliseconds);
    for (int i = 0; i < ready; i++) {
        char octets[64];
        if (events[i].data.ptr != NULL) serve_session(events[i].data.ptr, events[i].events);
        else if (read(STDIN_FILENO, octets, sizeof octets) == 0) {
            watch_input(STDIN_FILENO, 0);
            *input_open = 0;
        }
    }
}

/* How long to wait for events at most, so that what is due by the clock is done in time. */
static int tick_milliseconds(void) {
    double tick = 0.2;
    if (rate > 0 && 0.2 / rate < tick) tick = 0.2 / rate;
    if (behaviour.pace_seconds > 0 && behaviour.pace_seconds / 5 < tick)
        tick = behaviour.pace_seconds / 5;
    return tick < 1e-3 ? 1 : (int)(tick * 1e3);
}

/* Sessions begin and are served until all have ended.  Returns how long that took; for held ones,
 * how long it took to open them. */
static double run(void) {
    double began = seconds_now(), checked = began, opened = 0;
    int input_open = until_eof && watch_input(STDIN_FILENO, 1) == 0;
    for (;;) {
        double now = seconds_now();
        if (seconds > 0 && now - began >= seconds) stopping = 1;
        if (until_eof && !input_open) stopping = 1;
        if (opened == 0) begin_some(now - began);
        int all_begun = stopping || tally.started >= count;
        if (behaviour.work == HOLD && opened == 0 && all_begun && tally.active == tally.held) {
            opened = seconds_now() - began;
            report("READY ", opened);
            input_open = watch_input(STDIN_FILENO, 1) == 0;
        }
        if (opened > 0 && !input_open) release_some();
        if (all_begun && tally.active == 0 && !input_open) break;
        serve_some(tick_milliseconds(), &input_open);
        if (behaviour.pace_seconds > 0) resume_paced_sessions(seconds_now());
        if (now - checked > 1) {
            checked = now;
            give_up_silent_sessions(now);
        }
    }
    return opened > 0 ? opened : seconds_now() - began;
}

int main(int given, char **values) {
    if (!read_command_line(given, values)) {
        fprintf(stderr, "usage: load WORK PROTOCOL PORT [options], as the head of load.c tells\n");
        return 2;
    }
    prepare_sessions();
    double elapsed = run();
    report("", elapsed);
    return faults() > 0;
}
