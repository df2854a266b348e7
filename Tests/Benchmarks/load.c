// SPDX-License-Identifier: Apache-2.0
//
// The two ends of a benchmark, as light as they can be, so that a proxy between them is what has no
// time left: a backend with canned answers, and clients that ask again as soon as they are
// answered. Each end is one thread and needs two system calls a message.
//
//   load serve [ADDRESS:]PORT
//   load ask [ADDRESS:]PORT CONNECTIONS SECONDS REQUEST_FILE [close]
//   load turns CONNECTIONS MILLISECONDS BLOCKS REQUEST_FILE PLACE...
//
// Without an address it is that of the loopback interface.
//
// `ask` prints the requests answered and the 50th and 99th percentile in microseconds.
//
// `turns` compares proxies: it keeps its connections to all of them, and asks one at a time for
// some milliseconds. PLACE is NETWORK_NAMESPACE,ADDRESS:PORT,PID of a proxy. A block goes through
// all places and back again, so that what drifts slowly is the same for each, and begins one place
// later than the block before. For each slice it prints the place's number, the requests
// answered, the nanoseconds that all threads of the process ran and those of its busiest thread:
// both are exact, because the proxy has nothing to do when they are read.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTION_MAX = 4096, EVENT_MAX = 512, HEAD_MAX = 4096, SAMPLE_MAX = 8 << 20 };
enum { PLACE_MAX = 8, THREAD_MAX = 64 };

static char scratch[1 << 20];

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t now_microseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

static struct sockaddr_in place;

static void set_place(char *text) {
    char *colon = strchr(text, ':');
    place.sin_family = AF_INET;
    place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (colon) {
        *colon = 0;
        if (inet_pton(AF_INET, text, &place.sin_addr) != 1) fail(text);
    }
    place.sin_port = htons((uint16_t)atoi(colon ? colon + 1 : text));
}

static void watch(int epoll, int descriptor, uint32_t events, uint64_t token) {
    struct epoll_event event = {.events = events, .data.u64 = token};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) < 0) fail("epoll_ctl");
}

// MARK: The backend

struct answer {
    const char *path;
    size_t body_count;
    char *bytes;
    size_t count;
};

static struct answer answers[] = {
    {.path = "/empty", .body_count = 0},
    {.path = "/small", .body_count = 2},
    {.path = "/10k", .body_count = 10240},
    {.path = "/1m", .body_count = 1 << 20},
};
enum { ANSWER_COUNT = sizeof answers / sizeof answers[0] };

static void prepare_answers(void) {
    for (int index = 0; index < ANSWER_COUNT; index++) {
        struct answer *answer = &answers[index];
        answer->bytes = malloc(512 + answer->body_count);
        int head = sprintf(
            answer->bytes,
            "HTTP/1.1 200 OK\r\nServer: load\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\n"
            "Content-Type: text/plain\r\nContent-Length: %zu\r\nConnection: keep-alive\r\n\r\n",
            answer->body_count);
        memset(answer->bytes + head, 'x', answer->body_count);
        answer->count = (size_t)head + answer->body_count;
    }
}

struct served {
    size_t head_count;
    const char *rest;
    size_t rest_count;
    char head[HEAD_MAX];
    char session[256];
};

// Answers to `/session` with a cookie `session` that no other answer has; the bytes are the peer's
// own, for they may not leave at once.
static void begin_session(struct served *peer) {
    static uint64_t number;
    if (number == 0) number = (uint64_t)getpid() << 32;
    peer->rest = peer->session;
    peer->rest_count = (size_t)sprintf(
        peer->session,
        "HTTP/1.1 200 OK\r\nServer: load\r\nSet-Cookie: session=%016llx; Path=/\r\n"
        "Content-Length: 2\r\nConnection: keep-alive\r\n\r\nok",
        (unsigned long long)++number);
}

