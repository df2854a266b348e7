// SPDX-License-Identifier: Apache-2.0
//
// The sessions of a backend, in its own memory or in Redis, where any backend finds them.

#define _GNU_SOURCE
#include "backend.h"

#include <hiredis/hiredis.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { SLOT_COUNT = 1 << 16 };

static enum { STORE_OFF, STORE_MEMORY, STORE_REDIS } store = STORE_OFF;
static uint64_t slots[SLOT_COUNT];
static redisContext *redis;
static uint64_t next_number;

int keep_sessions(const char *word, const char *address, int port) {
    store = STORE_OFF;
    if (!strcmp(word, "memory")) store = STORE_MEMORY;
    if (strcmp(word, "redis")) return 0;
    struct timeval limit = {1, 0};
    redis = redisConnectWithTimeout(address, port, limit);
    if (!redis || redis->err) return -1;
    redisSetTimeout(redis, limit);
    store = STORE_REDIS;
    return 0;
}

int sessions_are_on(void) { return store != STORE_OFF; }

void read_session(const char *head, char *session, size_t size) {
    snprintf(session, size, "-");
    const char *cookies = strcasestr(head, "\r\ncookie:");
    if (!cookies) return;
    const char *end = strstr(cookies + 2, "\r\n"), *value = strstr(cookies, "sid=");
    if (!value || (end && value > end)) return;
    size_t count = strcspn(value + 4, "; \r\n");
    if (count == 0 || count >= size) return;
    memcpy(session, value + 4, count);
    session[count] = 0;
}

// True when the number was there before.
static int remember(uint64_t number) {
    size_t at = (size_t)(number * 11400714819323198485ull >> 48) % SLOT_COUNT;
    for (size_t step = 0; step < SLOT_COUNT; step++, at = (at + 1) % SLOT_COUNT) {
        if (slots[at] == number) return 1;
        if (slots[at] == 0) {
            slots[at] = number;
            return 0;
        }
    }
    return 0;
}

// How often the session was used before; -1 when the store does not answer.
static long long use(const char *session) {
    if (store == STORE_MEMORY) return remember(strtoull(session, NULL, 16));
    redisReply *reply = redisCommand(redis, "INCR session:%s", session);
    if (!reply) return -1;
    long long count = reply->type == REDIS_REPLY_INTEGER ? reply->integer - 1 : -1;
    freeReplyObject(reply);
    return count;
}

void visit_session(const char *session, char *fields, size_t size) {
    char made[48];
    int is_new = !strcmp(session, "-");
    if (is_new) {
        struct timespec time;
        clock_gettime(CLOCK_REALTIME, &time);
        // Unique among the backends: a process each, one number each.
        uint64_t number = (uint64_t)getpid() << 44 ^ (uint64_t)time.tv_nsec << 14 ^ ++next_number;
        snprintf(made, sizeof made, "%016llx", (unsigned long long)number);
        session = made;
    }
    long long count = use(session);
    if (is_new)
        snprintf(fields, size, "X-Session: new\r\nSet-Cookie: sid=%s; Path=/\r\n", session);
    else snprintf(fields, size, "X-Session: %s\r\n", count > 0 ? "known" : "lost");
}
