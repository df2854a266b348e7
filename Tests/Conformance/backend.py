# SPDX-License-Identifier: Apache-2.0
#
# The backend behind the proxy under test: reads every connection with the strict reader, keeps
# what it saw by client address, and answers with an identifier, or as a response vector says.

import asyncio

import strict

VECTOR_PREFIX = b"/response/"


class Seen:
    """What arrived that belongs to one client address."""

    def __init__(self):
        self.messages = []
        self.findings = []


class Backend:
    """Listens on loopback until closed."""

    def __init__(self, responses=()):
        self.responses = {vector.name.encode(): vector for vector in responses}
        self.clients = {}
        self.stray = []
        self.poisoned_uses = []
        self.number = 0
        # The client address whose vector runs alone, when there is one.
        self.current = None

    async def start(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 21)
        self.port = self.server.sockets[0].getsockname()[1]

    def of(self, address):
        return self.clients.setdefault(address, Seen())

    async def _serve(self, reader, writer):
        data, last, spoiled = b"", None, None
        try:
            while True:
                try:
                    result = strict.read_request(data)
                except strict.NotCanonical as finding:
                    self._blame(last, f"not canonical: {finding}")
                    return
                if result is None:
                    part = await reader.read(1 << 17)
                    if not part:
                        return
                    if spoiled:
                        self.poisoned_uses.append(spoiled)
                    data += part
                    continue
                message, used = result
                data = data[used:]
                last = self._note(message, last)
                spoiled, closes = await self._answer(message, writer)
                if closes:
                    return
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def _blame(self, address, text):
        address = self.current or address
        if address is None:
            self.stray.append(text)
        else:
            self.of(address).findings.append(text)

    def _note(self, message, last):
        """Books the message under the address that the proxy wrote; that address."""
        claims = message.values(b"x-forwarded-for")
        if len(claims) != 1 or not claims[0].startswith(b"127."):
            self._blame(last, f"a message without our address: {message.start!r}")
            return last
        address = claims[0].decode()
        self.of(address).messages.append(message)
        return address

    async def _answer(self, message, writer):
        """Answers; returns the vector whose answer spoiled the connection and whether it closes."""
        name = message.target.removeprefix(VECTOR_PREFIX)
        vector = self.responses.get(name) if name != message.target else None
        if vector:
            writer.write(vector.payload)
            await writer.drain()
            is_spoiled = "upstream-dropped" in vector.notes or vector.action == "reject"
            return (vector.name if is_spoiled else None), "closes" in vector.notes
        self.number += 1
        body = b"" if message.method == b"HEAD" else b"ok %d" % self.number
        writer.write(
            b"HTTP/1.1 200 OK\r\nX-Target: %s\r\nX-Number: %d\r\nContent-Length: %d\r\n\r\n%s"
            % (message.target, self.number, len(b"ok %d" % self.number), body))
        await writer.drain()
        return None, False