// Sends what is left of an answer; 0 when the kernel takes no more, -1 when the peer is gone.
static int send_rest(int descriptor, struct served *peer) {
    while (peer->rest_count > 0) {
        ssize_t sent = send(descriptor, peer->rest, peer->rest_count, MSG_NOSIGNAL);
        if (sent < 0) return errno == EAGAIN ? 0 : -1;
        peer->rest += sent;
        peer->rest_count -= (size_t)sent;
    }
    return 1;
}

static int serve_peer(int descriptor, struct served *peer) {
    if (peer->rest_count > 0) {
        int progress = send_rest(descriptor, peer);
        if (progress <= 0) return progress;
    }
    for (;;) {
        ssize_t received = recv(
            descriptor, peer->head + peer->head_count, HEAD_MAX - 1 - peer->head_count, 0);
        if (received < 0) return errno == EAGAIN ? 0 : -1;
        if (received == 0) return -1;
        peer->head_count += (size_t)received;
        peer->head[peer->head_count] = 0;
        if (!strstr(peer->head, "\r\n\r\n")) continue;
        const char *path = strchr(peer->head, ' ');
        struct answer *answer = &answers[1];
        for (int index = 0; path && index < ANSWER_COUNT; index++) {
            size_t count = strlen(answers[index].path);
            if (!strncmp(path + 1, answers[index].path, count)) answer = &answers[index];
        }
        peer->head_count = 0;
        peer->rest = answer->bytes;
        peer->rest_count = answer->count;
        if (path && !strncmp(path + 1, "/session", 8)) begin_session(peer);
        int progress = send_rest(descriptor, peer);
        if (progress <= 0) return progress;
        // A proxy waits for its answer: looking for a second request would cost a call.
        return 0;
    }
}

static void serve(void) {
    static struct served *peers[CONNECTION_MAX];
    prepare_answers();
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&place, sizeof place) < 0) fail("bind");
    if (listen(listener, 4096) < 0) fail("listen");
    int epoll = epoll_create1(0);
    watch(epoll, listener, EPOLLIN, (uint64_t)listener);
    for (;;) {
        struct epoll_event events[EVENT_MAX];
        int count = epoll_wait(epoll, events, EVENT_MAX, -1);
        for (int index = 0; index < count; index++) {
            int descriptor = (int)events[index].data.u64;
            if (descriptor == listener) {
                int accepted;
                while ((accepted = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    if (accepted >= CONNECTION_MAX) {
                        close(accepted);
                        continue;
                    }
                    peers[accepted] = calloc(1, sizeof *peers[accepted]);
                    watch(epoll, accepted, EPOLLIN | EPOLLOUT | EPOLLET, (uint64_t)accepted);
                }
            } else if (serve_peer(descriptor, peers[descriptor]) < 0) {
                free(peers[descriptor]);
                close(descriptor);
            }
        }
    }
}

// MARK: The clients

struct asking {
    int descriptor;
    uint64_t began;
    // Bytes of the answer that are missing; 0 while its head is awaited.
    size_t missing;
    size_t head_count;
    char head[HEAD_MAX];
};

static struct asking clients[CONNECTION_MAX];
static uint32_t *samples;
static size_t answered;
static char request[HEAD_MAX];
static size_t request_count;

static void ask(struct asking *client) {
    client->began = now_microseconds();
    client->missing = 0;
    client->head_count = 0;
    if (send(client->descriptor, request, request_count, MSG_NOSIGNAL) != (ssize_t)request_count)
        fail("send");
}

static void dial(int epoll, uint64_t number) {
    int descriptor = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (descriptor < 0) fail("socket");
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(descriptor, (struct sockaddr *)&place, sizeof place) < 0) fail("connect");
    clients[number].descriptor = descriptor;
    watch(epoll, descriptor, EPOLLIN | EPOLLET, number);
}

