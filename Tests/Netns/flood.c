// SPDX-License-Identifier: Apache-2.0
//
// Sends the frames of a file again and again at a rate: flood INTERFACE FILE PER_SECOND COUNT.
// The file holds frames, each after its length in two bytes, most significant first. Prints how
// many frames the kernel took and in how many nanoseconds. Ends after COUNT frames, and after 20
// seconds in any case.

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BATCH = 64, FRAMES_MAX = 65536, SECONDS_MAX = 20 };

static unsigned char *contents;
static struct iovec frames[FRAMES_MAX];
static size_t frame_count;

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void read_frames(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) fail(path);
    long size = ftell(file);
    rewind(file);
    contents = malloc((size_t)size + 1);
    if (!contents || fread(contents, 1, (size_t)size, file) != (size_t)size) fail(path);
    fclose(file);
    for (long at = 0; at + 2 <= size && frame_count < FRAMES_MAX;) {
        long length = contents[at] << 8 | contents[at + 1];
        if (at + 2 + length > size) break;
        frames[frame_count].iov_base = contents + at + 2;
        frames[frame_count].iov_len = (size_t)length;
        frame_count++;
        at += 2 + length;
    }
    if (frame_count == 0) {
        fprintf(stderr, "no frames in %s\n", path);
        exit(1);
    }
}

static int open_socket(const char *interface) {
    int number = socket(AF_PACKET, SOCK_RAW, 0);
    if (number < 0) fail("socket");
    int one = 1;
    if (setsockopt(number, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof one) != 0)
        fail("PACKET_QDISC_BYPASS");
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(interface)};
    if (bind(number, (struct sockaddr *)&address, sizeof address) != 0) fail(interface);
    return number;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: flood INTERFACE FILE PER_SECOND COUNT\n");
        return 2;
    }
    read_frames(argv[2]);
    int number = open_socket(argv[1]);
    long long rate = atoll(argv[3]), count = atoll(argv[4]), sent = 0;
    struct mmsghdr messages[BATCH];
    memset(messages, 0, sizeof messages);
    long long start = now();
    while (sent < count && now() - start < SECONDS_MAX * 1000000000LL) {
        long long due = (long long)((double)(now() - start) * (double)rate / 1e9) - sent;
        if (due <= 0) {
            struct timespec pause = {.tv_nsec = 200000};
            nanosleep(&pause, NULL);
            continue;
        }
        if (due > BATCH) due = BATCH;
        if (due > count - sent) due = count - sent;
        for (long long index = 0; index < due; index++) {
            messages[index].msg_hdr.msg_iov = &frames[(size_t)(sent + index) % frame_count];
            messages[index].msg_hdr.msg_iovlen = 1;
        }
        int taken = sendmmsg(number, messages, (unsigned)due, 0);
        if (taken > 0) sent += taken;
        else if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR) fail("sendmmsg");
    }
    printf("%lld %lld\n", sent, now() - start);
    return 0;
}
