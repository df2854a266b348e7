# SPDX-License-Identifier: Apache-2.0
#
# What tests of carried connections share: a backend that counts what it executes, the wire of the
# client around a takeover, and when the backup knows the connections.

import collections
import contextlib
import socket
import threading

from client import Connection, Truncated
from frames import FIN, RST, Sniffer
from lab import ADDRESS, VIP, expect, other, pause, poll
from namespace import hardware_address
from scripted import ScriptedBackend, read_head

FAULTS = ("crash", "poweroff", "freeze")
LEDGER_PORT = 9400
LEDGERS = ("be1", "be2")
LEDGER_POOL = {"ledger": [f"{ADDRESS[member]}:{LEDGER_PORT}" for member in LEDGERS]}
# Whoever cannot be carried over is told so within this after the address moved.
TOLD_SECONDS_MAX = 0.1
# The last segment before a fault was sent this long before the test looks at it.
TAKEOVER_SECONDS = 3


class Ledger:
    """Backends that answer /ledger/NAME/MS after so long by what they were asked, and count it."""

    def __init__(self):
        self.seen = collections.Counter()
        self.bodies = {}
        self._lock = threading.Lock()
        self._connections = []

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for member in LEDGERS:
                stack.enter_context(
                    ScriptedBackend(member, ADDRESS[member], LEDGER_PORT, self._serve))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *ending):
        result = self._stack.__exit__(*ending)
        # The next one would not hear of requests on connections that were kept.
        with self._lock:
            connections = self._connections
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        return result

    def _serve(self, connection):
        with self._lock:
            self._connections.append(connection)
        connection.settimeout(60)
        while True:
            head, rest = read_head(connection)
            if not head:
                return
            lines = head.decode("latin-1").split("\r\n")
            method, path, _ = lines[0].split()
            length = 0
            for line in lines[1:]:
                if line.lower().startswith("content-length:"):
                    length = int(line.split(":")[1])
            while len(rest) < length:
                chunk = connection.recv(65536)
                if not chunk:
                    return
                rest += chunk
            name = f"{method} {path}"
            with self._lock:
                self.seen[name] += 1
                self.bodies[name] = rest
            pause(int(path.rsplit("/", 1)[1]) / 1e3)
            body = name.encode() + b"\n"
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (
                len(body), body))


class Takeover:
    """The client's wire while the address moves; times are the kernel's."""

    def __init__(self, lab):
        self.lab = lab
        self.old = lab.active()
        self.new = other(self.old)
        self.old_mac, self.new_mac = hardware_address(self.old), hardware_address(self.new)

    def __enter__(self):
        self.sniffer = Sniffer("client")
        return self

    def __exit__(self, *_):
        self.sniffer.close()

    def inject(self, fault):
        """Returns when the other node is active."""
        at, node = self.lab.kill(fault, self.old)
        expect(node == self.old, f"the active was {node}")
        self.fault_ns = int(at * 1e9)
        poll(TAKEOVER_SECONDS, f"{self.new} is active",
             lambda: (self.lab.try_status(self.new) or {}).get("role") == "active")
        return self

    def moved_ns(self):
        """When the client heard the first announcement of the new node."""
        return min(
            frame.wall_ns for frame in self.sniffer.drain()
            if frame.source_mac == self.new_mac and frame.wall_ns > self.fault_ns
            and frame.is_gratuitous_arp and frame.arp_sender == VIP)

    def endings(self, ports):
        """Segments that ended connections of the client's `ports`."""
        return [
            frame for frame in self.sniffer.drain()
            if frame.is_tcp and not frame.is_outgoing and frame.source == VIP
            and frame.flags & (FIN | RST) and frame.ports[1] in ports
            and frame.wall_ns > self.fault_ns]

    def expect_untouched(self, clients):
        """Nobody ended one of these connections."""
        endings = self.endings(ports(clients))
        expect(not endings, f"{len(endings)} were ended, first {endings[:1]}")

    def expect_told(self, clients):
        """All of these were reset, by the new node, at once."""
        told = {}
        for frame in self.endings(ports(clients)):
            expect(
                frame.source_mac == self.new_mac and frame.flags & RST,
                f"{frame} is no reset of {self.new}")
            told.setdefault(frame.ports[1], frame.wall_ns)
        missing = set(ports(clients)) - set(told)
        expect(not missing, f"{len(missing)} of {len(clients)} were not told")
        seconds = (max(told.values()) - self.moved_ns()) / 1e9
        expect(seconds < TOLD_SECONDS_MAX, f"the last was told {seconds:.3f} s after the move")


def ports(clients):
    """The client's ports, of connections or as they are."""
    return {
        client if isinstance(client, int) else client.socket.getsockname()[1]
        for client in clients}


def keep(count, address=VIP, port=80, timeout_seconds=5):
    """Clients that have been answered once and keep their connections."""
    clients = [
        Connection(address, port, timeout_seconds=timeout_seconds) for _ in range(count)]
    expect_answers(clients)
    return clients


def expect_answers(clients, path="/again"):
    """Each asks on the connection it has, and gets its own answer."""
    lost = {}
    for index, client in enumerate(clients):
        try:
            client.request(f"{path}/{index}")
        except OSError as error:
            lost[index] = error
    for index, client in enumerate(clients):
        try:
            response = client.response()
        except (OSError, Truncated) as error:
            lost.setdefault(index, error)
            continue
        expect(response.status == 200, f"client {index}: status {response.status}")
        body = response.text.strip()
        expect(body.endswith(f"{path}/{index}"), f"client {index} was answered {body!r}")
    first = next(iter(lost.items()), None)
    expect(not lost, f"{len(lost)} of {len(clients)} clients were lost, first {first!r}")


def expect_late_answers(clients):
    """Who asked before the takeover is answered after it, by a backend."""
    for index, client in enumerate(clients):
        try:
            response = client.response()
        except (OSError, Truncated) as error:
            expect(False, f"client {index} waits in vain: {error!r}, {client.buffer[:99]!r}")
        expect(response.status == 200, f"client {index}: status {response.status}")
        expect(response.body.startswith(b"be"), f"client {index}: {response.body[:99]!r}")


def expect_reset(clients):
    """The next thing that each hears is a reset."""
    for index, client in enumerate(clients):
        try:
            rest = client.rest()
        except ConnectionResetError:
            continue
        except TimeoutError:
            expect(False, f"client {index} hangs")
        expect(False, f"client {index} was ended in order after {rest[:200]!r}")


def await_in_flight(lab, count):
    """So many requests wait at the backends of the active node."""
    node = lab.active()
    poll(5, f"{count} requests are in flight", lambda: sum(
        backend["requests_in_flight"] for pool in lab.status(node)["pools"]
        for backend in pool["backends"]) >= count)


def await_known(lab, count, gauge="tandem_carry_over_shadows"):
    """The backup could go on with so many connections of the active node."""
    node = other(lab.active())
    poll(5, lambda: f"{node} knows {count} connections: {lab.metric(node, gauge)}",
         lambda: lab.metric(node, gauge) >= count)


def await_told_of(lab, count):
    """The backup knows the addresses of so many clients, and no more of them."""
    await_known(lab, count, "tandem_replication_peer_entries")


def close(clients):
    for client in clients:
        client.close()
