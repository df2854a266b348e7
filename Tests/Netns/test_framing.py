# SPDX-License-Identifier: Apache-2.0
#
# Requests whose framing is ambiguous or too large: answered, closed, and nothing behind them is
# ever taken for a request (RFC 9112 sections 2.2, 5.1, 5.2, 6.1, 6.3 and 7.1; RFC 9110
# section 7.2).

import random

from client import Connection, Truncated, get
from configuration import configuration
from lab import expect

CONFIGURATION = configuration()
SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: lab\r\n\r\n"


def _request(*fields, line="POST /echo HTTP/1.1", body="", host=True):
    lines = [line, *(["Host: lab"] if host else []), *fields]
    return "\r\n".join(lines) + "\r\n\r\n" + body


AMBIGUOUS = {
    "Content-Length and Transfer-Encoding": _request(
        "Content-Length: 4", "Transfer-Encoding: chunked", body="0\r\n\r\n" + SMUGGLED),
    "Transfer-Encoding and Content-Length": _request(
        "Transfer-Encoding: chunked", "Content-Length: 0", body="0\r\n\r\n" + SMUGGLED),
    "two Content-Lengths that differ": _request(
        "Content-Length: 3", "Content-Length: 4", body="abcd" + SMUGGLED),
    "a list of Content-Lengths": _request("Content-Length: 3, 4", body="abcd" + SMUGGLED),
    "a negative Content-Length": _request("Content-Length: -1", body=SMUGGLED),
    "a signed Content-Length": _request("Content-Length: +3", body="abc" + SMUGGLED),
    "a hexadecimal Content-Length": _request("Content-Length: 0x3", body="abc" + SMUGGLED),
    "a Content-Length of 2^64 + 3": _request(
        "Content-Length: 18446744073709551619", body="abc" + SMUGGLED),
    "an empty Content-Length": _request("Content-Length:", body=SMUGGLED),
    "an unknown transfer coding": _request(
        "Transfer-Encoding: chunked, identity", body="0\r\n\r\n" + SMUGGLED),
    "chunked twice": _request(
        "Transfer-Encoding: chunked, chunked", body="0\r\n\r\n" + SMUGGLED),
    "a folded field": _request("X-A: b", " c", "Content-Length: 0", body=SMUGGLED),
    "a folded first field": _request(" X-A: b", body=SMUGGLED, host=False),
    "a space before the colon": _request("Content-Length : 3", body="abc" + SMUGGLED),
    "a field without a colon": _request("X-A", body=SMUGGLED),
    "an empty field name": _request(": b", body=SMUGGLED),
    "a NUL in a value": _request("X-A: b\0c", body=SMUGGLED),
    "a bare CR in a value": _request("X-A: b\rc", body=SMUGGLED),
    "no Host": _request(line="GET / HTTP/1.1", body=SMUGGLED, host=False),
    "two Hosts": _request("Host: other", line="GET / HTTP/1.1", body=SMUGGLED),
    "a Host that is no host": _request(
        "Host: a b", line="GET / HTTP/1.1", body=SMUGGLED, host=False),
    "a target with a space": _request(line="GET / x HTTP/1.1", body=SMUGGLED),
    "no version": _request(line="GET /", body=SMUGGLED),
    "a method that is no token": _request(line="G@T / HTTP/1.1", body=SMUGGLED),
}

BROKEN_CHUNKS = {
    "a bare LF after the size": "5\nhello\r\n0\r\n\r\n",
    "a bare LF after the data": "5\r\nhello\n0\r\n\r\n",
    "data longer than its size": "3\r\nhello\r\n0\r\n\r\n",
    "a size that is no number": "xyz\r\nhello\r\n0\r\n\r\n",
    "a size of 17 digits": "00000000000000005\r\nhello\r\n0\r\n\r\n",
    "a negative size": "-5\r\nhello\r\n0\r\n\r\n",
    "a size with a space before it": " 5\r\nhello\r\n0\r\n\r\n",
    "an empty size": "\r\nhello\r\n0\r\n\r\n",
    "a bare CR in an extension": "5;a=\rb\r\nhello\r\n0\r\n\r\n",
    "a trailer with a space before its colon": "0\r\nX-A : b\r\n\r\n",
}


