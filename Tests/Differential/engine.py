# SPDX-License-Identifier: Apache-2.0
#
# One loop that plays both sides of the proxy: many clients, each with an address and a connection
# of its own, and the backend, which takes only canonical messages and says in each answer what it
# saw. What the client gets is compared with what the reference reads in the same bytes.

import select
import socket
import time
import zlib

import reference
import strict

AT_ONCE = 64
CASE_SECONDS = 5.0
READ_BYTES = 1 << 17
IP_BIND_ADDRESS_NO_PORT = 24
ANSWERS = 4


def address_of(number):
    """A client address that no other case in flight has."""
    number %= 15_000_000
    return f"127.{1 + number // 62500}.{number // 250 % 250}.{1 + number % 250}"


class Case:
    """One client connection."""

    def __init__(self, number, data, splits):
        self.number = number
        self.data = data
        self.address = address_of(number)
        self.expected, self.ending = reference.read(data)
        self.pieces = [
            data[start:end] for start, end in zip([0, *splits], [*splits, len(data)])]
        self.received = b""
        self.answers = []
        self.backend_count = 0
        self.finding = None
        self.is_reset = False
        self.deadline = time.monotonic() + CASE_SECONDS


class Upstream:
    """One connection of the proxy to the backend."""

    def __init__(self, connection):
        self.socket = connection
        self.data = b""
        self.output = b""
        self.last = None


