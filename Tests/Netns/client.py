# SPDX-License-Identifier: Apache-2.0
#
# An HTTP/1.1 client on bare sockets: sends exactly the bytes it is given and reads exactly one
# response at a time, so that framing faults on either side stay visible.

import dataclasses
import socket
import struct

from namespace import inside

VIP = "10.77.0.100"


class Truncated(Exception):
    """The connection ended before the response did; `received` is what came."""

    def __init__(self, received):
        super().__init__(f"response cut off after {len(received)} bytes: {received[:200]!r}")
        self.received = received


@dataclasses.dataclass
class Response:
    status: int
    fields: list
    body: bytes

    def values(self, name):
        return [value for field, value in self.fields if field.lower() == name.lower()]

    @property
    def text(self):
        return self.body.decode(errors="replace")


class Connection:
    """One connection from a member, the client unless told otherwise."""

    def __init__(
        self, address=VIP, port=80, member="client", timeout_seconds=5, receive_buffer_bytes=None,
    ):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with inside(member):
            self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(timeout_seconds)
        if receive_buffer_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.buffer = b""
        try:
            self.socket.connect((address, port))
        except OSError:
            self.socket.close()
            raise

    def send(self, data):
        self.socket.sendall(data)
        return self

    def request(self, path="/", method="GET", fields=(), body=b"", host="lab"):
        """Sends a request whose framing is right; a body gets its Content-Length."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *fields]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def _more(self):
        chunk = self.socket.recv(1 << 18)
        if not chunk:
            raise Truncated(self.buffer)
        self.buffer += chunk

    def _until(self, mark):
        while mark not in self.buffer:
            self._more()
        line, self.buffer = self.buffer.split(mark, 1)
        return line

    def _exactly(self, count):
        parts, missing = [], count
        while missing > 0:
            if not self.buffer:
                self._more()
            parts.append(self.buffer[:missing])
            self.buffer = self.buffer[len(parts[-1]):]
            missing -= len(parts[-1])
        return b"".join(parts)

    def head(self):
        """Reads a status line and fields."""
        lines = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        fields = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]]
        return Response(int(lines[0].split()[1]), fields, b"")

    def response(self, method="GET"):
        """Reads one whole response."""
        response = self.head()
        if method == "HEAD" or response.status in (204, 304) or response.status < 200:
            return response
        if "chunked" in [value.lower() for value in response.values("Transfer-Encoding")]:
            response.body = self._chunked()
        elif response.values("Content-Length"):
            response.body = self._exactly(int(response.values("Content-Length")[0]))
        else:
            response.body = self.rest()
        return response

    def _chunked(self):
        parts = []
        while True:
            size = int(self._until(b"\r\n").split(b";")[0], 16)
            if size == 0:
                while self._until(b"\r\n"):
                    pass
                return b"".join(parts)
            parts.append(self._exactly(size))
            self._exactly(2)

    def rest(self):
        """Reads until the other end closes."""
        while True:
            try:
                self._more()
            except Truncated as ending:
                self.buffer = b""
                return ending.received

    def provoke(self, data, half_closes=True):
        """Sends bytes that may end the connection at any point; fails only when it hangs."""
        try:
            self.send(data)
            if half_closes:
                self.socket.shutdown(socket.SHUT_WR)
            return self.rest()
        except TimeoutError:
            raise
        except OSError:
            return b""

    def reset(self):
        """Closes with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def get(address=VIP, path="/", member="client", port=80, timeout_seconds=5, fields=()):
    """One GET on a connection of its own."""
    with Connection(address, port, member, timeout_seconds) as connection:
        return connection.request(path, fields=["Connection: close", *fields]).response()


def try_get(path="/", timeout_seconds=0.2):
    """The response through the VIP, or None when there is none in time."""
    try:
        return get(path=path, timeout_seconds=timeout_seconds)
    except (OSError, Truncated):
        return None
