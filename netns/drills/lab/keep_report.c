// SPDX-License-Identifier: Apache-2.0
//
// What became of the clients of keep.c around a fault: those whose connection was idle and those
// that waited for an answer apart, and what each that was lost has seen.

#include "keep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *outcome_names[OUTCOME_COUNT] = {
    "pending", "answered", "reset", "closed", "timed_out", "wrong", "no_connection",
    "server_error"};

// Connections of one kind at the moment of the fault.
struct fates {
    uint32_t count, kept, reset, closed, hanging, wrong;
    // Lost, and told only when asked.
    uint32_t silent;
};

static double *times;
static size_t time_count;

static int compare(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double milliseconds(uint64_t at, uint64_t from) {
    return ((double)at - (double)from) / 1e6;
}

// Prints median, 99th part and maximum of `times` and empties it.
static void print_times(const char *name) {
    printf("\"%s\": {\"count\": %zu", name, time_count);
    if (time_count > 0) {
        qsort(times, time_count, sizeof *times, compare);
        printf(
            ", \"min\": %.3f, \"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f", times[0],
            times[time_count / 2], times[(size_t)((double)time_count * 0.99)],
            times[time_count - 1]);
    }
    printf("}, ");
    time_count = 0;
}

// MARK: Connections

static void count_fate(struct fates *fates, const struct client *client, uint64_t swept) {
    fates->count++;
    if (client->lost_how == PENDING) {
        // Nobody lost it; kept is what has answered.
        if (client->answered_at) fates->kept++;
        else fates->hanging++;
        return;
    }
    if (client->lost_how == TIMED_OUT) fates->hanging++;
    else if (client->lost_how == CLOSED) fates->closed++;
    else if (client->lost_how == WRONG) fates->wrong++;
    else fates->reset++;
    if (client->was_asked_by_sweep && client->lost_at >= swept) fates->silent++;
}

static void print_fates(const char *name, const struct fates *fates) {
    printf(
        "\"%s\": {\"count\": %u, \"kept\": %u, \"reset\": %u, \"closed\": %u, \"hanging\": %u, "
        "\"wrong\": %u, \"silent\": %u}, ", name, fates->count, fates->kept, fates->reset,
        fates->closed, fates->hanging, fates->wrong, fates->silent);
}

static void judge_connections(uint64_t fault, uint64_t swept) {
    char *was_busy = calloc(client_count, 1);
    struct fates idle = {0}, busy = {0}, posting = {0};
    uint32_t lost_before = 0;
    for (size_t index = 0; index < record_count; index++) {
        const struct record *record = &records[index];
        const struct client *client = &clients[record->client];
        if (record->incarnation == client->opened_incarnation && record->sent
            && record->sent <= fault && (record->outcome == PENDING || record->ended > fault))
            was_busy[record->client] = record->is_post ? 2 : 1;
    }
    for (uint32_t index = 0; index < client_count; index++) {
        const struct client *client = &clients[index];
        if (client->lost_how != PENDING && client->lost_at < fault) {
            lost_before++;
            continue;
        }
        struct fates *kinds[] = {&idle, &busy, &posting};
        count_fate(kinds[(int)was_busy[index]], client, swept);
        // When those that are not kept were told.
        if (client->lost_how != PENDING && client->lost_at < swept)
            times[time_count++] = milliseconds(client->lost_at, fault);
    }
    print_times("told_ms");
    print_fates("idle", &idle);
    print_fates("busy", &busy);
    print_fates("posting", &posting);
    printf("\"lost_before\": %u, ", lost_before);
    free(was_busy);
}

// MARK: Requests

// The request that was answered last after it was due.
static void print_slowest(uint64_t fault, int is_post) {
    const struct record *slowest = NULL;
    for (size_t index = 0; index < record_count; index++) {
        const struct record *record = &records[index];
        if (record->is_post != is_post || record->outcome != ANSWERED) continue;
        if (!slowest || record->ended - record->due > slowest->ended - slowest->due)
            slowest = record;
    }
    if (!slowest) return;
    printf(
        "\"slowest\": {\"client\": %u, \"port\": %u, \"due_ms\": %.3f, \"sent_ms\": %.3f, "
        "\"ended_ms\": %.3f}, ", slowest->client, clients[slowest->client].port,
        milliseconds(slowest->due, fault), milliseconds(slowest->sent, fault),
        milliseconds(slowest->ended, fault));
}

static void judge_requests(uint64_t fault, int is_post) {
    uint64_t outcomes[OUTCOME_COUNT] = {0}, in_flight = 0, in_flight_failed = 0, failed = 0;
    for (size_t index = 0; index < record_count; index++) {
        const struct record *record = &records[index];
        if (record->is_post != is_post) continue;
        outcomes[record->outcome]++;
        int is_failed = record->outcome != ANSWERED;
        failed += (uint64_t)is_failed;
        if (record->sent && record->sent <= fault
            && (record->outcome == PENDING || record->ended > fault)) {
            in_flight++;
            in_flight_failed += (uint64_t)is_failed;
        }
        if (!is_failed) times[time_count++] = milliseconds(record->ended, record->due);
    }
    printf("\"%s\": {", is_post ? "posts" : "gets");
    print_times("latency_ms");
    print_slowest(fault, is_post);
    for (size_t index = 0; index < record_count; index++) {
        const struct record *record = &records[index];
        if (record->is_post == is_post && record->outcome == ANSWERED && record->sent
            && record->sent <= fault && record->ended > fault)
            times[time_count++] = milliseconds(record->ended, fault);
    }
    // Requests that were in flight at the fault: when they were answered after all.
    print_times("carried_ms");
    for (int each = 0; each < OUTCOME_COUNT; each++)
        printf("\"%s\": %llu, ", outcome_names[each], (unsigned long long)outcomes[each]);
    printf(
        "\"failed\": %llu, \"in_flight\": %llu, \"in_flight_failed\": %llu}, ",
        (unsigned long long)failed, (unsigned long long)in_flight,
        (unsigned long long)in_flight_failed);
}

// The longest time without any answer that begins about when the fault does, and when it ends.
static void judge_gap(uint64_t fault, uint64_t swept) {
    for (size_t index = 0; index < record_count; index++)
        if (records[index].outcome == ANSWERED && records[index].ended + 50000000 > fault
            && records[index].ended < swept)
            times[time_count++] = milliseconds(records[index].ended, fault);
    qsort(times, time_count, sizeof *times, compare);
    double gap = 0, first = -1;
    for (size_t index = 1; index < time_count; index++) {
        if (times[index] < 0 || times[index - 1] > FAULT_MS_MAX) continue;
        if (times[index] - times[index - 1] <= gap) continue;
        gap = times[index] - times[index - 1];
        first = times[index];
    }
    time_count = 0;
    printf("\"gap_ms\": %.3f, \"resumed_ms\": %.3f, ", gap, first);
}

// MARK: Details

static void print_bytes(const char *bytes, size_t count) {
    for (size_t index = 0; index < count; index++) {
        unsigned char byte = (unsigned char)bytes[index];
        if (byte == '"' || byte == '\\') printf("\\%c", byte);
        else if (byte < 0x20 || byte > 0x7e) printf("\\u%04x", byte);
        else putchar(byte);
    }
}

static void print_details(uint64_t fault) {
    printf("\"details\": [");
    for (size_t index = 0; index < detail_count && index < DETAIL_MAX; index++) {
        const struct detail *detail = &details[index];
        printf(
            "%s{\"client\": %u, \"port\": %u, \"state\": \"%s\", \"what\": \"%s\", "
            "\"at_ms\": %.3f, \"number\": \"%016llx\", \"received\": %zu", index ? ", " : "",
            detail->client, detail->port, detail->was_busy ? "busy" : "idle",
            outcome_names[detail->outcome], milliseconds(detail->at, fault),
            (unsigned long long)detail->number, detail->received);
        if (detail->was_busy) printf(", \"due_ms\": %.3f", milliseconds(detail->due, fault));
        if (detail->outcome == WRONG) printf(", \"wrong_offset\": %zu", detail->wrong_offset);
        printf(", \"bytes\": \"");
        print_bytes(detail->bytes, detail->byte_count);
        printf("\"}");
    }
    printf("], \"details_seen\": %zu", detail_count);
}

void print_judgement(uint64_t fault, uint64_t swept) {
    times = calloc(record_count + client_count + 1, sizeof *times);
    if (!times) {
        perror("calloc");
        exit(1);
    }
    printf("{");
    judge_connections(fault, swept);
    judge_requests(fault, 0);
    judge_requests(fault, 1);
    judge_gap(fault, swept);
    printf("\"late_ms\": %.3f, ", (double)late_max / 1e6);
    print_details(fault);
    printf("}\n");
    fflush(stdout);
    free(times);
}

void print_outside(void) {
    printf("{\"answered\": %llu", (unsigned long long)outside.answered);
    for (int each = ANSWERED + 1; each < OUTCOME_COUNT; each++)
        printf(
            ", \"lost_%s\": %llu, \"failed_%s\": %llu", outcome_names[each],
            (unsigned long long)outside.lost[each], outcome_names[each],
            (unsigned long long)outside.failed[each]);
    printf(", \"clients\": %u}\n", client_count);
    fflush(stdout);
}
