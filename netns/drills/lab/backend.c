// SPDX-License-Identifier: Apache-2.0
//
// A backend that queues like a real server and misbehaves when told to, for the drills of this
// folder. A few workers serve one request each, the others wait in line; serving takes time, not
// CPU, so that two cores are enough for a pool of backends. One thread, one process a backend.
//
//   backend --name NAME --listen ADDRESS:PORT --control SOCKET
//
// A request says in X-Work how many microseconds it costs; /long/MS and /stream/MS take so long
// beside the workers, the latter sending all the time. /healthz and /readyz are answered at once
// unless told otherwise. The control socket (unix) takes one line and answers one:
//
//   workers N            requests served at once (4)
//   slow FACTOR          serving takes so many times longer (1)
//   stall MS EVERY       the whole process stands still for MS, about every EVERY ms; 0 0 = never
//   cold FACTOR COUNT    FACTOR times slower at first, a third of it left after COUNT requests
//   depend MS            serving and /readyz wait so much longer for something that all share
//   traffic ok|hang|reset, traffic status CODE SHARE
//   healthz ok|fail|hang, readyz ok|fail|hang
//   sessions off|memory|redis ADDRESS PORT
//   stats, series        counts as JSON; requests in each 10 ms since the start

#define _GNU_SOURCE
#include "backend.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    CONNECTION_MAX = 16384, EVENT_MAX = 256, INPUT_MAX = 8192,
    TASK_MAX = 16384, BUCKET_MAX = 60000, STREAM_STEP_NS = 20000000,
};
#define BUCKET_NS 10000000ull

enum answer { ANSWER_OK, ANSWER_FAIL, ANSWER_HANG, ANSWER_RESET };
enum kind { KIND_WORK, KIND_DIRECT, KIND_STREAM };

struct connection {
    uint32_t generation;
    int is_control;
    int is_busy;
    size_t count;
    size_t body_missing;
    char input[INPUT_MAX];
};

// Something that is due at a moment of the backend's own clock, which stands still in a stall.
struct task {
    uint64_t due;
    uint64_t cost;
    uint64_t end;
    uint32_t generation;
    int descriptor;
    int status;
    enum kind kind;
    char session[48];
};

static const char *name = "backend";
static struct connection *connections[CONNECTION_MAX];
static uint32_t generations[CONNECTION_MAX];
static struct task heap[TASK_MAX], line[TASK_MAX];
static size_t heap_count, line_head, line_count;
static unsigned busy_workers;

static struct {
    unsigned workers;
    double slow, cold_factor, cold_count;
    uint64_t depend, stall, stall_every;
    enum answer traffic, healthz, readyz;
    int status;
    double share;
} setting = {.workers = 4, .slow = 1, .status = 503, .share = 1};

static struct {
    uint64_t traffic, answered, failed, dropped, checks, work_ns, waiting_max;
} counts;

static uint64_t started, stalled_total, stall_begin, stall_end, next_stall;
static uint32_t buckets[BUCKET_MAX];
static uint64_t random_state = 88172645463325252ull;

void fail(const char *what) {
    perror(what);
    exit(1);
}

static uint64_t real_now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static double draw(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (double)(random_state >> 11) / 9007199254740992.0;
}

// MARK: The clock that stalls

static void plan_stall(uint64_t now) {
    next_stall = setting.stall_every
        ? now + (uint64_t)((0.5 + draw()) * (double)setting.stall_every) : UINT64_MAX;
}

// The backend's own time; begins and ends stalls on the way.
static uint64_t own_now(uint64_t now) {
    if (stall_end && now >= stall_end) {
        stalled_total += stall_end - stall_begin;
        stall_end = 0;
        plan_stall(now);
    }
    if (!stall_end && now >= next_stall) {
        stall_begin = now;
        stall_end = now + setting.stall;
    }
    return (stall_end ? stall_begin : now) - stalled_total;
}

// MARK: What is due when

static void put(struct task task) {
    if (heap_count == TASK_MAX) return;
    size_t at = heap_count++;
    while (at > 0 && heap[(at - 1) / 2].due > task.due) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = task;
}

static struct task take(void) {
    struct task first = heap[0], last = heap[--heap_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap_count) break;
        if (child + 1 < heap_count && heap[child + 1].due < heap[child].due) child++;
        if (heap[child].due >= last.due) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return first;
}

// MARK: Answers

