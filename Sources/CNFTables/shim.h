/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libnftables: packet rules as text, run by the kernel. _GNU_SOURCE is left undefined: it changes
 * types that the Glibc module has already fixed.
 */
#pragma once
#include <fcntl.h>
#include <linux/netlink.h>
#include <nftables/libnftables.h>
#include <sys/socket.h>
#include <unistd.h>

/* True for the netlink socket that a context keeps; it must not outlive the process in a child. */
static inline bool tandem_is_nftables_socket(int descriptor) {
    int domain = 0, protocol = 0;
    socklen_t size = sizeof(int);
    if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0) return false;
    size = sizeof(int);
    if (getsockopt(descriptor, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) != 0) return false;
    return domain == AF_NETLINK && protocol == NETLINK_NETFILTER;
}

static inline int tandem_close_on_exec(int descriptor) {
    return fcntl(descriptor, F_SETFD, FD_CLOEXEC);
}

/* Takes the smallest number that is free, for nothing; -1 when none is left. */
static inline int tandem_open_placeholder(void) { return open("/dev/null", O_RDONLY | O_CLOEXEC); }

static inline void tandem_close_placeholder(int descriptor) { (void)close(descriptor); }
