// SPDX-License-Identifier: Apache-2.0
//
// A backend whose every answer follows from its request, so that a client knows each byte it has to
// get, and which writes down what it did, so that nothing done twice stays hidden.
//
//   mirror --name NAME --listen ADDRESS:PORT [--listen ...] [--ledger FILE]
//
// GET or POST /r/NUMBER/BYTES/MS (NUMBER: 16 hexadecimal digits) is answered after MS milliseconds
// by BYTES bytes of pattern.h, with the number in X-Number. /healthz says ok, any other path the
// name. The ledger gets one line for each request of the first kind when it has arrived whole:
// G or P, and the number.

#define _GNU_SOURCE
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

enum { CONNECTION_MAX = 16384, EVENT_MAX = 256, INPUT_MAX = 8192, WAITING_MAX = 8192 };

struct connection {
    int is_listener;
    uint32_t generation;
    size_t count;
    size_t body_missing;
    int is_busy;
    // What of the answer the socket did not take.
    char *output;
    size_t output_count, output_sent;
    char input[INPUT_MAX];
};

struct waiting {
    uint64_t due;
    uint64_t number;
    size_t byte_count;
    int descriptor;
    uint32_t generation;
};

static const char *name = "mirror";
static struct connection *connections[CONNECTION_MAX];
static uint32_t generation;
static struct waiting waiting[WAITING_MAX];
static size_t waiting_count;
static int epoll, ledger = -1;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void watch(int descriptor, uint32_t events, int operation) {
    struct epoll_event event = {.events = events, .data.fd = descriptor};
    if (epoll_ctl(epoll, operation, descriptor, &event) < 0) fail("epoll_ctl");
}

static void drop(int descriptor) {
    free(connections[descriptor]->output);
    free(connections[descriptor]);
    connections[descriptor] = NULL;
    close(descriptor);
}

// MARK: Answers

// Sends what is left; the connection takes its next request when all is out.
static void flush(int descriptor) {
    struct connection *connection = connections[descriptor];
    while (connection->output_sent < connection->output_count) {
        ssize_t sent = send(
            descriptor, connection->output + connection->output_sent,
            connection->output_count - connection->output_sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EAGAIN) return watch(descriptor, EPOLLOUT, EPOLL_CTL_MOD);
        if (sent < 0) return drop(descriptor);
        connection->output_sent += (size_t)sent;
    }
    free(connection->output);
    connection->output = NULL;
    connection->output_count = connection->output_sent = 0;
    connection->is_busy = 0;
    watch(descriptor, EPOLLIN, EPOLL_CTL_MOD);
}

static void answer(int descriptor, uint64_t number, const char *text, size_t byte_count) {
    struct connection *connection = connections[descriptor];
    connection->output = malloc(byte_count + 512);
    if (!connection->output) fail("malloc");
    int head = sprintf(
        connection->output,
        "HTTP/1.1 200 OK\r\nX-Backend: %s\r\nX-Number: %016llx\r\nContent-Length: %zu\r\n\r\n",
        name, (unsigned long long)number, byte_count);
    if (text) memcpy(connection->output + head, text, byte_count);
    else fill_pattern(number, connection->output + head, byte_count);
    connection->output_count = (size_t)head + byte_count;
    flush(descriptor);
}

static void note(char kind, uint64_t number) {
    char line[32];
    int count = sprintf(line, "%c %016llx\n", kind, (unsigned long long)number);
    if (ledger >= 0 && write(ledger, line, (size_t)count) != count) fail("ledger");
}

static void serve(int descriptor) {
    struct connection *connection = connections[descriptor];
    unsigned long long number, byte_count, milliseconds;
    char method[8], text[64];
    connection->is_busy = 1;
    if (sscanf(connection->input, "%7s /healthz", method) == 1
        && strstr(connection->input, " /healthz ")) return answer(descriptor, 0, "ok\n", 3);
    if (sscanf(
            connection->input, "%7s /r/%16llx/%llu/%llu ", method, &number, &byte_count,
            &milliseconds) != 4 || byte_count > PATTERN_MAX) {
        int count = snprintf(text, sizeof text, "%s\n", name);
        return answer(descriptor, 0, text, (size_t)count);
    }
    note(strcmp(method, "POST") ? 'G' : 'P', number);
    if (milliseconds == 0 || waiting_count == WAITING_MAX)
        return answer(descriptor, number, NULL, byte_count);
    waiting[waiting_count++] = (struct waiting){
        .due = now_ns() + milliseconds * 1000000, .number = number,
        .byte_count = byte_count, .descriptor = descriptor,
        .generation = connection->generation};
}