static void forget(int descriptor, int resets) {
    struct connection *connection = connections[descriptor];
    if (!connection) return;
    if (resets) {
        struct linger linger = {1, 0};
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    if (connection->is_busy) counts.dropped++;
    free(connection);
    connections[descriptor] = NULL;
    generations[descriptor]++;
    close(descriptor);
}

static void serve(int descriptor);

static void send_text(int descriptor, const char *text, size_t count) {
    // Answers are far smaller than the socket's buffer; who does not read is not worth keeping.
    if (send(descriptor, text, count, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)count)
        forget(descriptor, 1);
}

static void answer(int descriptor, int status, const char *fields) {
    char text[512];
    int count = snprintf(
        text, sizeof text,
        "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nX-Backend: %s\r\n%sContent-Length: %zu\r\n"
        "\r\n%s\n", status, status < 400 ? "OK" : "Failing", name, fields, strlen(name) + 1, name);
    connections[descriptor]->is_busy = 0;
    send_text(descriptor, text, (size_t)count);
    if (connections[descriptor]) serve(descriptor);
}

static void begin(struct task task, uint64_t own) {
    double factor = setting.slow;
    if (setting.cold_factor > 1)
        factor *= 1 + (setting.cold_factor - 1)
            * exp(-(double)counts.answered / setting.cold_count);
    uint64_t cost = (uint64_t)((double)task.cost * factor) + setting.depend;
    counts.work_ns += cost;
    task.due = own + cost;
    busy_workers++;
    put(task);
}

static int is_current(const struct task *task) {
    return connections[task->descriptor] && generations[task->descriptor] == task->generation;
}

static void start_waiting(uint64_t own) {
    while (line_count > 0 && busy_workers < setting.workers) {
        struct task next = line[line_head];
        line_head = (line_head + 1) % TASK_MAX;
        line_count--;
        // Whoever gave up meanwhile costs nothing.
        if (is_current(&next)) begin(next, own);
    }
}

static void stream(struct task task, uint64_t own) {
    static const char piece[] = "10\r\n0123456789abcdef\r\n";
    if (own >= task.end) {
        connections[task.descriptor]->is_busy = 0;
        counts.answered++;
        send_text(task.descriptor, "0\r\n\r\n", 5);
        if (connections[task.descriptor]) serve(task.descriptor);
        return;
    }
    send_text(task.descriptor, piece, sizeof piece - 1);
    task.due = own + STREAM_STEP_NS;
    put(task);
}

static void finish(struct task task, uint64_t own) {
    if (task.kind == KIND_WORK) {
        busy_workers--;
        start_waiting(own);
    }
    if (!is_current(&task)) return;
    if (task.kind == KIND_STREAM) {
        stream(task, own);
        return;
    }
    if (task.kind == KIND_WORK) counts.answered++;
    char fields[128] = "";
    if (*task.session) visit_session(task.session, fields, sizeof fields);
    answer(task.descriptor, task.status, fields);
}

// MARK: Requests

static void check(int descriptor, enum answer how, uint64_t due) {
    counts.checks++;
    if (how == ANSWER_HANG) return;
    put((struct task){
        .due = due, .kind = KIND_DIRECT, .descriptor = descriptor,
        .generation = generations[descriptor], .status = how == ANSWER_OK ? 200 : 503});
}

static void work(struct task task, const char *head, uint64_t own) {
    const char *cost = strcasestr(head, "\r\nx-work:");
    task.cost = cost ? strtoull(cost + 9, NULL, 10) * 1000 : 1000000;
    task.kind = KIND_WORK;
    if (sessions_are_on()) read_session(head, task.session, sizeof task.session);
    if (busy_workers < setting.workers) {
        begin(task, own);
    } else if (line_count < TASK_MAX) {
        line[(line_head + line_count++) % TASK_MAX] = task;
        if (line_count > counts.waiting_max) counts.waiting_max = line_count;
    } else {
        answer(task.descriptor, 503, "");
    }
}

static void request(int descriptor, const char *head, uint64_t now) {
    struct connection *connection = connections[descriptor];
    uint64_t own = own_now(now);
    const char *path = strchr(head, ' ');
    path = path ? path + 1 : "/";
    connection->is_busy = 1;
    if (!strncmp(path, "/healthz", 8)) return check(descriptor, setting.healthz, own);
    if (!strncmp(path, "/readyz", 7))
        return check(descriptor, setting.readyz, own + setting.depend);

    counts.traffic++;
    size_t bucket = (now - started) / BUCKET_NS;
    if (bucket < BUCKET_MAX) buckets[bucket]++;
    struct task task = {
        .due = own, .descriptor = descriptor, .generation = generations[descriptor],
        .status = 200};
    if (setting.traffic == ANSWER_HANG) return;
    if (setting.traffic == ANSWER_RESET) return forget(descriptor, 1);
    if (setting.traffic == ANSWER_FAIL && draw() < setting.share) {
        counts.failed++;
        task.kind = KIND_DIRECT;
        task.status = setting.status;
        task.due = own + 1000000;
        put(task);
    } else if (!strncmp(path, "/long/", 6)) {
        task.kind = KIND_DIRECT;
        task.due = own + strtoull(path + 6, NULL, 10) * 1000000;
        put(task);
    } else if (!strncmp(path, "/stream/", 8)) {
        char text[256];
        int count = snprintf(
            text, sizeof text, "HTTP/1.1 200 OK\r\nX-Backend: %s\r\n"
            "Transfer-Encoding: chunked\r\n\r\n", name);
        send_text(descriptor, text, (size_t)count);
        if (!connections[descriptor]) return;
        task.kind = KIND_STREAM;
        task.end = own + strtoull(path + 8, NULL, 10) * 1000000;
        put(task);
    } else {
        work(task, head, own);
    }
}

// Takes whole requests out of the input, one at a time.
static void serve(int descriptor) {
    struct connection *connection = connections[descriptor];
    while (connection && !connection->is_busy) {
        if (connection->body_missing) {
            size_t part = connection->count < connection->body_missing
                ? connection->count : connection->body_missing;
            memmove(connection->input, connection->input + part, connection->count - part);
            connection->count -= part;
            connection->body_missing -= part;
            if (connection->body_missing) return;
        }
        connection->input[connection->count] = 0;
        char *end = strstr(connection->input, "\r\n\r\n");
        if (!end) {
            if (connection->count == INPUT_MAX - 1) forget(descriptor, 1);
            return;
        }
        end[2] = 0;
        char *length = strcasestr(connection->input, "\r\ncontent-length:");
        size_t body = length ? strtoul(length + 17, NULL, 10) : 0;
        size_t head = (size_t)(end - connection->input) + 4;
        char text[INPUT_MAX];
        memcpy(text, connection->input, head);
        memmove(connection->input, connection->input + head, connection->count - head);
        connection->count -= head;
        connection->body_missing = body;
        request(descriptor, text, real_now());
        connection = connections[descriptor];
    }
}

// MARK: Control

static enum answer answer_named(const char *word) {
    if (!strcmp(word, "ok")) return ANSWER_OK;
    if (!strcmp(word, "hang")) return ANSWER_HANG;
    return strcmp(word, "reset") ? ANSWER_FAIL : ANSWER_RESET;
}

static void print_series(int descriptor) {
    static char text[BUCKET_MAX * 6 + 128];
    size_t last = (real_now() - started) / BUCKET_NS, count;
    if (last >= BUCKET_MAX) last = BUCKET_MAX - 1;
    count = (size_t)sprintf(text, "%llu", (unsigned long long)started);
    for (size_t index = 0; index <= last; index++)
        count += (size_t)sprintf(text + count, " %u", buckets[index] % 10000);
    text[count++] = '\n';
    for (size_t sent = 0; sent < count;) {
        ssize_t part = send(descriptor, text + sent, count - sent, MSG_NOSIGNAL);
        if (part <= 0) return;
        sent += (size_t)part;
    }
}

static void command(int descriptor, char *text) {
    char words[5][64] = {{0}};
    int count = sscanf(
        text, "%63s %63s %63s %63s %63s", words[0], words[1], words[2], words[3], words[4]);
    double first = atof(words[1]), second = atof(words[2]);
    char reply[512] = "done\n";
    if (!strcmp(words[0], "workers")) setting.workers = (unsigned)first;
    else if (!strcmp(words[0], "slow")) setting.slow = first;
    else if (!strcmp(words[0], "depend")) setting.depend = (uint64_t)(first * 1e6);
    else if (!strcmp(words[0], "stall")) {
        setting.stall = (uint64_t)(first * 1e6);
        setting.stall_every = (uint64_t)(second * 1e6);
        if (!stall_end) plan_stall(real_now());
    } else if (!strcmp(words[0], "cold")) {
        setting.cold_factor = first;
        setting.cold_count = second > 0 ? second : 1;
    } else if (!strcmp(words[0], "traffic")) {
        setting.traffic = answer_named(words[1]);
        if (count > 2) setting.status = atoi(words[2]);
        setting.share = count > 3 ? atof(words[3]) : 1;
    } else if (!strcmp(words[0], "healthz")) setting.healthz = answer_named(words[1]);
    else if (!strcmp(words[0], "readyz")) setting.readyz = answer_named(words[1]);
    else if (!strcmp(words[0], "sessions")) {
        if (keep_sessions(words[1], words[2], atoi(words[3])) < 0)
            strcpy(reply, "failed: no session store\n");
    } else if (!strcmp(words[0], "series")) return print_series(descriptor);
    else if (!strcmp(words[0], "stats"))
        snprintf(
            reply, sizeof reply,
            "{\"name\":\"%s\",\"traffic\":%llu,\"answered\":%llu,\"failed\":%llu,\"dropped\":%llu,"
            "\"checks\":%llu,\"busy\":%u,\"waiting\":%zu,\"waiting_max\":%llu,\"work_ms\":%llu}\n",
            name, (unsigned long long)counts.traffic, (unsigned long long)counts.answered,
            (unsigned long long)counts.failed, (unsigned long long)counts.dropped,
            (unsigned long long)counts.checks, busy_workers, line_count,
            (unsigned long long)counts.waiting_max, (unsigned long long)counts.work_ns / 1000000);
    else strcpy(reply, "failed: no such command\n");
    send_text(descriptor, reply, strlen(reply));
}

static void serve_control(int descriptor) {
    struct connection *connection = connections[descriptor];
    connection->input[connection->count] = 0;
    char *end = strchr(connection->input, '\n');
    if (!end) return;
    *end = 0;
    connection->count = 0;
    command(descriptor, connection->input);
}

// MARK: The loop

static void watch(int epoll, int descriptor) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) < 0) fail("epoll_ctl");
}

