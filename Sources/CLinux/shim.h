/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Swift's Glibc module lacks or cannot call: kernel headers it does not import, variadic
 * calls, function-like macros and transparent unions. No logic. _GNU_SOURCE is left undefined (it
 * changes types that the Glibc module has already fixed), so a few GNU functions are declared here.
 */
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <net/if_arp.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* linux/tcp.h has it since Linux 6.15, and clashes with netinet/tcp.h. */
#define TANDEM_TCP_RTO_MIN_US 45

extern int accept4(int fd, struct sockaddr *address, socklen_t *length, int flags);
extern int epoll_pwait2(int epfd, struct epoll_event *events, int maxevents,
                        const struct timespec *timeout, const sigset_t *sigmask);
extern int pipe2(int ends[2], int flags);
extern int pidfd_open(pid_t process, unsigned int flags);
extern int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
extern int pthread_setname_np(pthread_t thread, const char *name);
extern int unshare(int flags);
extern int setns(int fd, int nstype);

/* Macros and enumerations that differ between the C and the Swift view of glibc. */
static inline int tandem_errno(void) { return errno; }
static inline void tandem_ignore_signal(int number) { signal(number, SIG_IGN); }
static inline int tandem_get_descriptor_limit(struct rlimit *limit) {
    return getrlimit(RLIMIT_NOFILE, limit);
}
static inline int tandem_set_descriptor_limit(const struct rlimit *limit) {
    return setrlimit(RLIMIT_NOFILE, limit);
}
static inline int tandem_set_nice(int nice) { return setpriority(PRIO_PROCESS, 0, nice); }
static inline int tandem_usable_cores(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int count = 0;
    for (size_t i = 0; i < sizeof set; i++)
        count += __builtin_popcount(((const unsigned char *)&set)[i]);
    return count > 0 ? count : 1;
}

/* accept4 and bind take a transparent union in glibc's own prototypes. */
static inline int tandem_accept4(int fd, void *address, socklen_t *length, int flags) {
    return accept4(fd, (struct sockaddr *)address, length, flags);
}
static inline int tandem_bind(int fd, const void *address, socklen_t length) {
    return bind(fd, (const struct sockaddr *)address, length);
}
static inline int tandem_connect(int fd, const void *address, socklen_t length) {
    return connect(fd, (const struct sockaddr *)address, length);
}
static inline int tandem_getsockname(int fd, void *address, socklen_t *length) {
    return getsockname(fd, (struct sockaddr *)address, length);
}
static inline int tandem_getpeername(int fd, void *address, socklen_t *length) {
    return getpeername(fd, (struct sockaddr *)address, length);
}
static inline ssize_t tandem_sendto(int fd, const void *bytes, size_t count, int flags,
                                    const void *address, socklen_t length) {
    return sendto(fd, bytes, count, flags, (const struct sockaddr *)address, length);
}
static inline ssize_t tandem_recvfrom(int fd, void *bytes, size_t count, int flags,
                                      void *address, socklen_t *length) {
    return recvfrom(fd, bytes, count, flags, (struct sockaddr *)address, length);
}

/*
 * Ancillary data: what RFC 3542 puts beside an IPv6 packet. The library's own struct in6_pktinfo is
 * hidden without _GNU_SOURCE.
 */
struct tandem_packet_information {
    struct in6_addr address;
    unsigned int interface_index;
};
struct tandem_carrier {
    struct sockaddr_in6 source;
    struct tandem_packet_information arrival;
    int hop_limit; /* -1 when the kernel did not say */
};
static inline ssize_t tandem_send_from(int fd, const void *bytes, size_t count, int flags,
                                       const void *destination, socklen_t length,
                                       const struct tandem_packet_information *origin) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof *origin)];
    } control;
    memset(&control, 0, sizeof control);
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
    struct msghdr message = {.msg_name = (void *)destination, .msg_namelen = length,
                             .msg_iov = &part, .msg_iovlen = 1,
                             .msg_control = &control, .msg_controllen = sizeof control.space};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = IPPROTO_IPV6;
    header->cmsg_type = IPV6_PKTINFO;
    header->cmsg_len = CMSG_LEN(sizeof *origin);
    memcpy(CMSG_DATA(header), origin, sizeof *origin);
    return sendmsg(fd, &message, flags);
}
static inline ssize_t tandem_receive_carried(int fd, void *bytes, size_t count,
                                             struct tandem_carrier *carrier) {
    union {
        struct cmsghdr header;
        char space[256];
    } control;
    memset(carrier, 0, sizeof *carrier);
    carrier->hop_limit = -1;
    struct iovec part = {.iov_base = bytes, .iov_len = count};
    struct msghdr message = {.msg_name = &carrier->source, .msg_namelen = sizeof carrier->source,
                             .msg_iov = &part, .msg_iovlen = 1,
                             .msg_control = &control, .msg_controllen = sizeof control.space};
    ssize_t got = recvmsg(fd, &message, 0);
    if (got < 0) return got;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != IPPROTO_IPV6) continue;
        if (header->cmsg_type == IPV6_PKTINFO)
            memcpy(&carrier->arrival, CMSG_DATA(header), sizeof carrier->arrival);
        if (header->cmsg_type == IPV6_HOPLIMIT)
            memcpy(&carrier->hop_limit, CMSG_DATA(header), sizeof carrier->hop_limit);
    }
    return got;
}
/* Drops of a full receive buffer: the last value of SO_MEMINFO. */
static inline unsigned int tandem_receive_drops(int fd) {
    unsigned int values[16] = {0};
    socklen_t length = sizeof values;
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, values, &length) != 0) return 0;
    return length > SK_MEMINFO_DROPS * sizeof values[0] ? values[SK_MEMINFO_DROPS] : 0;
}

/* Variadic in C. */
static inline int tandem_open(const char *path, int flags, mode_t mode) {
    return open(path, flags, mode);
}
static inline int tandem_ioctl_pointer(int fd, unsigned long request, void *argument) {
    return ioctl(fd, request, argument);
}
static inline int tandem_fcntl_int(int fd, int command, int argument) {
    return fcntl(fd, command, argument);
}

/* Macros with casts or sizes that the importer skips. */
static const unsigned long TANDEM_TUNSETIFF = TUNSETIFF;
static const unsigned long TANDEM_TUNGETIFF = TUNGETIFF;
static const unsigned long TANDEM_SIOCGIFHWADDR = SIOCGIFHWADDR;
static const unsigned long TANDEM_FIONREAD = FIONREAD;
static const unsigned long TANDEM_TIOCOUTQ = TIOCOUTQ;
/* <linux/sockios.h>. */
static const unsigned long TANDEM_SIOCOUTQNSD = 0x894B;
static const int TANDEM_SKF_NET_OFF = SKF_NET_OFF;
/* Newer than the library's header: time stamps count microseconds. */
static const int TANDEM_TCPI_OPT_USEC_TS = 64;
/* CLONE_NEWNET of <sched.h>, hidden without _GNU_SOURCE. */
static const int TANDEM_CLONE_NEWNET = 0x40000000;

/* A mutable global in C. */
static inline char **tandem_environment(void) {
    extern char **environ;
    return environ;
}
