// SPDX-License-Identifier: Apache-2.0
//
// Thousands of clients that keep their connections and ask now and then, at one steady rate
// together, around faults. Every byte of every answer is checked; requests are due at fixed moments,
// so that a balancer that stalls cannot slow its own measurement down.
//
//   keep --to ADDRESS:PORT | [ADDRESS]:PORT [--clients N] [--rate R] [--bytes MIN:MAX]
//        [--slow SHARE:MS] [--posts SHARE] [--patience MS] [--seed N]
//
// Lines on standard input, each answered by a line of JSON:
//   open          all have a connection that has answered; a window begins, load flows
//   judge WALL    no more load; every client that has not been answered since the fault (WALL: its
//                 wall clock in ns) asks once more; then what became of everybody. Load flows again.
// The answer to `open` tells what happened since the last judgement.

#define _GNU_SOURCE
#include "keep.h"
#include "pattern.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENT_MAX = 512, RECORD_MAX = 4 << 20, DIALS_PER_SECOND = 5000, INPUT_MAX = 128 };

struct client *clients;
uint32_t client_count = 100;
struct record *records;
size_t record_count;
struct detail details[DETAIL_MAX];
size_t detail_count;
uint64_t late_max;
struct outside outside;

static struct sockaddr_storage target;
static socklen_t target_size;
static double rate = 100, slow_share, post_share;
static size_t bytes_min = 100, bytes_max = 300;
static unsigned slow_ms;
static uint64_t patience = 5000000000ull, random_state = 1, next_number = 1;
static int epoll, in_window;
static uint32_t busy_count, connecting_count;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t clock_ns(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static uint64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

static uint64_t draw(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static double draw_share(void) { return (double)(draw() >> 11) / 9007199254740992.0; }

// MARK: Ends

static void note_detail(uint32_t index, enum outcome outcome, size_t wrong_offset) {
    const struct client *client = &clients[index];
    if (detail_count++ >= DETAIL_MAX) return;
    struct detail *detail = &details[detail_count - 1];
    int is_busy = client->phase == BUSY;
    *detail = (struct detail){
        .at = now_ns(), .client = index, .port = client->port, .outcome = (uint8_t)outcome,
        .was_busy = (uint8_t)is_busy, .number = client->number, .wrong_offset = wrong_offset,
        .due = is_busy ? records[client->record].due : 0,
        .received = client->body_received + (client->has_head ? 0 : client->head_count)};
    detail->byte_count = client->head_count < sizeof detail->bytes
        ? client->head_count : sizeof detail->bytes;
    memcpy(detail->bytes, client->head, detail->byte_count);
}

static void end_request(uint32_t index, enum outcome outcome) {
    struct client *client = &clients[index];
    struct record *record = &records[client->record];
    record->ended = now_ns();
    record->outcome = (uint8_t)outcome;
    if (!in_window && outcome != ANSWERED) outside.failed[outcome]++;
    if (!in_window && outcome == ANSWERED) outside.answered++;
}

static void drop(uint32_t index, enum outcome outcome, size_t wrong_offset) {
    struct client *client = &clients[index];
    // A connection that never was is no connection lost; its request is.
    if (client->phase != CONNECTING) {
        note_detail(index, outcome, wrong_offset);
        if (in_window && client->incarnation == client->opened_incarnation) {
            client->lost_how = (uint8_t)outcome;
            client->lost_at = now_ns();
        }
        if (!in_window) outside.lost[outcome]++;
    }
    if (client->phase == BUSY || client->phase == CONNECTING) end_request(index, outcome);
    if (client->phase == BUSY) busy_count--;
    if (client->phase == CONNECTING) connecting_count--;
    // No farewell that would wait for whoever is gone.
    struct linger at_once = {1, 0};
    setsockopt(client->descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(client->descriptor);
    client->descriptor = -1;
    client->phase = UNUSED;
}

// MARK: Requests

static void transmit(uint32_t index) {
    struct client *client = &clients[index];
    struct record *record = &records[client->record];
    char text[256], body[64];
    client->number = (next_number++ << 16) | (index & 0xffff);
    client->byte_count = bytes_min + draw() % (bytes_max - bytes_min + 1);
    client->head_count = client->body_received = 0;
    client->has_head = 0;
    unsigned delay = draw_share() < slow_share ? slow_ms : 0;
    int count = snprintf(
        text, sizeof text, "%s /r/%016llx/%zu/%u HTTP/1.1\r\nHost: drill\r\n%s\r\n",
        record->is_post ? "POST" : "GET", (unsigned long long)client->number, client->byte_count,
        delay, record->is_post ? "Content-Length: 64\r\n" : "");
    if (record->is_post) {
        fill_pattern(client->number, body, sizeof body);
        memcpy(text + count, body, sizeof body);
        count += (int)sizeof body;
    }
    client->phase = BUSY;
    busy_count++;
    record->sent = now_ns();
    record->incarnation = client->incarnation;
    if (send(client->descriptor, text, (size_t)count, MSG_NOSIGNAL) != count)
        drop(index, RESET, 0);
}

static void dial(uint32_t index) {
    struct client *client = &clients[index];
    int on = 1;
    client->descriptor = socket(target.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->descriptor < 0) fail("socket");
    setsockopt(client->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    client->incarnation++;
    client->answers = 0;
    client->phase = CONNECTING;
    connecting_count++;
    int result = connect(client->descriptor, (struct sockaddr *)&target, target_size);
    if (result < 0 && errno != EINPROGRESS) return drop(index, NO_CONNECTION, 0);
    struct epoll_event event = {.events = EPOLLOUT, .data.u32 = index};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, client->descriptor, &event) < 0) fail("epoll_ctl");
}

static void ask(uint32_t index, uint64_t due, int is_post) {
    struct client *client = &clients[index];
    if (record_count == RECORD_MAX) return;
    client->record = record_count++;
    records[client->record] = (struct record){
        .due = due, .client = index, .is_post = (uint8_t)is_post,
        .incarnation = client->incarnation};
    if (client->phase == IDLE) transmit(index);
    else dial(index);
}

// MARK: Answers

// The head is whole: checks what it says; false when it is not what was asked for.
static int read_head(struct client *client) {
    char number[17] = "", *at;
    sprintf(number, "%016llx", (unsigned long long)client->number);
    if (strncmp(client->head, "HTTP/1.1 200 ", 13)) return 0;
    if (!(at = strcasestr(client->head, "\r\nx-number: ")) || strncmp(at + 12, number, 16)) return 0;
    at = strcasestr(client->head, "\r\ncontent-length: ");
    client->has_head = 1;
    return at && strtoul(at + 18, NULL, 10) == client->byte_count;
}

// Takes bytes of an answer; -1 when one is wrong, 1 at the end of the answer.
static int take(struct client *client, const char *bytes, size_t count, size_t *offset) {
    if (!client->has_head) {
        size_t before = client->head_count, room = HEAD_MAX - 1 - before;
        size_t part = count < room ? count : room;
        memcpy(client->head + before, bytes, part);
        client->head_count += part;
        client->head[client->head_count] = 0;
        char *end = memmem(client->head, client->head_count, "\r\n\r\n", 4);
        if (!end) return client->head_count == HEAD_MAX - 1 ? -1 : 0;
        size_t used = (size_t)(end - client->head) + 4 - before;
        client->head_count = before + used;
        end[2] = 0;
        if (!read_head(client)) return -1;
        bytes += used;
        count -= used;
    }
    if (client->body_received + count > client->byte_count) {
        *offset = client->byte_count;
        return -1;
    }
    for (size_t index = 0; index < count; index++) {
        if (bytes[index] == pattern_byte(client->number, client->body_received)) {
            client->body_received++;
            continue;
        }
        *offset = client->body_received;
        // The wrong bytes are worth more than the head.
        client->head_count = count - index < HEAD_MAX ? count - index : HEAD_MAX - 1;
        memcpy(client->head, bytes + index, client->head_count);
        return -1;
    }
    return client->body_received == client->byte_count;
}

static void answered(uint32_t index) {
    struct client *client = &clients[index];
    end_request(index, ANSWERED);
    client->answers++;
    client->answered_at = now_ns();
    client->phase = IDLE;
    busy_count--;
}

// Whether a whole answer is an error that the balancer may give.
static int is_server_error(const struct client *client) {
    return client->head_count >= 12 && !memcmp(client->head, "HTTP/1.1 5", 10);
}

static void readable(uint32_t index) {
    static char bytes[1 << 16];
    struct client *client = &clients[index];
    ssize_t count = recv(client->descriptor, bytes, sizeof bytes, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count < 0) return drop(index, RESET, 0);
    if (count == 0) return drop(index, CLOSED, 0);
    if (client->phase != BUSY) {
        // Nobody asked.
        client->head_count = (size_t)count < HEAD_MAX ? (size_t)count : HEAD_MAX - 1;
        client->body_received = 0;
        memcpy(client->head, bytes, client->head_count);
        return drop(index, WRONG, 0);
    }
    size_t offset = 0;
    int result = take(client, bytes, (size_t)count, &offset);
    if (result < 0) return drop(index, is_server_error(client) ? SERVER_ERROR : WRONG, offset);
    if (result > 0) answered(index);
}

static void connected(uint32_t index) {
    struct client *client = &clients[index];
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(client->descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error) return drop(index, NO_CONNECTION, 0);
    struct sockaddr_storage own;
    socklen_t own_size = sizeof own;
    getsockname(client->descriptor, (struct sockaddr *)&own, &own_size);
    // The port is at the same place in both families.
    client->port = ntohs(((struct sockaddr_in *)&own)->sin_port);
    connecting_count--;
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, client->descriptor, &event) < 0) fail("epoll_ctl");
    transmit(index);
}