// MARK: Requests

static void readable(int descriptor) {
    struct connection *connection = connections[descriptor];
    size_t room = INPUT_MAX - 1 - connection->count;
    ssize_t count = recv(descriptor, connection->input + connection->count, room, 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) return drop(descriptor);
    connection->count += (size_t)count;
    connection->input[connection->count] = 0;
    char *end = strstr(connection->input, "\r\n\r\n");
    if (!end && connection->count == INPUT_MAX - 1) return drop(descriptor);
    if (!end) return;
    size_t length = 0, head = (size_t)(end - connection->input) + 4;
    char *field = strcasestr(connection->input, "\r\ncontent-length:");
    if (field && field < end) length = strtoul(field + 17, NULL, 10);
    if (head + length >= INPUT_MAX) return drop(descriptor);
    if (connection->count < head + length) return;
    // Nobody who talks to us sends a second request before the answer.
    connection->count = 0;
    serve(descriptor);
}

static void take(int listener) {
    int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
    if (descriptor < 0) return;
    if (descriptor >= CONNECTION_MAX) {
        close(descriptor);
        return;
    }
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connections[descriptor] = calloc(1, sizeof *connections[descriptor]);
    if (!connections[descriptor]) fail("calloc");
    connections[descriptor]->generation = ++generation;
    watch(descriptor, EPOLLIN, EPOLL_CTL_ADD);
}

static void listen_on(const char *text) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    char host[64] = "";
    int port = 0, on = 1;
    if (sscanf(text, "%63[^:]:%d", host, &port) != 2
        || inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        fprintf(stderr, "mirror: '%s' is no ADDRESS:PORT\n", text);
        exit(2);
    }
    address.sin_port = htons((uint16_t)port);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0
        || listen(listener, 4096) < 0) fail(text);
    connections[listener] = calloc(1, sizeof *connections[listener]);
    if (!connections[listener]) fail("calloc");
    connections[listener]->is_listener = 1;
    watch(listener, EPOLLIN, EPOLL_CTL_ADD);
}

// Answers what is due; returns the milliseconds until the next, or -1.
static int answer_due(void) {
    uint64_t now = now_ns(), next = UINT64_MAX;
    for (size_t index = 0; index < waiting_count;) {
        struct waiting each = waiting[index];
        if (each.due > now) {
            if (each.due < next) next = each.due;
            index++;
            continue;
        }
        waiting[index] = waiting[--waiting_count];
        struct connection *connection = connections[each.descriptor];
        if (connection && connection->generation == each.generation)
            answer(each.descriptor, each.number, NULL, each.byte_count);
    }
    return next == UINT64_MAX ? -1 : (int)((next - now) / 1000000 + 1);
}

static void handle(struct epoll_event event) {
    struct connection *connection = connections[event.data.fd];
    if (!connection) return;
    if (connection->is_listener) return take(event.data.fd);
    if (event.events & EPOLLOUT) return flush(event.data.fd);
    // Whoever waits for its answer has nothing to say but goodbye.
    if (connection->is_busy) return drop(event.data.fd);
    readable(event.data.fd);
}

int main(int count, char **words) {
    epoll = epoll_create1(EPOLL_CLOEXEC);
    signal(SIGPIPE, SIG_IGN);
    for (int index = 1; index + 1 < count; index += 2) {
        if (!strcmp(words[index], "--name")) name = words[index + 1];
        else if (!strcmp(words[index], "--listen")) listen_on(words[index + 1]);
        else if (!strcmp(words[index], "--ledger")) {
            ledger = open(words[index + 1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
            if (ledger < 0) fail(words[index + 1]);
        }
    }
    for (;;) {
        struct epoll_event events[EVENT_MAX];
        int ready = epoll_wait(epoll, events, EVENT_MAX, answer_due());
        for (int index = 0; index < ready; index++) handle(events[index]);
    }
}
