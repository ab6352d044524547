/* One client's session: connect, TLS, login, work, logout.  load.c decides when sessions begin. */
#ifndef BENCH_SESSION_H
#define BENCH_SESSION_H

#include <openssl/ssl.h>

#include "wire.h"

enum work { LOGIN, CHAT, FETCH, APPEND, HOLD };

/* How every session of this process behaves; set once, from the command line. */
struct behaviour {
    enum work work;
    enum protocol protocol;
    int port, tls, resume, wrong_password, leave_early, any_store;
    unsigned long accounts, first_account, stride;
    long rounds;          /* NOOPs or messages of a session */
    uint64_t octets;      /* of a message */
    double pace_seconds;  /* between a NOOP's answer and the next NOOP */
    double patience_seconds;
};

enum fault { CONNECT, TLS, TEMPORARY, REFUSED, ACCEPTED, WORDING, IDENTITY, SPOILT, ENDED, SILENT,
             FAULTS };

struct session {
    int fd;
    enum step {
        CONNECTING, HANDSHAKE, GREETING, HELLO, NAME, VERDICT, PAUSE, ANSWER, ANNOUNCED, BODY,
        BODY_END, INVITED, UPLOAD, APPENDED, HELD, PING, GOODBYE, END
    } step;
    SSL *ssl;
    uint32_t watched;
    unsigned account;
    long rounds_left;
    double began, asked, moved, due;
    uint64_t left, offset;
    char line[512];
    size_t line_length;
    char output[512];
    size_t output_length, output_sent;
    struct session *next, *previous;
};

struct tally {
    long started, active, done, held, pinged, resumed, faults[FAULTS], measured, room;
    unsigned long long octets;
    float *milliseconds;  /* login: connect to verdict; otherwise: one round */
    char first_fault[200];
};

extern struct behaviour behaviour;
extern struct tally tally;
extern struct session sessions;  /* the head of a ring */
extern int stopping;             /* sessions take no new rounds */
extern const char *const FAULT_NAMES[FAULTS];

void prepare_sessions(void);
void begin_session(void);
void serve_session(struct session *it, uint32_t events);
void release_session(struct session *it);  /* a held one: NOOP, then logout */
void give_up_silent_sessions(double now);
void resume_paced_sessions(double now);
int wait_for_events(struct epoll_event *events, int room, int milliseconds);
int watch_input(int fd, int wanted);
int ticket_is_missing(void);
#endif
