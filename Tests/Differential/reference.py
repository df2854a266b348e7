# SPDX-License-Identifier: Apache-2.0
#
# A second opinion on a client's bytes: which messages they hold under the rules that
# docs/conformance.md lists, and where they stop being messages. Written from those rules and not
# from the parser. Where a rule is not about framing it may answer "maybe".

import re
from dataclasses import dataclass

LENGTH_MAX = (1 << 62) - 1
HEAD_MAX = 64 << 10
FIELDS_MAX = 100
OPTIONS_MAX = 16
NAME_MAX = 256
CHUNK_DIGITS_MAX = 16
EXTENSION_LINE_MAX = 256
EXTENSION_FREE = 4096
TRAILER_MAX = 8 << 10
TRAILER_FIELDS_MAX = 32

REQUEST = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) ([^\x00-\x20\x7f]+) HTTP/1\.([01])")
# Underscores in names are refused: gateways of the CGI kind fold them into hyphens.
NAME = re.compile(rb"[!#$%&'*+.^`|~0-9A-Za-z-]+")
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
PLAIN_TARGET = re.compile(rb"/[A-Za-z0-9/_-]*(\?[A-Za-z0-9=&/_-]*)?")
PLAIN_HOST = re.compile(rb"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:[0-9]{1,4})?")
SIZE = re.compile(rb"([0-9A-Fa-f]+)([ \t]*)(;[\t\x20-\x7e\x80-\xff]*)?")


class Refused(Exception):
    """The bytes are no message."""


class Cut(Exception):
    """The bytes end within a message."""


@dataclass
class Expected:
    """A message that the backend must see; `maybe`: or the connection ends here."""

    method: bytes
    target: bytes  # empty: any
    body: bytes
    maybe: bool


def line_at(data, at, limit):
    """(line, offset after its CRLF); CR and LF alone are refused."""
    end = data.find(b"\n", at, at + limit)
    part = data[at:end if end >= 0 else at + limit]
    cr = part.find(b"\r")
    if end < 0:
        if cr >= 0 and cr != len(part) - 1:
            raise Refused("CR alone")
        if len(part) >= limit:
            raise Refused("a line without end")
        raise Cut
    if not part.endswith(b"\r") or cr != len(part) - 1:
        raise Refused("CR or LF alone")
    return part[:-1], end + 1


def field(line):
    name, colon, value = line.partition(b":")
    if not colon or not NAME.fullmatch(name) or not VALUE.fullmatch(value):
        raise Refused(f"field {line!r}")
    return name.lower(), value.strip(b" \t")


def head_at(data, at):
    """(request line match, fields, offset after the head)."""
    start = at
    for _ in range(2):
        if data[at:at + 2] == b"\r\n":
            at += 2
    line, at = line_at(data, at, HEAD_MAX)
    request = REQUEST.fullmatch(line)
    if not request:
        raise Refused(f"request line {line!r}")
    fields = []
    while True:
        line, at = line_at(data, at, HEAD_MAX)
        if not line:
            break
        name, value = field(line)
        if len(name) > NAME_MAX or len(fields) == FIELDS_MAX:
            raise Refused("a limit")
        fields.append((name, value))
    if at - start > HEAD_MAX:
        raise Refused("a head too large")
    return request, fields, at


def values(fields, name):
    return [value for key, value in fields if key == name]


def judge_host(fields, minor, target):
    """True when a rule that is not about framing may refuse it."""
    hosts = values(fields, b"host")
    if len(hosts) > 1 or (not hosts and minor == b"1"):
        raise Refused("not one Host")
    if hosts and (not hosts[0] or re.search(rb'[\x00-\x20@/?#\\,<>"\x7f-\xff]', hosts[0])):
        raise Refused("an invalid Host")
    return bool(hosts) and not PLAIN_HOST.fullmatch(hosts[0])


