# SPDX-License-Identifier: Apache-2.0
#
# A backend whose every byte a test writes: one handler per connection, on a thread of its own.

import socket
import threading

from namespace import inside


class ScriptedBackend:
    """Listens in a member's namespace and gives each connection to `handler(socket)`."""

    def __init__(self, member, address, port, handler):
        with inside(member):
            self.listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, port))
        self.listener.listen(64)
        self.handler = handler
        self.connections = 0
        self.failure = None
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        connection.settimeout(10)
        try:
            with connection:
                self.handler(connection)
        except OSError as error:
            self.failure = error

    def close(self):
        # Wakes the thread that waits in accept.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self._thread.join(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def read_head(connection):
    """Reads up to the empty line; returns the head and what followed it."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65536)
        if not chunk:
            return data, b""
        data += chunk
    head, rest = data.split(b"\r\n\r\n", 1)
    return head, rest
