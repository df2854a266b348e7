// SPDX-License-Identifier: Apache-2.0
//
// What the two files of the keep-alive clients share: the clients, what became of their requests,
// and where a judgement comes from.

#ifndef KEEP_H
#define KEEP_H

#include <stddef.h>
#include <stdint.h>

enum { HEAD_MAX = 1024, DETAIL_MAX = 40 };

/// A fault takes effect this long after its moment at the latest: a planned switchover begins with a
/// process, and so does a cable that is pulled. Who answered before that may not have been hit.
enum { FAULT_MS_MAX = 150 };

/// How a request or a connection ended.
enum outcome {
    PENDING, ANSWERED, RESET, CLOSED, TIMED_OUT, WRONG, NO_CONNECTION, SERVER_ERROR, OUTCOME_COUNT,
};

/// One request.
struct record {
    uint64_t due, sent, ended;
    uint32_t client, incarnation;
    uint8_t outcome;
    uint8_t is_post;
};

enum phase { UNUSED, CONNECTING, IDLE, BUSY };

/// One client and the connection it has now; `incarnation` counts those it has had.
struct client {
    int descriptor;
    enum phase phase;
    uint32_t incarnation;
    uint16_t port;
    uint32_t answers;
    size_t record;
    uint64_t number;
    size_t byte_count, body_received, head_count;
    int has_head;
    // The connection that it had when the window opened, and how that one was lost.
    uint32_t opened_incarnation;
    uint8_t lost_how;
    uint8_t was_asked_by_sweep;
    uint64_t lost_at;
    uint64_t answered_at;
    char head[HEAD_MAX];
};

/// Something that should not have happened, as it was seen.
struct detail {
    uint64_t at, due;
    uint32_t client;
    uint16_t port;
    uint8_t outcome, was_busy;
    uint64_t number;
    size_t received, wrong_offset;
    char bytes[96];
    size_t byte_count;
};

extern struct client *clients;
extern uint32_t client_count;
extern struct record *records;
extern size_t record_count;
extern struct detail details[DETAIL_MAX];
extern size_t detail_count;
extern uint64_t late_max;

/// What ended between two windows.
struct outside {
    uint64_t lost[OUTCOME_COUNT], failed[OUTCOME_COUNT], answered;
};
extern struct outside outside;

/// Prints one line of JSON about the window: `fault` and `swept` are moments of the clock that the
/// records have.
void print_judgement(uint64_t fault, uint64_t swept);

/// Prints one line of JSON about what happened since the last judgement.
void print_outside(void);

#endif
