# SPDX-License-Identifier: Apache-2.0
#
# A reader of HTTP/1.1 that shares nothing with the one under test and takes only what a careful
# sender writes: CRLF, token names, visible values, exactly one framing. Whatever else it meets is
# a finding. It stands behind the proxy as the backend and in front of it as the client.

import re

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
REQUEST = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/1\.([01])")
STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9]) ?([\t\x20-\x7e\x80-\xff]*)")
LENGTH = re.compile(rb"0|[1-9][0-9]{0,18}")
CHUNK = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t\x20-\x7e]*)?")


class NotCanonical(Exception):
    """Bytes that a careful sender would not write."""


class Message:
    """A head, and the body as far as it has arrived."""

    def __init__(self, start, fields):
        self.start = start
        self.fields = fields
        self.body = b""

    def values(self, name):
        name = name.lower()
        return [value for key, value in self.fields if key.lower() == name]

    def value(self, name):
        values = self.values(name)
        return values[0] if values else None


def read_fields(lines):
    fields = []
    for line in lines:
        name, colon, value = line.partition(b":")
        value = value.strip(b" \t")
        if not colon or not TOKEN.fullmatch(name) or not VALUE.fullmatch(value):
            raise NotCanonical(f"field line {line!r}")
        fields.append((name, value))
    return fields


def read_head(data):
    """The message whose head the bytes begin with and the head's length; None when it is cut."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > 1 << 20:
            raise NotCanonical("a head without end")
        return None
    lines = data[:end].split(b"\r\n")
    if b"\r" in data[:end].replace(b"\r\n", b"") or b"\n" in data[:end].replace(b"\r\n", b""):
        raise NotCanonical("CR or LF alone")
    return Message(lines[0], read_fields(lines[1:])), end + 4


def framing(message):
    """`chunked`, a length, or None when nothing is declared."""
    lengths = message.values(b"content-length")
    codings = message.values(b"transfer-encoding")
    if len(lengths) + len(codings) > 1:
        raise NotCanonical("more than one framing")
    if codings:
        if codings[0].lower() != b"chunked":
            raise NotCanonical(f"transfer coding {codings[0]!r}")
        return "chunked"
    if lengths:
        if not LENGTH.fullmatch(lengths[0]):
            raise NotCanonical(f"length {lengths[0]!r}")
        return int(lengths[0])
    return None


def read_chunks(data, at):
    """The payload and the offset after the last chunk; None when it is cut."""
    payload = []
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            if len(data) - at > 300 or b"\n" in data[at:]:
                raise NotCanonical("a chunk-size line without end")
            return None
        size = CHUNK.fullmatch(data[at:end])
        if not size:
            raise NotCanonical(f"chunk size {data[at:end]!r}")
        count = int(size.group(1), 16)
        at = end + 2
        if count == 0:
            break
        if len(data) < at + count + 2:
            return None
        payload.append(data[at:at + count])
        if data[at + count:at + count + 2] != b"\r\n":
            raise NotCanonical("chunk data is not followed by CRLF")
        at += count + 2
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        if end == at:
            return b"".join(payload), at + 2
        read_fields([data[at:end]])
        at = end + 2


def with_body(message, data, at, declared):
    """The offset after the body, which is stored; None when it is cut."""
    if declared == "chunked":
        result = read_chunks(data, at)
        if result is None:
            return None
        message.body, at = result
        return at
    if len(data) < at + declared:
        return None
    message.body = data[at:at + declared]
    return at + declared


def read_request(data):
    """(message, bytes used), or None when more has to come; `message` has method and target."""
    head = read_head(data)
    if head is None:
        return None
    message, at = head
    line = REQUEST.fullmatch(message.start)
    if not line:
        raise NotCanonical(f"request line {message.start!r}")
    message.method, message.target, message.minor = line.groups()
    if message.minor == b"1" and len(message.values(b"host")) != 1:
        raise NotCanonical("not one Host")
    end = with_body(message, data, at, framing(message) or 0)
    return None if end is None else (message, end)


def read_response(data, method, ended):
    """(message, bytes used, is final), or None; `ended`: the peer has closed its side."""
    head = read_head(data)
    if head is None:
        return None
    message, at = head
    line = STATUS.fullmatch(message.start)
    if not line:
        raise NotCanonical(f"status line {message.start!r}")
    message.minor, message.status = line.group(1), int(line.group(2))
    if 100 <= message.status < 200 and message.status != 101:
        return message, at, False
    declared = framing(message)
    if method == b"HEAD" or message.status in (204, 304) or message.status == 101:
        return message, at, True
    if declared is None:
        if not ended:
            return None
        message.body = data[at:]
        return message, len(data), True
    end = with_body(message, data, at, declared)
    return None if end is None else (message, end, True)
