// SPDX-License-Identifier: Apache-2.0
//
// Open-loop clients: requests are due at moments drawn before anything is answered, and each
// latency counts from that moment, so a balancer that stalls cannot slow its own measurement down.
//
//   load --to ADDRESS:PORT --out FILE [--rate R] [--seconds S] [--work US:SIGMA] [--path P]
//        [--method M] [--sessions N:SKEW] [--sources ADDRESS:N] [--timeout MS] [--seed N]
//
// Arrivals are a Poisson process. X-Work says what a request costs: lognormal with this mean. The
// same seed gives the same requests. Each session keeps its cookies and its own connections; the
// i-th comes from the i-th address of --sources. Its share falls with its rank to the power SKEW.
//
// FILE: one line of numbers about the run, then a line for each request:
//   due_us latency_us outcome session reused backend session_word
// outcome is a status, or -1 no connection, -2 reset, -3 timeout, -4 cut short, -5 no descriptor.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    DESCRIPTOR_MAX = 16384, HEAD_MAX = 4096, EVENT_MAX = 256, COOKIE_MAX = 4, SESSION_MAX = 65536,
};
enum outcome {
    NO_CONNECTION = -1, RESET = -2, TIMED_OUT = -3, CUT_SHORT = -4, NO_DESCRIPTOR = -5,
};

struct record {
    uint64_t due;
    uint32_t latency;
    int32_t session;
    int16_t outcome;
    uint8_t reused;
    char backend[12];
    char word[8];
};

// One connection and the request it carries.
struct connection {
    int session;
    int is_connected;
    int is_busy;
    int is_chunked;
    int answers;
    int closes;
    int previous_idle, next_idle;
    int newer, older;
    uint64_t due, sent;
    uint32_t work;
    size_t head_count;
    uint64_t missing;
    char tail[5];
    int has_head;
    int status;
    char backend[12], word[8];
    char head[HEAD_MAX];
};

struct session {
    int idle;
    struct sockaddr_in source;
    struct { char name[24]; char value[256]; } cookies[COOKIE_MAX];
};

static struct connection *connections[DESCRIPTOR_MAX];
static struct session *sessions;
static double *shares;
static struct record *records;
static size_t record_count, record_max;
static int epoll, session_count = 1, oldest = -1, newest = -1, in_flight;
static uint64_t start, late_max;
static volatile sig_atomic_t is_told_to_stop;

static struct sockaddr_in target, sources;
static int source_count;
static double rate = 100, seconds = 10, work_mean, work_sigma, skew;
static const char *path = "/", *method = "GET", *out_path;
static uint64_t timeout = 10000000000ull, random_state = 1;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

// Between 0 and 1, never either.
static double draw(void) {
    random_state += 0x9e3779b97f4a7c15ull;
    uint64_t value = random_state;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebull;
    value ^= value >> 31;
    return ((double)(value >> 11) + 0.5) / 9007199254740992.0;
}

static double draw_normal(void) {
    return sqrt(-2 * log(draw())) * cos(2 * 3.14159265358979323846 * draw());
}

// MARK: Lists: idle connections of a session, busy ones by age

static void make_idle(int descriptor) {
    struct connection *connection = connections[descriptor];
    struct session *session = &sessions[connection->session];
    connection->previous_idle = -1;
    connection->next_idle = session->idle;
    if (session->idle >= 0) connections[session->idle]->previous_idle = descriptor;
    session->idle = descriptor;
}

static void leave_idle(int descriptor) {
    struct connection *connection = connections[descriptor];
    if (connection->previous_idle >= 0)
        connections[connection->previous_idle]->next_idle = connection->next_idle;
    else sessions[connection->session].idle = connection->next_idle;
    if (connection->next_idle >= 0)
        connections[connection->next_idle]->previous_idle = connection->previous_idle;
}

static void make_busy(int descriptor) {
    struct connection *connection = connections[descriptor];
    connection->is_busy = 1;
    connection->older = newest;
    connection->newer = -1;
    if (newest >= 0) connections[newest]->newer = descriptor;
    else oldest = descriptor;
    newest = descriptor;
    in_flight++;
}

static void leave_busy(int descriptor) {
    struct connection *connection = connections[descriptor];
    connection->is_busy = 0;
    if (connection->older >= 0) connections[connection->older]->newer = connection->newer;
    else oldest = connection->newer;
    if (connection->newer >= 0) connections[connection->newer]->older = connection->older;
    else newest = connection->older;
    in_flight--;
}

// MARK: Requests