def _answers(data):
    """Every response until the connection closes."""
    answers = []
    with Connection(timeout_seconds=5) as connection:
        try:
            connection.send(data.encode("latin-1"))
        except (BrokenPipeError, ConnectionResetError):
            pass
        while True:
            try:
                answers.append(connection.response())
            except (Truncated, ConnectionResetError) as ending:
                expect(
                    not getattr(ending, "received", b""), f"after {answers}: {ending}")
                return answers


def _expect_one_answer(what, data, status):
    answers = [answer.status for answer in _answers(data)]
    expect(answers == [status], f"{what}: answered {answers}, wanted one {status}")


def ambiguous_requests_are_answered_400_and_closed(lab):
    before = lab.metric("lb1", "tandem_listener_requests_total")
    for what, data in AMBIGUOUS.items():
        _expect_one_answer(what, data, 400)
    counted = lab.metric("lb1", "tandem_http_request_faults_total")
    expect(counted >= len(AMBIGUOUS) - 2, f"only {counted} faults counted, {before} before")


def broken_chunks_are_answered_400_and_closed(lab):
    head = "POST /echo HTTP/1.1\r\nHost: lab\r\nTransfer-Encoding: chunked\r\n\r\n"
    for what, body in BROKEN_CHUNKS.items():
        _expect_one_answer(what, head + body + SMUGGLED, 400)


def heads_over_the_limits_are_answered_and_closed(lab):
    big = _request(*[f"X-{n}: " + "a" * 1000 for n in range(67)], line="GET / HTTP/1.1")
    expect(len(big) > 65 * 1024, "the head is too small for this test")
    _expect_one_answer("a head of 65 KiB", big, 431)
    many = _request(*[f"X-{n}: a" for n in range(100)], line="GET / HTTP/1.1")
    _expect_one_answer("101 fields", many, 431)
    _expect_one_answer(
        "a target of 9 KiB", _request(line=f"GET /{'a' * 9216} HTTP/1.1"), 414)


def heads_at_the_limits_reach_a_backend(lab):
    """What the backend says to a head that grew by three fields is its own business."""
    for what, data in {
        "100 fields": _request(
            *[f"X-{n}: a" for n in range(98)], "Connection: close", line="GET / HTTP/1.1"),
        "a target of 8 KiB": _request(
            "Connection: close", line=f"GET /{'a' * 8191} HTTP/1.1"),
    }.items():
        answers = _answers(data)
        expect(len(answers) == 1, f"{what}: {answers}")
        expect(answers[0].values("Server")[0].startswith("be"), f"{what}: {answers}")


def unknown_versions_are_refused(lab):
    answers = _answers(_request(line="GET / HTTP/2.0"))
    expect([answer.status for answer in answers] == [505], f"HTTP/2.0: {answers}")
    preface = _answers("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    expect(preface and preface[0].status in (400, 505), f"an HTTP/2 preface: {preface}")


def random_bytes_never_hurt(lab):
    pid = lab.process_id("lb1")
    for seed in range(40):
        generator = random.Random(seed)
        with Connection() as connection:
            connection.provoke(generator.randbytes(generator.randrange(1, 20_000)))
    expect(lab.process_id("lb1") == pid, "lb1 is another process")
    expect(get().status == 200, "the VIP does not serve")


def clients_that_leave_in_the_middle_never_hurt(lab):
    pid = lab.process_id("lb1")
    parts = ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: lab\r\n",
             "POST /echo HTTP/1.1\r\nHost: lab\r\nContent-Length: 10\r\n\r\nabc",
             "POST /echo HTTP/1.1\r\nHost: lab\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
             "GET /bytes/50000000 HTTP/1.1\r\nHost: lab\r\n\r\n",
             "GET /delay/200 HTTP/1.1\r\nHost: lab\r\n\r\n"]
    for part in parts * 3:
        Connection().send(part.encode()).reset()
        Connection().send(part.encode()).close()
    expect(lab.process_id("lb1") == pid, "lb1 is another process")
    expect(get().status == 200, "the VIP does not serve")
