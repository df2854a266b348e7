# SPDX-License-Identifier: Apache-2.0
#
# The kernel's side of a namespace: sockets made inside it, its IPv4 addresses asked over netlink,
# its interfaces' link-layer addresses. Owns no process and knows nothing of the pair.

import contextlib
import ctypes
import fcntl
import os
import socket
import struct

PREFIX = os.environ.setdefault("TANDEM_LAB", "t-net-")
CLONE_NEWNET = 0x40000000
SIOCGIFHWADDR = 0x8927
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTMGRP_IPV4_IFADDR = 0x10
NLM_F_REQUEST, NLM_F_DUMP = 1, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
IFA_LOCAL = 2

_libc = ctypes.CDLL(None, use_errno=True)


def _setns(descriptor):
    if _libc.setns(descriptor, CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"setns: {os.strerror(error)}")


@contextlib.contextmanager
def inside(member):
    """The calling thread's network is the member's; sockets made here stay there."""
    with open("/proc/thread-self/ns/net", "rb") as home:
        with open(f"/run/netns/{PREFIX}{member}", "rb") as target:
            _setns(target.fileno())
        try:
            yield
        finally:
            _setns(home.fileno())


def make_socket(member, *arguments):
    with inside(member):
        return socket.socket(*arguments)


def hardware_address(member, interface="eth0"):
    with make_socket(member, socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("256s", interface.encode())
        return fcntl.ioctl(probe.fileno(), SIOCGIFHWADDR, request)[18:24]


def _messages(data):
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        yield kind, data[16:length]
        data = data[(length + 3) & ~3:]


def _local_address(payload):
    attributes = payload[8:]
    while len(attributes) >= 4:
        length, kind = struct.unpack_from("=HH", attributes)
        if kind == IFA_LOCAL:
            return socket.inet_ntoa(attributes[4:8])
        attributes = attributes[max(4, (length + 3) & ~3):]
    return None


def addresses(member):
    """Every IPv4 address in the member's namespace, as its kernel says."""
    found = []
    with make_socket(member, socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
        netlink.settimeout(5)
        body = struct.pack("=BBBBI", socket.AF_INET, 0, 0, 0, 0)
        header = struct.pack(
            "=IHHII", 16 + len(body), RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, 1, 0)
        netlink.send(header + body)
        while True:
            for kind, payload in _messages(netlink.recv(65536)):
                if kind == NLMSG_DONE:
                    return found
                if kind == NLMSG_ERROR:
                    raise OSError(f"netlink refuses to list the addresses of {member}")
                if kind == RTM_NEWADDR:
                    found.append(_local_address(payload))


class AddressMonitor:
    """Hears of address changes in a member's namespace."""

    def __init__(self, member):
        with inside(member):
            self.socket = socket.socket(
                socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            self.socket.bind((0, RTMGRP_IPV4_IFADDR))

    def wait_for_removal(self, address, timeout_seconds):
        """Blocks until the address is removed."""
        self.socket.settimeout(timeout_seconds)
        while True:
            for kind, payload in _messages(self.socket.recv(65536)):
                if kind == RTM_DELADDR and _local_address(payload) == address:
                    return

    def close(self):
        self.socket.close()
