# SPDX-License-Identifier: Apache-2.0
#
# Makes the bytes of one client connection from a seed: one to four messages after the grammar, or
# a vector of Tests/Vectors/http1, with framing mixed up, names and values disguised, and bytes
# changed. The last message asks for a marker and for the end of the connection.

import random

import vectors

VECTOR_BYTES_MAX = 1500
METHODS = [b"GET"] * 4 + [b"POST"] * 4 + [b"HEAD", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"get"]
CODINGS = [
    b"chunked"] * 6 + [
    b"Chunked", b" chunked", b"chunked ", b"\tchunked", b"chunked\t", b"xchunked", b"chunked, x",
    b"x, chunked", b"gzip, chunked", b"chunked, chunked", b"identity", b"chunked;a", b"\"chunked\"",
    b"chunked\x0b", b"\x0bchunked", b"chunked\x00", b"", b",chunked", b"chunked,", b"chunk",
    b"\r\n chunked", b"chunked\r", b"chunked\n", b"\xa0chunked", b"chun\tked",
]
LENGTHS = [
    b"%d"] * 8 + [
    b"+%d", b"-%d", b"0%d", b"%d ", b"\t%d", b"%d, %d", b"0x%d", b"%d.0", b"%de0", b"%d_0", b"",
    b"\"%d\"", b"%d;", b"%d\x00", b"\x0b%d", b"%d\r", b"184467440737095516%02d", b"%d\r\n 0",
]
NAMES = [
    b"%s:"] * 8 + [
    b"%s :", b"%s\t:", b" %s:", b"\t%s:", b"%s\x00:", b"%s\r:", b"%s\x0b:", b"X%s:", b"%s", b"%s::",
    b"X: y\r%s:", b"X: y\n%s:", b"%s\r\n :",
]
SIZES = [
    b"%x"] * 10 + [
    b"%X", b"0%x", b"0x%x", b"+%x", b"-%x", b"%x ", b" %x", b"%x;a=b", b"%x ;a", b"%x;a=\"b;c\"",
    b"%x;", b"%x\x00", b"%x\x0b", b"%x_0", b"%xg", b"%x,", b"1000000000000000%x", b"", b"%x;\n",
    b"%x;a\rb", b"%x.0",
]
ENDS = [b"\r\n"] * 40 + [b"\n", b"\r", b"\r\r\n", b"\n\n", b"", b"\r\n\r\n", b"\r\n ", b"\x00\r\n"]
EXTRA = [
    b"A: b", b"X-Long: " + b"v" * 300, b"Connection: keep-alive", b"Connection: x-a, x-b",
    b"Connection: close", b"Expect: 100-continue", b"Expect: nothing", b"TE: trailers",
    b"Keep-Alive: timeout=5", b"X-Forwarded-For: 203.0.113.5", b"Upgrade: h2c",
    b"Connection: Transfer-Encoding", b"Connection: Content-Length", b"Host: b.example", b"A_b: c",
    b"Cookie: a=b", b"X-A: \xe4", b"Transfer_Encoding: chunked", b"Content-Length : 3",
    b"Trailer: X-T", b"Max-Forwards: 0", b": x", b"X", b"Content-Encoding: chunked", b"X-B:",
]
PIECES = [
    b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\t", b":", b"0\r\n\r\n", b"\r\n\r\n", b";", b",", b"0", b"1",
    b"Transfer-Encoding: chunked\r\n", b"Content-Length: 5\r\n", b"Host: c\r\n", b"\x80", b"\x0b",
    b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n", b"HTTP/1.0", b"chunked",
]
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n"


