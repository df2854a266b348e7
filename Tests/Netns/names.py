# SPDX-License-Identifier: Apache-2.0
#
# A name server whose every answer a test writes: A, AAAA and SRV over UDP, on a thread of its own.

import socket
import struct
import threading

from namespace import make_socket

A, SRV, AAAA = 1, 33, 28
NXDOMAIN = 3


def wire_name(text):
    labels = [label.encode() for label in text.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def service(host, port, priority=0, weight=0):
    """The data of an SRV record."""
    return struct.pack("!HHH", priority, weight, port) + wire_name(host)


class NameServer:
    """Answers on a member's address; a name without an entry does not exist."""

    def __init__(self, member, address, port, ttl_seconds=0):
        self.socket = make_socket(member, socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, port))
        self.ttl_seconds = ttl_seconds
        self.silent = False
        self.queries = 0
        self._records = {}
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def host(self, name, *addresses):
        """The IPv4 addresses of a host; it has no others."""
        self._records[name] = {A: [socket.inet_aton(address) for address in addresses]}

    def service(self, name, *records):
        """The SRV records of a service, as `service` makes them."""
        self._records[name] = {SRV: list(records)}

    def forget(self, name):
        self._records.pop(name, None)

    def _serve(self):
        while True:
            try:
                query, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            # A datagram without bytes wakes the thread that is to end.
            if not query:
                return
            self.queries += 1
            if not self.silent:
                self.socket.sendto(self._answer(query), peer)

    def _answer(self, query):
        end, labels = 12, []
        while query[end]:
            labels.append(query[end + 1:end + 1 + query[end]].decode())
            end += 1 + query[end]
        kind, = struct.unpack_from("!H", query, end + 1)
        known = self._records.get(".".join(labels).lower())
        data = (known or {}).get(kind, [])
        flags = 0x8180 | (NXDOMAIN if known is None else 0)
        answer = query[:2] + struct.pack("!HHHHH", flags, 1, len(data), 0, 0) + query[12:end + 5]
        for record in data:
            answer += struct.pack("!HHHIH", 0xC00C, kind, 1, self.ttl_seconds, len(record)) + record
        return answer

    def close(self):
        address = self.socket.getsockname()
        self.socket.sendto(b"", address)
        self._thread.join(5)
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
