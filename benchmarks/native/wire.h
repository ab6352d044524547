/* What the mail store and the load generator agree on: accounts, the octets of messages, time. */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))

enum protocol { IMAP, POP3, SMTP, PROTOCOLS };
static const char *const PROTOCOL_NAMES[PROTOCOLS] = {"imap", "pop3", "smtp"};

/* Account N is named so; its password follows from N, so that a store can tell a wrong one. */
#define ACCOUNT_FORMAT "u%07u@example.org"
#define PASSWORD_FORMAT "pw-%07u"

/* A message is a window on an endless text: lines of 64 octets that each tell their number.
 * The text repeats after a prime number of lines, so that octets which are lost, doubled or moved
 * by any usual buffer size are seen. */
#define LINE_OCTETS 64
#define LINES 1021
#define PERIOD ((size_t)LINE_OCTETS * LINES)
/* The most octets that can be taken from any offset in one piece. */
#define STRETCH (PERIOD * 3)
static char text_octets[PERIOD + STRETCH];

UNUSED static void make_text(void) {
    for (size_t line = 0; line < LINES; line++) {
        char *at = text_octets + line * LINE_OCTETS;
        for (size_t column = 0; column < LINE_OCTETS; column++)
            at[column] = (char)('a' + (line + column * (line % 7 + 1)) % 26);
        char number[8];
        snprintf(number, sizeof number, "%04zu ", line);
        memcpy(at, number, 5);
        memcpy(at + LINE_OCTETS - 2, "\r\n", 2);
    }
    for (size_t filled = PERIOD; filled < sizeof text_octets; filled += PERIOD)
        memcpy(text_octets + filled, text_octets, PERIOD);
}

UNUSED static const char *text_at(uint64_t offset) { return text_octets + offset % PERIOD; }

UNUSED static int is_text(const char *octets, size_t count, uint64_t offset) {
    while (count > 0) {
        size_t piece = count < STRETCH ? count : STRETCH;
        if (memcmp(octets, text_at(offset), piece) != 0) return 0;
        octets += piece;
        count -= piece;
        offset += piece;
    }
    return 1;
}

UNUSED static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Base64 (RFC 4648 section 4); room for the result and its NUL is the caller's business. */
UNUSED static void encode_base64(const char *octets, size_t count, char *result) {
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < count; i += 3) {
        size_t given = count - i < 3 ? count - i : 3;
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++) bits = bits << 8 | (k < given ? (uint8_t)octets[i + k] : 0U);
        for (size_t k = 0; k < 4; k++)
            *result++ = k <= given ? DIGITS[bits >> (18 - 6 * k) & 63] : '=';
    }
    *result = '\0';
}

/* The number of octets, or -1 for what is not Base64 or has no room.  A NUL is put behind them. */
UNUSED static int decode_base64(const char *digits, char *result, int room) {
    uint32_t bits = 0;
    int held = 0, count = 0;
    for (; *digits != '\0' && *digits != '='; digits++) {
        int c = (unsigned char)*digits, value;
        if (c >= 'A' && c <= 'Z') value = c - 'A';
        else if (c >= 'a' && c <= 'z') value = c - 'a' + 26;
        else if (c >= '0' && c <= '9') value = c - '0' + 52;
        else if (c == '+') value = 62;
        else if (c == '/') value = 63;
        else return -1;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held < 8) continue;
        held -= 8;
        if (count + 1 >= room) return -1;
        result[count++] = (char)(bits >> held & 255);
    }
    result[count] = '\0';
    return count;
}

/* As many open files as this process may have. */
UNUSED static void raise_open_files(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

UNUSED static int protocol_called(const char *name) {
    for (int protocol = 0; protocol < PROTOCOLS; protocol++)
        if (strcmp(name, PROTOCOL_NAMES[protocol]) == 0) return protocol;
    return -1;
}

UNUSED static struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}
#endif
