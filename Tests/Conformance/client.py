# SPDX-License-Identifier: Apache-2.0
#
# Sends one vector through a proxy as a client would, from an address of its own, and says what
# came back: statuses, bodies, and how the connection ended.

import asyncio
import socket

import strict

# How long an answer may take; only a proxy that waits for more bytes takes as long.
ANSWER_SECONDS = 1.0
# How long a proxy may take to close after an answer that says so.
CLOSE_SECONDS = 1.0
# How long a proxy has time to act on half a message before the client ends its side.
PAUSE_SECONDS = 0.05


class Outcome:
    """What one client connection met."""

    def __init__(self):
        self.answers = []
        self.interim = 0
        self.ended = False
        self.is_reset = False
        self.finding = None
        self.marker = None
        self.rest = b""

    @property
    def statuses(self):
        return [message.status for message in self.answers]


class Connection:
    """A client connection whose answers are read strictly."""

    def __init__(self, outcome):
        self.outcome = outcome
        self.data = b""

    async def open(self, port, address):
        loop = asyncio.get_running_loop()
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
        self.socket.bind((address, 0))
        await loop.sock_connect(self.socket, ("127.0.0.1", port))

    async def send(self, data):
        try:
            await asyncio.get_running_loop().sock_sendall(self.socket, data)
        except ConnectionError:
            self.outcome.is_reset = True

    def end_sending(self):
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    async def _receive(self, seconds):
        """More bytes; False when the peer ended or nothing came in time."""
        try:
            part = await asyncio.wait_for(
                asyncio.get_running_loop().sock_recv(self.socket, 1 << 17), seconds)
        except (asyncio.TimeoutError, TimeoutError):
            return False
        except ConnectionError:
            self.outcome.is_reset = self.outcome.ended = True
            return False
        if not part:
            self.outcome.ended = True
            return False
        self.data += part
        return True

    async def answer(self, method, seconds=ANSWER_SECONDS):
        """The next final answer, or None."""
        while True:
            try:
                result = strict.read_response(self.data, method, self.outcome.ended)
            except strict.NotCanonical as finding:
                self.outcome.finding = str(finding)
                return None
            if result is None:
                if self.outcome.ended or not await self._receive(seconds):
                    if not self.outcome.ended:
                        return None
                    if not self.data or self.outcome.is_reset:
                        return None
                    last = strict.read_response(self.data, method, True)
                    if last is None:
                        return None
                continue
            message, used, is_final = result
            self.data = self.data[used:]
            if is_final:
                return message
            self.outcome.interim += 1

    async def until_end(self, seconds=CLOSE_SECONDS):
        while not self.outcome.ended and await self._receive(seconds):
            pass
        self.outcome.rest = self.data

    def close(self):
        self.socket.close()


def marker_request(number):
    return b"GET /marker/%d HTTP/1.1\r\nHost: a.example\r\n\r\n" % number


async def run_marker(connection, number):
    """Asks for a marker; True when exactly its own answer comes."""
    await connection.send(marker_request(number))
    answer = await connection.answer(b"GET")
    return bool(
        answer and answer.status == 200 and not connection.data
        and answer.value(b"x-target") == b"/marker/%d" % number)


async def run_request(vector, port, address, number):
    """One request vector: every message it holds, then the end or a marker."""
    outcome = Outcome()
    connection = Connection(outcome)
    await connection.open(port, address)
    try:
        await connection.send(vector.payload)
        if vector.action == "wait":
            await asyncio.sleep(PAUSE_SECONDS)
            connection.end_sending()
        methods = [method for method, _, _ in vector.seen]
        if vector.action in ("reject", "wait"):
            methods.append(b"GET")
        for method in methods:
            answer = await connection.answer(method)
            if answer is None:
                break
            outcome.answers.append(answer)
        if outcome.ended or outcome.finding:
            return outcome
        if vector.keeps() == "no" or vector.action == "wait":
            await connection.until_end()
        else:
            outcome.marker = await run_marker(connection, number)
        return outcome
    finally:
        connection.close()


async def run_response(vector, port, address, number):
    """One response vector: the answer to its request, then a marker on the same connection."""
    outcome = Outcome()
    connection = Connection(outcome)
    await connection.open(port, address)
    method = vector.note("to", "GET").encode()
    try:
        await connection.send(
            b"%s /response/%s HTTP/1.1\r\nHost: a.example\r\n\r\n"
            % (method, vector.name.encode()))
        answer = await connection.answer(method)
        if answer:
            outcome.answers.append(answer)
            if not outcome.ended:
                outcome.marker = await run_marker(connection, number)
        elif not outcome.ended:
            await connection.until_end()
        outcome.rest = connection.data
        return outcome
    finally:
        connection.close()
