# SPDX-License-Identifier: Apache-2.0
#
# WebSockets of which a test holds both ends: what one end writes is looked at byte by byte at the
# other, and nothing is sent that the test does not send.

import socket
import threading

from client import VIP, Connection
from frames import FIN, RST
from lab import ADDRESS, expect
from namespace import inside
from scripted import read_head

BACKEND = "be2"
BACKEND6 = "fd77::22"
BACKEND_PORT = 9310
HANDSHAKE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
ANSWER = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")


class Backend:
    """Accepts WebSockets; the test takes them by the path that the client asked for."""

    def __init__(self, address=ADDRESS[BACKEND]):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with inside(BACKEND):
            self.listener = socket.socket(family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, BACKEND_PORT))
        self.listener.listen(256)
        self.listener.settimeout(5)

    def accept(self):
        connection, _ = self.listener.accept()
        connection.settimeout(5)
        read_head(connection)
        connection.sendall(ANSWER)
        return connection

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


class Tunnel:
    """Both ends of one WebSocket: the client's port, and where the backend sees it come from."""

    count = 0

    def __init__(self, backend, address=VIP, port=80, path="/"):
        self.client = Connection(address, port)
        self.client.request(path, fields=HANDSHAKE)
        self.far = backend.accept()
        expect(self.client.head().status == 101, "the protocol was not switched")
        # Asked now: a connection that is gone knows it no more.
        self.port = self.near.getsockname()[1]
        self.source = self.far.getpeername()[:2]
        Tunnel.count += 1
        self.name = b"tunnel %d" % Tunnel.count

    @property
    def near(self):
        return self.client.socket

    def exchange(self, text=b"hello", is_twice=True):
        """Bytes pass both ways and are the other end's."""
        for sender, receiver, mark in (
                (self.near, self.far, b">"), (self.far, self.near, b"<")) * (1 + is_twice):
            message = mark + self.name + text
            sender.sendall(message)
            got = b""
            while len(got) < len(message):
                piece = receiver.recv(len(message) - len(got))
                expect(piece, f"{self.name} ended after {got!r} of {message!r}")
                got += piece
            expect(got == message, f"{self.name}: {got[:80]!r} in the place of {message[:80]!r}")

    def close(self):
        self.client.close()
        self.far.close()


def exchange_all(tunnels, text=b"hello"):
    lost = {}
    for index, tunnel in enumerate(tunnels):
        try:
            tunnel.exchange(text)
        except OSError as error:
            lost[index] = error
    first = next(iter(lost.items()), None)
    expect(not lost, f"{len(lost)} of {len(tunnels)} were lost, first {first!r}")


def close_all(tunnels):
    for tunnel in tunnels:
        tunnel.close()


def expect_reset(ends, what):
    """The next end that each of these sockets meets is a reset."""
    for index, end in enumerate(ends):
        end.settimeout(3)
        try:
            while end.recv(1 << 18):
                pass
        except ConnectionResetError:
            continue
        except TimeoutError:
            expect(False, f"{what} {index} hangs")
        expect(False, f"{what} {index} was ended in order")


def endings(sniffer, sources, since_ns):
    """Segments from these (address, port) that ended connections of the member with the sniffer."""
    return [
        frame for frame in sniffer.drain()
        if frame.is_tcp and not frame.is_outgoing and frame.flags & (FIN | RST)
        and (frame.source, frame.ports[0]) in sources and frame.wall_ns > since_ns]


class Talk:
    """Numbered lines to and fro through a tunnel until one end fails or the test says stop."""

    def __init__(self, tunnel, rest_seconds=0):
        self.tunnel = tunnel
        self.rest_seconds = rest_seconds
        self.rounds = 0
        self.fault = None
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            while not self.is_over.is_set():
                self.tunnel.exchange(b" round %d" % self.rounds, is_twice=False)
                self.rounds += 1
                self.is_over.wait(self.rest_seconds)
        except Exception as error:
            self.fault = error

    def end(self):
        self.is_over.set()
        self.thread.join(10)
        expect(not self.thread.is_alive(), "a conversation hangs")
        return self.fault