static void expire(uint64_t now) {
    for (uint32_t index = 0; index < client_count; index++) {
        struct client *client = &clients[index];
        if (client->phase != BUSY && client->phase != CONNECTING) continue;
        if (records[client->record].due + patience < now) drop(index, TIMED_OUT, 0);
    }
}

// MARK: The loop

// Waits until `until` at the latest and handles what came; true when standard input is readable.
static int turn(uint64_t until) {
    static uint64_t expired_at;
    uint64_t now = now_ns();
    if (now - expired_at > 20000000) {
        expire(now);
        expired_at = now;
    }
    uint64_t wait = until <= now ? 0 : until - now < 20000000 ? until - now : 20000000;
    struct timespec time = {0, (long)wait};
    struct epoll_event events[EVENT_MAX];
    int has_line = 0, count = epoll_pwait2(epoll, events, EVENT_MAX, &time, NULL);
    for (int each = 0; each < count; each++) {
        uint32_t index = events[each].data.u32;
        if (index == UINT32_MAX) has_line = 1;
        else if (clients[index].phase == CONNECTING) connected(index);
        else if (clients[index].phase != UNUSED) readable(index);
    }
    return has_line;
}

static uint32_t pick(void) {
    for (int tries = 0; tries < 64; tries++) {
        uint32_t index = (uint32_t)(draw() % client_count);
        if (clients[index].phase == IDLE || clients[index].phase == UNUSED) return index;
    }
    return UINT32_MAX;
}