static void accept_all(int epoll, int listener, int is_control) {
    int accepted, on = 1;
    int flags = is_control ? 0 : SOCK_NONBLOCK;
    while ((accepted = accept4(listener, NULL, NULL, flags | SOCK_CLOEXEC)) >= 0) {
        if (accepted >= CONNECTION_MAX) {
            close(accepted);
            continue;
        }
        if (!is_control) setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connections[accepted] = calloc(1, sizeof *connections[accepted]);
        connections[accepted]->is_control = is_control;
        connections[accepted]->generation = generations[accepted];
        watch(epoll, accepted);
    }
}

static void readable(int descriptor) {
    struct connection *connection = connections[descriptor];
    if (!connection) return;
    ssize_t received = recv(
        descriptor, connection->input + connection->count,
        INPUT_MAX - 1 - connection->count, MSG_DONTWAIT);
    if (received < 0 && errno == EAGAIN) return;
    // A full input with a request in hand is a client that pipelines without end.
    if (received <= 0) return forget(descriptor, 0);
    connection->count += (size_t)received;
    if (connection->is_control) serve_control(descriptor);
    else serve(descriptor);
}

static int listen_on(const char *text) {
    char host[64] = "";
    int port = 0, on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET};
    if (sscanf(text, "%63[^:]:%d", host, &port) != 2) fail(text);
    address.sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) fail(host);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
    if (listen(listener, 4096) < 0) fail("listen");
    return listener;
}