static void note(struct record record) {
    if (record_count < record_max) records[record_count++] = record;
}

static void end(int descriptor, int outcome) {
    struct connection *connection = connections[descriptor];
    if (connection->is_busy) {
        struct record record = {
            .due = (connection->due - start) / 1000,
            .latency = (uint32_t)((now_ns() - connection->due) / 1000),
            .outcome = (int16_t)outcome, .session = connection->session,
            .reused = connection->answers > 0};
        memcpy(record.backend, connection->backend, sizeof record.backend);
        memcpy(record.word, connection->word, sizeof record.word);
        note(record);
        leave_busy(descriptor);
    } else {
        leave_idle(descriptor);
    }
}

static void drop(int descriptor, int outcome) {
    end(descriptor, outcome);
    free(connections[descriptor]);
    connections[descriptor] = NULL;
    close(descriptor);
}

static void transmit(int descriptor) {
    struct connection *connection = connections[descriptor];
    struct session *session = &sessions[connection->session];
    char text[HEAD_MAX];
    int count = snprintf(
        text, sizeof text, "%s %s HTTP/1.1\r\nHost: drill\r\nX-Work: %u\r\n", method, path,
        connection->work);
    const char *separator = "Cookie: ";
    for (int index = 0; index < COOKIE_MAX && *session->cookies[index].name; index++) {
        count += snprintf(
            text + count, sizeof text - (size_t)count, "%s%s=%s", separator,
            session->cookies[index].name, session->cookies[index].value);
        separator = "; ";
    }
    if (*separator == ';') count += sprintf(text + count, "\r\n");
    count += sprintf(
        text + count, "%s", strcmp(method, "GET") ? "Content-Length: 4\r\n\r\nwork" : "\r\n");
    connection->head_count = 0;
    connection->has_head = connection->is_chunked = connection->status = connection->closes = 0;
    connection->backend[0] = connection->word[0] = 0;
    if (send(descriptor, text, (size_t)count, MSG_NOSIGNAL) != count) drop(descriptor, RESET);
}

// A descriptor; -1 when the connection fails at once, -2 when there are too many.
static int dial(int number) {
    int on = 1, descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0 || descriptor >= DESCRIPTOR_MAX) {
        if (descriptor >= 0) close(descriptor);
        return -2;
    }
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (source_count) {
        setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        struct sockaddr_in *source = &sessions[number].source;
        if (bind(descriptor, (struct sockaddr *)source, sizeof *source) < 0) fail("bind");
    }
    connections[descriptor] = calloc(1, sizeof *connections[descriptor]);
    connections[descriptor]->session = number;
    int result = connect(descriptor, (struct sockaddr *)&target, sizeof target);
    if (result < 0 && errno != EINPROGRESS) {
        free(connections[descriptor]);
        connections[descriptor] = NULL;
        close(descriptor);
        return -1;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = descriptor};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) < 0) fail("epoll_ctl");
    return descriptor;
}

static int draw_session(void) {
    double value = draw();
    int low = 0, high = session_count - 1;
    while (low < high) {
        int middle = (low + high) / 2;
        if (shares[middle] < value) low = middle + 1;
        else high = middle;
    }
    return low;
}

static void ask(uint64_t due) {
    // All is drawn here, in the order of arrivals, whatever becomes of the requests before.
    int number = draw_session();
    double work = work_mean;
    if (work_sigma > 0)
        work *= exp(work_sigma * draw_normal() - work_sigma * work_sigma / 2);
    int descriptor = sessions[number].idle;
    if (descriptor >= 0) leave_idle(descriptor);
    else descriptor = dial(number);
    if (descriptor < 0) {
        int outcome = descriptor == -2 ? NO_DESCRIPTOR : NO_CONNECTION;
        note((struct record){
            .due = (due - start) / 1000, .outcome = (int16_t)outcome, .session = number});
        return;
    }
    connections[descriptor]->due = due;
    connections[descriptor]->work = (uint32_t)work;
    make_busy(descriptor);
    if (connections[descriptor]->is_connected) transmit(descriptor);
}

// MARK: Answers

static void copy_field(const char *head, const char *field, char *value, size_t size) {
    const char *at = strcasestr(head, field);
    if (!at) return;
    at += strlen(field);
    at += strspn(at, " ");
    size_t count = strcspn(at, "\r\n");
    if (count >= size) count = size - 1;
    memcpy(value, at, count);
    value[count] = 0;
}