static uint64_t next_due;

// Load until standard input has a line.
static void flow(void) {
    uint64_t interval = (uint64_t)(1e9 / rate);
    next_due = now_ns();
    for (;;) {
        uint64_t now = now_ns();
        while (next_due <= now) {
            if (now - next_due > late_max) late_max = now - next_due;
            uint32_t index = pick();
            // With everybody waiting nobody asks; what is due then is asked later, and late.
            if (index == UINT32_MAX) break;
            ask(index, next_due, draw_share() < post_share);
            next_due += interval;
        }
        if (turn(next_due)) return;
    }
}

// Asks everybody for whom `wants` holds once, at a bounded rate, and waits for all answers.
static void ask_all(int (*wants)(const struct client *), int for_sweep) {
    uint64_t due = now_ns();
    for (uint32_t index = 0; index < client_count; index++) {
        if (!wants(&clients[index])) continue;
        while (now_ns() < due) turn(due);
        if (!wants(&clients[index])) continue;
        if (for_sweep) clients[index].was_asked_by_sweep = 1;
        ask(index, now_ns(), 0);
        due += 1000000000ull / DIALS_PER_SECOND;
    }
    while (busy_count > 0 || connecting_count > 0) turn(now_ns() + 20000000);
}

static int has_no_answer(const struct client *client) {
    return client->phase == UNUSED || (client->phase == IDLE && client->answers == 0);
}

static uint64_t unheard_since;

static int is_unheard(const struct client *client) {
    return client->phase == IDLE && client->incarnation == client->opened_incarnation
        && client->answered_at <= unheard_since;
}

// MARK: Commands