class Generator:
    """All cases of one seed; each depends on the seed and its number alone."""

    def __init__(self, seed):
        self.seed = seed
        self.vectors = [
            vector.payload for vector in vectors.read_all()
            if not vector.is_response and len(vector.payload) <= VECTOR_BYTES_MAX]

    def case(self, number):
        """(bytes, where to split them)."""
        self.random = random.Random(self.seed << 32 | number)
        choice = self.random.random
        count = self.random.choice((1, 1, 1, 2, 2, 3))
        parts = [
            self.random.choice(self.vectors) if choice() < 0.15 else self.message(number, index)
            for index in range(count)]
        data = b"".join(parts)
        if choice() < 0.25:
            data = self.mutated(data)
        data += marker(number)
        splits = []
        if choice() < 0.3:
            splits = sorted(
                self.random.randrange(len(data)) for _ in range(self.random.randrange(1, 4)))
        return data, splits

    def message(self, number, index):
        pick, choice = self.random.choice, self.random.random
        method = pick(METHODS)
        target = b"/c/%d/%d" % (number, index)
        if choice() < 0.03:
            target = b"http://a.example" + target
        version = b"HTTP/1.1" if choice() < 0.95 else pick((b"HTTP/1.0", b"HTTP/1.2", b"http/1.1"))
        # The chance that a disguise is used at each place; most messages are wholly plain.
        self.oddity = pick((0, 0, 0, 0.1, 0.5))
        lines = [b"%s %s %s" % (method, target, version), b"Host: a.example"]
        body = self.content()
        framings = pick((("",), ("length",), ("length",), ("chunked",), ("chunked",), ("both",)))
        if self.oddity == 0 and framings == ("both",):
            framings = ("chunked",)
        is_chunked = "chunked" in framings or "both" in framings
        coded = self.chunks(body) if is_chunked else body
        if "length" in framings or "both" in framings:
            lines.append(self.length(len(body if choice() < 0.5 else coded)))
        if is_chunked:
            lines.append(self.named(b"Transfer-Encoding", self.odd(CODINGS, b"chunked")))
        if framings == ("",):
            coded = b"" if choice() > self.oddity / 2 else body
        while choice() < 0.2 + self.oddity / 2:
            lines.insert(self.random.randrange(1, len(lines) + 1), self.odd(EXTRA, b"A: b"))
        ends = [self.odd(ENDS, b"\r\n") for _ in lines]
        head = b"".join(line + end for line, end in zip(lines, ends))
        return head + self.odd(ENDS, b"\r\n") + coded

    def odd(self, choices, plain):
        return self.random.choice(choices) if self.random.random() < self.oddity else plain

    def content(self):
        pick = self.random.random()
        if pick < 0.15:
            return b""
        if pick < 0.35:
            return SMUGGLED
        if pick < 0.45:
            return b"0\r\n\r\n" + SMUGGLED
        return bytes(self.random.choices(b"ab\r\n0", k=self.random.randrange(1, 60)))

    def length(self, count):
        if self.random.random() < self.oddity / 3:
            count = max(0, count + self.random.randrange(-3, 4))
        text = self.odd(LENGTHS, b"%d")
        return self.named(b"Content-Length", text % ((count,) * text.count(b"%")))

    def named(self, name, value):
        form = self.odd(NAMES, b"%s:")
        if self.random.random() < 0.1:
            name = name.lower() if self.random.random() < 0.5 else name.upper()
        return form % name + self.random.choice((b" ", b" ", b" ", b"", b"\t")) + value

    def chunks(self, body):
        parts = []
        while body:
            count = self.random.randrange(1, len(body) + 1)
            parts.append(self.size(count) + self.odd(ENDS, b"\r\n"))
            parts.append(body[:count] + self.odd(ENDS, b"\r\n"))
            body = body[count:]
        parts.append(self.odd([b"0", b"00", b"0;a", b"0 ", b"0x0", b""], b"0"))
        parts.append(self.odd(ENDS, b"\r\n"))
        while self.random.random() < 0.1:
            parts.append(self.odd(EXTRA, b"X-Sum: 1") + self.odd(ENDS, b"\r\n"))
        parts.append(self.odd(ENDS, b"\r\n"))
        return b"".join(parts)

    def size(self, count):
        if self.random.random() < self.oddity / 5:
            count = max(0, count + self.random.randrange(-2, 3))
        form = self.odd(SIZES, b"%x")
        return form % count if b"%" in form else form

    def mutated(self, data):
        for _ in range(self.random.choice((1, 1, 2, 4))):
            at = self.random.randrange(len(data) + 1)
            kind = self.random.randrange(6)
            if kind == 0:
                data = data[:at] + self.random.choice(PIECES) + data[at:]
            elif kind == 1:
                data = data[:at] + data[at + self.random.randrange(1, 8):]
            elif kind == 2:
                data = data[:at] + bytes([self.random.randrange(256)]) + data[at + 1:]
            elif kind == 3:
                data = data[:at] + bytes([self.random.choice(b"\r\n\t :;,0-")]) + data[at + 1:]
            elif kind == 4:
                end = min(len(data), at + self.random.randrange(1, 40))
                data = data[:end] + data[at:end] + data[end:]
            else:
                data = data[:at] + data[at + 1:at + 3][::-1] + data[at + 3:]
        return data


def marker(number):
    return b"GET /m/%d HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n" % number