// Takes bytes of an answer; 1 when it is complete.
static int take(struct asking *client, const char *bytes, size_t count) {
    if (client->missing == 0) {
        size_t room = HEAD_MAX - 1 - client->head_count, part = count < room ? count : room;
        memcpy(client->head + client->head_count, bytes, part);
        client->head_count += part;
        client->head[client->head_count] = 0;
        char *end = strstr(client->head, "\r\n\r\n");
        if (!end) return 0;
        char *length = strcasestr(client->head, "content-length:");
        if (strncmp(client->head, "HTTP/1.1 200", 12) || !length || length > end) {
            fprintf(stderr, "unexpected answer: %.60s\n", client->head);
            exit(1);
        }
        size_t whole = (size_t)(end - client->head) + 4 + strtoul(length + 15, NULL, 10);
        size_t seen = client->head_count - part + count;
        client->missing = whole - seen;
        return client->missing == 0;
    }
    client->missing -= count;
    return client->missing == 0;
}

static int compare(const void *left, const void *right) {
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

static void run_clients(int connections, double seconds, int closes) {
    samples = malloc(SAMPLE_MAX * sizeof *samples);
    int epoll = epoll_create1(0);
    for (int number = 0; number < connections; number++) dial(epoll, (uint64_t)number);
    uint64_t end = now_microseconds() + (uint64_t)(seconds * 1e6);
    for (int number = 0; number < connections; number++) ask(&clients[number]);
    while (now_microseconds() < end) {
        struct epoll_event events[EVENT_MAX];
        int count = epoll_wait(epoll, events, EVENT_MAX, 1000);
        for (int index = 0; index < count; index++) {
            struct asking *client = &clients[events[index].data.u64];
            for (;;) {
                ssize_t received =
                    recv(client->descriptor, scratch, sizeof scratch, MSG_DONTWAIT);
                if (received < 0 && errno == EAGAIN) break;
                if (received <= 0) {
                    fprintf(stderr, "a connection ended early\n");
                    exit(1);
                }
                if (!take(client, scratch, (size_t)received)) {
                    if ((size_t)received < sizeof scratch) break;
                    continue;
                }
                if (answered < SAMPLE_MAX)
                    samples[answered] = (uint32_t)(now_microseconds() - client->began);
                answered++;
                if (closes) {
                    close(client->descriptor);
                    dial(epoll, events[index].data.u64);
                }
                ask(client);
                break;
            }
        }
    }
    size_t kept = answered < SAMPLE_MAX ? answered : SAMPLE_MAX;
    qsort(samples, kept, sizeof *samples, compare);
    printf("%zu %u %u\n", answered, samples[kept / 2], samples[kept * 99 / 100]);
}

// MARK: Proxies in turns

struct proxy {
    int thread_count;
    char threads[THREAD_MAX][64];
};

static struct proxy proxies[PLACE_MAX];

// Dials what NETWORK_NAMESPACE,ADDRESS:PORT,PID says.
static void dial_proxy(int epoll, char *text, int number, int connections) {
    char *where = strchr(text, ','), *pid = where ? strchr(where + 1, ',') : NULL;
    if (!pid) fail(text);
    *where = 0;
    *pid = 0;
    int space = open(text, O_RDONLY);
    if (space < 0 || setns(space, CLONE_NEWNET) < 0) fail(text);
    close(space);
    set_place(where + 1);
    for (int each = 0; each < connections; each++)
        dial(epoll, (uint64_t)(number * connections + each));
    char pattern[64];
    glob_t found;
    snprintf(pattern, sizeof pattern, "/proc/%s/task/*/schedstat", pid + 1);
    if (glob(pattern, 0, NULL, &found) != 0) fail(pattern);
    struct proxy *proxy = &proxies[number];
    for (size_t each = 0; each < found.gl_pathc && each < THREAD_MAX; each++)
        snprintf(proxy->threads[proxy->thread_count++], 64, "%s", found.gl_pathv[each]);
    globfree(&found);
}

static void read_times(const struct proxy *proxy, uint64_t *nanoseconds) {
    for (int each = 0; each < proxy->thread_count; each++) {
        char text[64];
        int file = open(proxy->threads[each], O_RDONLY);
        ssize_t count = file < 0 ? -1 : read(file, text, sizeof text - 1);
        if (count <= 0) fail(proxy->threads[each]);
        close(file);
        text[count] = 0;
        nanoseconds[each] = strtoull(text, NULL, 10);
    }
}

// Asks on the connections of one proxy until the time is over and everything is answered.
static size_t ask_for(int epoll, int first, int connections, uint64_t microseconds) {
    size_t requests = 0;
    int waiting = connections;
    uint64_t end = now_microseconds() + microseconds;
    for (int each = 0; each < connections; each++) ask(&clients[first + each]);
    while (waiting > 0) {
        struct epoll_event events[EVENT_MAX];
        int count = epoll_wait(epoll, events, EVENT_MAX, 5000);
        if (count == 0) {
            fprintf(stderr, "no answer for 5 s\n");
            exit(1);
        }
        int goes_on = now_microseconds() < end;
        for (int index = 0; index < count; index++) {
            struct asking *client = &clients[events[index].data.u64];
            ssize_t received;
            while ((received = recv(client->descriptor, scratch, sizeof scratch, MSG_DONTWAIT))
                   > 0) {
                if (!take(client, scratch, (size_t)received)) continue;
                requests++;
                if (goes_on) {
                    ask(client);
                } else {
                    waiting--;
                }
                break;
            }
            if (received == 0 || (received < 0 && errno != EAGAIN)) {
                fprintf(stderr, "a connection ended early\n");
                exit(1);
            }
        }
    }
    return requests;
}

static void print_slice(int epoll, int number, int connections, uint64_t microseconds) {
    static uint64_t before[THREAD_MAX], after[THREAD_MAX];
    const struct proxy *proxy = &proxies[number];
    read_times(proxy, before);
    size_t requests = ask_for(epoll, number * connections, connections, microseconds);
    // What a thread has run is exact once it waits.
    usleep(2000);
    read_times(proxy, after);
    uint64_t sum = 0, busiest = 0;
    for (int each = 0; each < proxy->thread_count; each++) {
        uint64_t used = after[each] - before[each];
        sum += used;
        if (used > busiest) busiest = used;
    }
    printf(
        "%d %zu %llu %llu\n", number, requests, (unsigned long long)sum,
        (unsigned long long)busiest);
}

static int run_turns(int count, char **arguments) {
    int connections = atoi(arguments[0]), blocks = atoi(arguments[2]), places = count - 4;
    uint64_t microseconds = (uint64_t)atoi(arguments[1]) * 1000;
    if (connections < 1 || places < 1 || places > PLACE_MAX) return 2;
    if (connections * places > CONNECTION_MAX) return 2;
    int epoll = epoll_create1(0);
    for (int number = 0; number < places; number++)
        dial_proxy(epoll, arguments[4 + number], number, connections);
    for (int number = 0; number < places; number++)
        ask_for(epoll, number * connections, connections, 2 * microseconds);
    for (int block = 0; block < blocks; block++) {
        for (int each = 0; each < places; each++)
            print_slice(epoll, (block + each) % places, connections, microseconds);
        for (int each = places - 1; each >= 0; each--)
            print_slice(epoll, (block + each) % places, connections, microseconds);
    }
    return 0;
}

static void read_request(const char *path) {
    FILE *file = fopen(path, "r");
    if (!file) fail(path);
    request_count = fread(request, 1, sizeof request, file);
    fclose(file);
}

int main(int count, char **arguments) {
    if (count > 6 && !strcmp(arguments[1], "turns")) {
        read_request(arguments[5]);
        return run_turns(count - 2, arguments + 2);
    }
    if (count > 2) set_place(arguments[2]);
    if (count == 3 && !strcmp(arguments[1], "serve")) serve();
    if (count < 6 || strcmp(arguments[1], "ask")) {
        fprintf(stderr, "usage: load serve PLACE | ask PLACE CONNECTIONS SECONDS FILE [close]\n");
        return 2;
    }
    read_request(arguments[5]);
    int connections = atoi(arguments[3]);
    if (connections < 1 || connections > CONNECTION_MAX) return 2;
    run_clients(connections, atof(arguments[4]), count > 6);
    return 0;
}