static int listen_for_control(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    unlink(path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) fail(path);
    if (listen(listener, 16) < 0) fail("listen");
    return listener;
}

// How long nothing happens by itself, in nanoseconds.
static uint64_t idle_time(uint64_t now) {
    uint64_t own = own_now(now), until = stall_end ? stall_end : next_stall;
    if (!stall_end && heap_count > 0) {
        uint64_t due = heap[0].due > own ? now + (heap[0].due - own) : now;
        if (due < until) until = due;
    }
    if (until > now + 1000000000) until = now + 1000000000;
    return until > now ? until - now : 0;
}

int main(int count, char **words) {
    const char *address = NULL, *control = NULL;
    for (int index = 1; index + 1 < count; index += 2) {
        if (!strcmp(words[index], "--name")) name = words[index + 1];
        else if (!strcmp(words[index], "--listen")) address = words[index + 1];
        else if (!strcmp(words[index], "--control")) control = words[index + 1];
    }
    if (!address || !control) {
        fprintf(stderr, "usage: backend --name NAME --listen ADDRESS:PORT --control SOCKET\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    started = real_now();
    next_stall = UINT64_MAX;
    for (const char *byte = name; *byte; byte++)
        random_state = random_state * 1099511628211ull + (uint64_t)(unsigned char)*byte;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on(address), controller = listen_for_control(control);
    watch(epoll, listener);
    watch(epoll, controller);
    for (;;) {
        struct epoll_event events[EVENT_MAX];
        uint64_t wait = idle_time(real_now());
        struct timespec time = {(time_t)(wait / 1000000000), (long)(wait % 1000000000)};
        int ready = epoll_pwait2(epoll, events, EVENT_MAX, &time, NULL);
        for (int index = 0; index < ready; index++) {
            int descriptor = events[index].data.fd;
            if (descriptor == listener || descriptor == controller)
                accept_all(epoll, descriptor, descriptor == controller);
            else readable(descriptor);
        }
        uint64_t own = own_now(real_now());
        while (heap_count > 0 && heap[0].due <= own && !stall_end) finish(take(), own);
    }
}