def judge_connection(fields, minor):
    """Whether the connection persists."""
    options = []
    for value in values(fields, b"connection"):
        for option in value.split(b","):
            option = option.strip(b" \t")
            if not option:
                continue
            if not TOKEN.fullmatch(option):
                raise Refused("a connection option")
            options.append(option.lower())
    if len(options) > OPTIONS_MAX:
        raise Refused("too many connection options")
    if b"close" in options:
        return False
    return minor == b"1" or b"keep-alive" in options


def judge_framing(fields, minor):
    """`chunked` or a length."""
    lengths = values(fields, b"content-length")
    codings = values(fields, b"transfer-encoding")
    if codings:
        if lengths or len(codings) > 1 or minor == b"0" or codings[0].lower() != b"chunked":
            raise Refused("transfer coding")
        return "chunked"
    if not lengths:
        return 0
    if len(lengths) > 1 or not re.fullmatch(rb"[0-9]{1,19}", lengths[0]):
        raise Refused("length")
    if int(lengths[0]) > LENGTH_MAX:
        raise Refused("length")
    return int(lengths[0])


def chunks_at(data, at):
    """(payload, offset after the trailer section)."""
    payload, total, extensions = [], 0, 0
    while True:
        line, at = line_at(data, at, CHUNK_DIGITS_MAX + EXTENSION_LINE_MAX + 3)
        match = SIZE.fullmatch(line)
        if not match or len(match[1]) > CHUNK_DIGITS_MAX or (match[2] and not match[3]):
            raise Refused(f"chunk size {line!r}")
        size = int(match[1], 16)
        extension = len(match[2]) + len(match[3] or b"")
        extensions += extension
        if extension > EXTENSION_LINE_MAX or extensions > EXTENSION_FREE + total // 16:
            raise Refused("chunk extensions")
        if size + total > LENGTH_MAX:
            raise Refused("chunk size")
        if size == 0:
            break
        if len(data) < at + size + 2:
            rest = data[at + size:]
            if rest and rest != b"\r":
                raise Refused("chunk end")
            raise Cut
        if data[at + size:at + size + 2] != b"\r\n":
            raise Refused("chunk end")
        payload.append(data[at:at + size])
        total += size
        at += size + 2
    return b"".join(payload), trailers_end(data, at)


def trailers_end(data, at):
    start, count = at, 0
    while True:
        line, at = line_at(data, at, TRAILER_MAX)
        if not line:
            break
        field(line)
        count += 1
    if count > TRAILER_FIELDS_MAX or at - start > TRAILER_MAX:
        raise Refused("trailers")
    return at


def message_at(data, at):
    """(Expected, whether the connection persists, whether the rest is certain, offset)."""
    request, fields, at = head_at(data, at)
    method, target, minor = request.groups()
    maybe = judge_host(fields, minor, target)
    persists = judge_connection(fields, minor)
    framing = judge_framing(fields, minor)
    expectations = values(fields, b"expect")
    if expectations and (len(expectations) > 1 or expectations[0].lower() != b"100-continue"):
        raise Refused("expectation")
    if method in (b"CONNECT", b"TRACE"):
        raise Refused("method")
    wanted = target if PLAIN_TARGET.fullmatch(target) else b""
    maybe = maybe or not wanted
    # An upgrade that the backend does not take may end the connection after its answer.
    certain = minor == b"1" and not values(fields, b"upgrade")
    body = b""
    if framing == "chunked":
        body, at = chunks_at(data, at)
    elif framing:
        if len(data) < at + framing:
            raise Cut
        body, at = data[at:at + framing], at + framing
    return Expected(method, wanted, body, maybe), persists, certain, at


def read(data):
    """(messages, ending): `closed` after the last, `refused`, `cut`, or `open` when it may be
    either closed or refused."""
    messages, at, is_certain = [], 0, True
    try:
        while at < len(data):
            message, persists, certain, at = message_at(data, at)
            message.maybe = message.maybe or not is_certain
            is_certain = is_certain and certain
            messages.append(message)
            if not persists:
                return messages, "closed"
    except Refused:
        return messages, "refused" if is_certain else "open"
    except Cut:
        pass
    return messages, "cut"