static void keep_cookies(struct session *session, const char *head) {
    for (const char *at = head; (at = strcasestr(at, "\r\nset-cookie:")); at += 2) {
        const char *name = at + 13 + strspn(at + 13, " ");
        size_t name_count = strcspn(name, "=\r\n"), count;
        const char *value = name + name_count + 1;
        count = strcspn(value, ";\r\n");
        if (name[name_count] != '=' || name_count >= sizeof session->cookies[0].name
            || count >= sizeof session->cookies[0].value) continue;
        for (int index = 0; index < COOKIE_MAX; index++) {
            char *known = session->cookies[index].name;
            if (*known && (strlen(known) != name_count || memcmp(known, name, name_count)))
                continue;
            memcpy(known, name, name_count);
            known[name_count] = 0;
            memcpy(session->cookies[index].value, value, count);
            session->cookies[index].value[count] = 0;
            break;
        }
    }
}

// Reads the head; 1 when it is whole, -1 when it is none.
static int read_head(struct connection *connection) {
    char *finish = strstr(connection->head, "\r\n\r\n");
    if (!finish) return connection->head_count == HEAD_MAX - 1 ? -1 : 0;
    if (strncmp(connection->head, "HTTP/1.1 ", 9)) return -1;
    finish[2] = 0;
    connection->has_head = 1;
    connection->status = atoi(connection->head + 9);
    copy_field(connection->head, "\r\nx-backend:", connection->backend, 12);
    copy_field(connection->head, "\r\nx-session:", connection->word, 8);
    keep_cookies(&sessions[connection->session], connection->head);
    char text[32] = "";
    copy_field(connection->head, "\r\ncontent-length:", text, sizeof text);
    connection->missing = strtoull(text, NULL, 10);
    *text = 0;
    copy_field(connection->head, "\r\ntransfer-encoding:", text, sizeof text);
    connection->is_chunked = !strcasecmp(text, "chunked");
    *text = 0;
    copy_field(connection->head, "\r\nconnection:", text, sizeof text);
    connection->closes = !strcasecmp(text, "close");
    memset(connection->tail, 0, sizeof connection->tail);
    return 1;
}

// Takes body bytes; 1 at their end.
static int read_body(struct connection *connection, const char *bytes, size_t count) {
    if (!connection->is_chunked) {
        connection->missing -= count < connection->missing ? count : connection->missing;
        return connection->missing == 0;
    }
    // Our backends' pieces hold no line that looks like the last one.
    for (size_t index = 0; index < count; index++) {
        memmove(connection->tail, connection->tail + 1, 4);
        connection->tail[4] = bytes[index];
    }
    return !memcmp(connection->tail, "0\r\n\r\n", 5);
}

// 1 when the answer is complete, -1 when it is none.
static int take(struct connection *connection, char *bytes, size_t count) {
    if (connection->has_head) return read_body(connection, bytes, count);
    size_t room = HEAD_MAX - 1 - connection->head_count, part = count < room ? count : room;
    memcpy(connection->head + connection->head_count, bytes, part);
    size_t before = connection->head_count;
    connection->head_count += part;
    connection->head[connection->head_count] = 0;
    int result = read_head(connection);
    if (result <= 0) return result;
    size_t head = strlen(connection->head) + 2;
    return read_body(connection, bytes + (head - before), count - (head - before));
}

static void readable(int descriptor) {
    static char bytes[1 << 16];
    for (;;) {
        struct connection *connection = connections[descriptor];
        ssize_t received = recv(descriptor, bytes, sizeof bytes, 0);
        if (received < 0 && errno == EAGAIN) return;
        if (received <= 0) {
            int outcome = !connection->is_connected ? NO_CONNECTION
                : received < 0 ? RESET : connection->has_head ? CUT_SHORT : RESET;
            return drop(descriptor, outcome);
        }
        if (!connection->is_busy) return drop(descriptor, CUT_SHORT);
        int result = take(connection, bytes, (size_t)received);
        if (result < 0) return drop(descriptor, CUT_SHORT);
        if (result == 0) continue;
        if (connection->closes) return drop(descriptor, connection->status);
        end(descriptor, connection->status);
        connection->answers++;
        make_idle(descriptor);
    }
}

static void ready(int descriptor, uint32_t events) {
    struct connection *connection = connections[descriptor];
    if (!connection) return;
    if (!connection->is_connected) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error) return drop(descriptor, NO_CONNECTION);
        if (!(events & EPOLLOUT)) return;
        connection->is_connected = 1;
        transmit(descriptor);
        if (!connections[descriptor]) return;
    }
    readable(descriptor);
}