class Engine:
    """Runs cases until there are no more."""

    def __init__(self, cases, failed):
        self.cases = cases
        self.failed = failed
        self.poll = select.epoll()
        self.sockets = {}
        self.running = {}
        self.dripping = []
        self.number = 0
        self.done = self.messages = 0
        self.endings = {}
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.listener.setblocking(False)
        self.backend_port = self.listener.getsockname()[1]
        self.poll.register(self.listener, select.EPOLLIN)

    def run(self, port):
        self.port = port
        is_more = True
        while is_more or self.running:
            while is_more and len(self.running) < AT_ONCE:
                case = next(self.cases, None)
                is_more = case is not None
                if is_more:
                    self._begin(case)
            for descriptor, events in self.poll.poll(0 if self.dripping else 0.2):
                self._handle(descriptor, events)
            self._drip()
            if self.done % 256 < 8:
                self._expire()

    def _handle(self, descriptor, events):
        if descriptor == self.listener.fileno():
            self._accept()
            return
        owner = self.sockets.get(descriptor)
        if isinstance(owner, Upstream):
            self._serve(descriptor, owner)
        elif owner:
            self._receive(descriptor, owner)

    # The client

    def _begin(self, case):
        case.socket = socket.socket()
        case.socket.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        case.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        case.socket.bind((case.address, 0))
        case.socket.connect(("127.0.0.1", self.port))
        case.socket.setblocking(False)
        self.running[case.address] = case
        self.sockets[case.socket.fileno()] = case
        self.poll.register(case.socket, select.EPOLLIN)
        self.dripping.append(case)

    def _drip(self):
        """Sends the next piece of each case that has one."""
        waiting, self.dripping = self.dripping, []
        for case in waiting:
            if case.address not in self.running:
                continue
            try:
                piece = case.pieces[0]
                sent = case.socket.send(piece) if piece else 0
                if sent < len(piece):
                    case.pieces[0] = piece[sent:]
                else:
                    case.pieces.pop(0)
            except BlockingIOError:
                pass
            except OSError:
                continue
            if case.pieces:
                self.dripping.append(case)
            elif case.ending == "cut":
                self._end_sending(case)

    @staticmethod
    def _end_sending(case):
        try:
            case.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def _receive(self, descriptor, case):
        try:
            part = case.socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            part, case.is_reset = b"", True
        if part:
            case.received += part
            return
        self._finish(descriptor, case)

    def _finish(self, descriptor, case, problem=None):
        del self.sockets[descriptor]
        self.poll.unregister(descriptor)
        case.socket.close()
        del self.running[case.address]
        problem = problem or case.finding or self._judge(case)
        self.done += 1
        self.messages += len(case.answers)
        self.endings[case.ending] = self.endings.get(case.ending, 0) + 1
        if problem:
            self.failed(case, problem)

    def _expire(self):
        now = time.monotonic()
        for case in [case for case in self.running.values() if case.deadline < now]:
            self._finish(case.socket.fileno(), case, f"no end after {CASE_SECONDS:g} s")

    # The verdict

    def _judge(self, case):
        """What is wrong with a case that ended; None when nothing is."""
        at, refusal, taken = 0, None, 0
        wanted = iter(case.expected)
        data = case.received
        while at < len(data):
            message = next(wanted, None)
            method = message.method if message else b"GET"
            try:
                result = read_answer(data[at:], method)
            except strict.NotCanonical as finding:
                return f"answer: {finding}"
            if result is None:
                return "the last answer is cut"
            answer, used, is_final = result
            at += used
            if not is_final:
                wanted = iter(case.expected[taken:])
                continue
            if refusal:
                return "an answer behind a refusal"
            if answer.status != 200:
                refusal = answer.status
                continue
            if message is None:
                return "an answer that no request asked for"
            problem = self._compare(message, answer)
            if problem:
                return f"message {taken}: {problem}"
            taken += 1
            case.answers.append(answer)
        return self._judge_end(case, taken, refusal)

    @staticmethod
    def _compare(message, answer):
        saw = answer.value(b"x-saw")
        method, target, length, checksum = saw.split(b" ")
        if method != message.method or (message.target and target != origin(message.target)):
            return f"the backend saw {saw}"
        if int(length) != len(message.body) or int(checksum) != zlib.crc32(message.body):
            return f"the backend saw another body: {saw}"
        return None

    @staticmethod
    def _judge_end(case, taken, refusal):
        if case.backend_count != taken:
            return f"{case.backend_count} messages at the backend, {taken} answers"
        if taken < len(case.expected):
            if not case.expected[taken].maybe:
                return f"{taken} of {len(case.expected)} messages answered, then {refusal}"
            return None
        if case.ending == "closed" and refusal:
            return f"{refusal} behind the last message"
        if case.ending == "refused" and refusal is None and not case.is_reset:
            return "refused without an answer"
        if refusal is not None and not 400 <= refusal < 506:
            return f"status {refusal}"
        return None

    # The backend

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except BlockingIOError:
                return
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sockets[connection.fileno()] = Upstream(connection)
            self.poll.register(connection, select.EPOLLIN)

    def _serve(self, descriptor, upstream):
        try:
            part = upstream.socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            part = b""
        upstream.data += part
        is_over = not part
        try:
            while upstream.data:
                result = strict.read_request(upstream.data)
                if result is None:
                    break
                message, used = result
                upstream.data = upstream.data[used:]
                self._answer(upstream, message)
        except (strict.NotCanonical, OSError) as finding:
            self._blame(upstream, f"the backend got {finding} in {upstream.data[:300]!r}")
            is_over = True
        if is_over:
            del self.sockets[descriptor]
            self.poll.unregister(descriptor)
            upstream.socket.close()

    def _blame(self, upstream, text):
        """Books a finding under the case whose message came before it, else under every case."""
        case = self.running.get(upstream.last)
        for suspect in [case] if case else list(self.running.values()):
            suspect.finding = suspect.finding or text

    def _answer(self, upstream, message):
        claims = message.values(b"x-forwarded-for")
        case = self.running.get(claims[0].decode("latin-1")) if len(claims) == 1 else None
        if case is None:
            self._blame(upstream, f"a message that no client sent: {message.start!r} {claims}")
        else:
            case.backend_count += 1
            upstream.last = case.address
        self.number += 1
        upstream.socket.send(answer(self.number, message))


def read_answer(data, method):
    """An answer; a refusal of HEAD may come with a body, when its head was never understood."""
    for reading in (method, b"GET", b"HEAD"):
        result = strict.read_response(data, reading, True)
        if result and (reading == method or result[0].status != 200):
            is_whole = reading != b"HEAD" or result[1] == len(data) or result[0].status == 200
            if is_whole or not result[2]:
                return result
    return None


def origin(target):
    """Absolute-form as a backend must see it."""
    if target.startswith(b"http://"):
        return b"/" + target[7:].partition(b"/")[2]
    return target


def answer(number, message):
    """An answer that says what was seen, in one of the ways that answers are framed."""
    saw = b"X-Saw: %s %s %d %d\r\n" % (
        message.method, message.target, len(message.body), zlib.crc32(message.body))
    body = b"HTTP/1.1 200 OK\r\n\r\n" if number % 3 else b""
    kind = number % ANSWERS
    if kind == 0:
        head = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    else:
        head = b""
    if kind == 1:
        head += b"HTTP/1.1 200 OK\r\n" + saw + b"Transfer-Encoding: chunked\r\n\r\n"
        body = (b"%x\r\n%s\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    else:
        head += b"HTTP/1.1 200 OK\r\n" + saw + b"Content-Length: %d\r\n\r\n" % len(body)
    return head if message.method == b"HEAD" else head + body