static void open_window(void) {
    uint64_t deadline = now_ns() + 30000000000ull;
    for (;;) {
        ask_all(has_no_answer, 0);
        uint32_t missing = 0;
        for (uint32_t index = 0; index < client_count; index++)
            missing += (uint32_t)has_no_answer(&clients[index]);
        if (missing == 0) break;
        if (now_ns() > deadline) {
            fprintf(stderr, "keep: %u clients get no answer\n", missing);
            exit(1);
        }
    }
    for (uint32_t index = 0; index < client_count; index++) {
        clients[index].opened_incarnation = clients[index].incarnation;
        clients[index].lost_how = PENDING;
        clients[index].was_asked_by_sweep = 0;
        clients[index].lost_at = clients[index].answered_at = 0;
    }
    print_outside();
    memset(&outside, 0, sizeof outside);
    record_count = detail_count = 0;
    late_max = 0;
    in_window = 1;
}

static void judge(uint64_t wall) {
    uint64_t fault_at = wall - (clock_ns(CLOCK_REALTIME) - now_ns());
    uint64_t hit_at = fault_at + FAULT_MS_MAX * 1000000ull;
    uint64_t swept = now_ns();
    // Whoever waits is answered or given up first.
    while (busy_count > 0 || connecting_count > 0) turn(now_ns() + 20000000);
    unheard_since = hit_at;
    ask_all(is_unheard, 1);
    for (uint32_t index = 0; index < client_count; index++)
        if (clients[index].answered_at <= hit_at) clients[index].answered_at = 0;
    print_judgement(fault_at, swept);
    record_count = detail_count = 0;
    in_window = 0;
}

// One line of standard input; false at its end.
static int obey(void) {
    static char line[INPUT_MAX];
    static size_t count;
    for (;;) {
        ssize_t got = read(STDIN_FILENO, line + count, 1);
        if (got < 0 && errno == EAGAIN) return 1;
        if (got <= 0) return 0;
        if (line[count] != '\n' && count < sizeof line - 2) {
            count++;
            continue;
        }
        line[count] = 0;
        count = 0;
        unsigned long long wall;
        if (!strcmp(line, "open")) open_window();
        else if (sscanf(line, "judge %llu", &wall) == 1) judge(wall);
        else fprintf(stderr, "keep: what is '%s'?\n", line);
    }
}

static void read_target(const char *text) {
    char host[64] = "";
    int port = 0;
    struct sockaddr_in *four = (struct sockaddr_in *)&target;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&target;
    if (sscanf(text, "[%63[^]]]:%d", host, &port) == 2
        && inet_pton(AF_INET6, host, &six->sin6_addr) == 1) {
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)port);
        target_size = sizeof *six;
    } else if (
        sscanf(text, "%63[^:]:%d", host, &port) == 2
        && inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t)port);
        target_size = sizeof *four;
    } else {
        fprintf(stderr, "keep: '%s' is no ADDRESS:PORT\n", text);
        exit(2);
    }
}

static void read_arguments(int count, char **words) {
    for (int index = 1; index + 1 < count; index += 2) {
        const char *key = words[index], *value = words[index + 1];
        if (!strcmp(key, "--to")) read_target(value);
        else if (!strcmp(key, "--clients")) client_count = (uint32_t)strtoul(value, NULL, 10);
        else if (!strcmp(key, "--rate")) rate = atof(value);
        else if (!strcmp(key, "--bytes")) sscanf(value, "%zu:%zu", &bytes_min, &bytes_max);
        else if (!strcmp(key, "--slow")) sscanf(value, "%lf:%u", &slow_share, &slow_ms);
        else if (!strcmp(key, "--posts")) post_share = atof(value);
        else if (!strcmp(key, "--patience")) patience = strtoull(value, NULL, 10) * 1000000;
        else if (!strcmp(key, "--seed")) random_state += strtoull(value, NULL, 10) << 8;
        else fprintf(stderr, "keep: unknown argument %s\n", key);
    }
    if (!target_size || client_count < 1 || client_count > 60000 || rate <= 0
        || bytes_max < bytes_min || bytes_max > PATTERN_MAX) {
        fprintf(stderr, "usage: keep --to ADDRESS:PORT [--clients N] [--rate R] ...\n");
        exit(2);
    }
}

int main(int count, char **words) {
    read_arguments(count, words);
    signal(SIGPIPE, SIG_IGN);
    clients = calloc(client_count, sizeof *clients);
    records = calloc(RECORD_MAX, sizeof *records);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
    fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    if (!clients || !records || epoll_ctl(epoll, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0)
        fail("keep");
    while (obey()) flow();
    return 0;
}