// MARK: The run

static void prepare(void) {
    sessions = calloc((size_t)session_count, sizeof *sessions);
    shares = calloc((size_t)session_count, sizeof *shares);
    double total = 0;
    for (int index = 0; index < session_count; index++) {
        sessions[index].idle = -1;
        sessions[index].source = sources;
        if (source_count) {
            uint32_t number = ntohl(sources.sin_addr.s_addr) + (uint32_t)(index % source_count);
            sessions[index].source.sin_addr.s_addr = htonl(number);
        }
        total += pow(index + 1, -skew);
        shares[index] = total;
    }
    for (int index = 0; index < session_count; index++) shares[index] /= total;
    record_max = (size_t)(rate * seconds * 1.5) + 10000;
    records = calloc(record_max, sizeof *records);
    epoll = epoll_create1(EPOLL_CLOEXEC);
}

static void expire(uint64_t now) {
    while (oldest >= 0 && connections[oldest]->due + timeout < now) drop(oldest, TIMED_OUT);
}

static void run(void) {
    start = now_ns();
    uint64_t due = start, finish = start + (uint64_t)(seconds * 1e9);
    for (;;) {
        uint64_t now = now_ns();
        while (due <= now && due < finish && !is_told_to_stop) {
            if (now - due > late_max) late_max = now - due;
            ask(due);
            due += (uint64_t)(-log(draw()) / rate * 1e9);
        }
        expire(now);
        int is_over = due >= finish || is_told_to_stop;
        if (is_over && in_flight == 0) return;
        uint64_t wait = is_over || due > now + 50000000 ? 50000000 : due > now ? due - now : 0;
        struct timespec time = {0, (long)wait};
        struct epoll_event events[EVENT_MAX];
        int count = epoll_pwait2(epoll, events, EVENT_MAX, &time, NULL);
        for (int index = 0; index < count; index++)
            ready(events[index].data.fd, events[index].events);
    }
}

static void write_records(void) {
    FILE *file = fopen(out_path, "w");
    if (!file) fail(out_path);
    fprintf(
        file, "%llu %llu %zu\n", (unsigned long long)start, (unsigned long long)late_max / 1000,
        record_count);
    for (size_t index = 0; index < record_count; index++) {
        struct record *record = &records[index];
        fprintf(
            file, "%llu %u %d %d %d %s %s\n", (unsigned long long)record->due, record->latency,
            record->outcome, record->session, record->reused,
            *record->backend ? record->backend : "-", *record->word ? record->word : "-");
    }
    if (fclose(file)) fail(out_path);
}

static void read_address(const char *text, struct sockaddr_in *address, int *number) {
    char host[64] = "";
    address->sin_family = AF_INET;
    if (sscanf(text, "%63[^:]:%d", host, number) != 2
        || inet_pton(AF_INET, host, &address->sin_addr) != 1) {
        fprintf(stderr, "load: '%s' is no ADDRESS:NUMBER\n", text);
        exit(2);
    }
}

static void stop(int signal) {
    (void)signal;
    is_told_to_stop = 1;
}

int main(int count, char **words) {
    int port = 0;
    for (int index = 1; index + 1 < count; index += 2) {
        const char *key = words[index], *value = words[index + 1];
        if (!strcmp(key, "--to")) read_address(value, &target, &port);
        else if (!strcmp(key, "--sources")) read_address(value, &sources, &source_count);
        else if (!strcmp(key, "--out")) out_path = value;
        else if (!strcmp(key, "--rate")) rate = atof(value);
        else if (!strcmp(key, "--seconds")) seconds = atof(value);
        else if (!strcmp(key, "--work")) sscanf(value, "%lf:%lf", &work_mean, &work_sigma);
        else if (!strcmp(key, "--path")) path = value;
        else if (!strcmp(key, "--method")) method = value;
        else if (!strcmp(key, "--sessions")) sscanf(value, "%d:%lf", &session_count, &skew);
        else if (!strcmp(key, "--timeout")) timeout = strtoull(value, NULL, 10) * 1000000;
        else if (!strcmp(key, "--seed")) random_state = strtoull(value, NULL, 10);
        else fprintf(stderr, "load: unknown argument %s\n", key);
    }
    if (!out_path || !port || session_count < 1 || session_count > SESSION_MAX) {
        fprintf(stderr, "usage: load --to ADDRESS:PORT --out FILE ...\n");
        return 2;
    }
    target.sin_port = htons((uint16_t)port);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    prepare();
    run();
    write_records();
    return 0;
}
