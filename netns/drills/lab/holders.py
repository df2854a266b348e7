# SPDX-License-Identifier: Apache-2.0
#
# Who answers for an IPv4 address: ARP requests from the client's namespace every few milliseconds,
# and every answer to each of them. Knows nothing of pairs.

import ctypes
import os
import select
import socket
import struct
import threading
import time

CLONE_NEWNET = 0x40000000
ETH_P_ARP = 0x0806
BROADCAST = b"\xff" * 6
_libc = ctypes.CDLL(None, use_errno=True)


class HolderWatch:
    """Asks on a thread of its own until `stop`.

    Each request comes from another address out of a small range that nobody has, so that a late
    answer is counted for the request that it belongs to.
    """

    INTERVAL_SECONDS = 0.004
    # An answer that is later than this belongs to nobody.
    ANSWER_SECONDS = 0.05

    def __init__(self, namespace, address, interface="eth0", senders="10.77.0.224"):
        self.address = socket.inet_aton(address)
        self.senders = struct.unpack("!I", socket.inet_aton(senders))[0]
        self.sender_count = 24
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        target = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        try:
            self._enter(target)
            self.socket = socket.socket(
                socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP))
            self.socket.bind((interface, ETH_P_ARP))
        finally:
            self._enter(home)
            os.close(home)
            os.close(target)
        self.mac = self.socket.getsockname()[4]
        # Wall time of each request and the MACs that answered it.
        self.rounds = []
        self.is_running = True
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @staticmethod
    def _enter(descriptor):
        if _libc.setns(descriptor, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")

    def _run(self):
        # A busy machine must not be what is measured.
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        due = time.monotonic()
        while self.is_running:
            self._ask()
            due = max(due + self.INTERVAL_SECONDS, time.monotonic())
            while (left := due - time.monotonic()) > 0:
                if select.select([self.socket], [], [], left)[0]:
                    self._hear(self.socket.recv(128))

    def _ask(self):
        sender = struct.pack("!I", self.senders + len(self.rounds) % self.sender_count)
        self.rounds.append((time.time_ns(), set()))
        self.socket.send(
            BROADCAST + self.mac + struct.pack("!HHHBBH", ETH_P_ARP, 1, 0x0800, 6, 4, 1)
            + self.mac + sender + b"\0" * 6 + self.address)

    def _hear(self, frame):
        if len(frame) < 42 or frame[20:22] != b"\0\2" or frame[28:32] != self.address:
            return
        index = struct.unpack_from("!I", frame, 38)[0] - self.senders
        if not 0 <= index < self.sender_count:
            return
        last = len(self.rounds) - 1
        asked = last - (last - index) % self.sender_count
        if asked >= 0 and time.time_ns() - self.rounds[asked][0] < self.ANSWER_SECONDS * 1e9:
            self.rounds[asked][1].add(frame[22:28])

    def stop(self):
        self.is_running = False
        self._thread.join(5)
        self.socket.close()
        return self

    def stretches(self, from_ns=0, to_ns=1 << 63):
        """Times in milliseconds during which several answered, one entry per stretch."""
        found = []
        began = None
        for at, macs in self.rounds:
            if not from_ns <= at < to_ns:
                continue
            if len(macs) > 1:
                began = began or at
                continue
            # A round without any answer is a lost packet or a gap: it ends nothing.
            if macs and began:
                found.append((at - began) / 1e6)
                began = None
        if began:
            found.append((self.rounds[-1][0] - began) / 1e6)
        return found

    @property
    def answered(self):
        return sum(1 for _, macs in self.rounds if macs)
