# SPDX-License-Identifier: Apache-2.0
#
# Requests and responses through the VIP: connections that stay open, bodies of every framing and
# size in both directions, and the fields that a proxy must add, replace and remove.

import hashlib
import time

from client import Connection, get
from configuration import configuration
from lab import ADDRESS, expect, pause, poll
from scripted import ScriptedBackend, read_head

SCRIPTED_PORT = 9000
CONFIGURATION = configuration(pools={"scripted": [f"10.77.0.22:{SCRIPTED_PORT}"]})
BIG_BYTES = 64 << 20
UPLOAD_BYTES = 32 << 20
# Buffers per connection are bounded; a body that piled up would show as tens of MiB.
MEMORY_GROWTH_MAX_BYTES = 6 << 20


def _scripted(handler):
    return ScriptedBackend("be2", ADDRESS["be2"], SCRIPTED_PORT, handler)


def _echo_fields(text):
    lines = text.split("\r\n\r\n")[0].split("\r\n")
    fields = {}
    for line in lines[1:]:
        name, value = line.split(":", 1)
        fields.setdefault(name.lower(), []).append(value.strip())
    return fields


def keep_alive_serves_many_requests_on_one_connection(lab):
    accepted = lab.metric("lb1", "tandem_listener_connections_total")
    names = set()
    with Connection() as connection:
        for _ in range(300):
            response = connection.request().response()
            expect(response.status == 200, f"status {response.status}")
            names.add(response.text.strip())
        expect(connection.buffer == b"", f"left over: {connection.buffer[:100]}")
    expect(names == {"be1", "be2", "be3"}, f"served by {names}")
    poll(2, "one connection was counted", lambda: lab.metric(
        "lb1", "tandem_listener_connections_total") == accepted + 1)


def connection_close_is_honoured(lab):
    with Connection() as connection:
        response = connection.request(fields=["Connection: close"]).response()
        expect(response.status == 200, f"status {response.status}")
        expect(connection.rest() == b"", "bytes behind the response")
    with Connection() as connection:
        connection.send(b"GET / HTTP/1.0\r\n\r\n")
        expect(connection.response().status == 200, "HTTP/1.0 is not served")
        expect(connection.rest() == b"", "bytes behind the HTTP/1.0 response")


def pipelined_requests_are_answered_in_order(lab):
    paths = [f"/number/{index}" for index in range(40)]
    with Connection() as connection:
        connection.send("".join(
            f"GET {path} HTTP/1.1\r\nHost: lab\r\n\r\n" for path in paths).encode())
        for path in paths:
            text = connection.response().text
            expect(text.split()[1] == path, f"wanted {path}, got {text}")


def a_request_sent_byte_by_byte_is_served(lab):
    with Connection() as connection:
        connection.socket.setsockopt(6, 1, 1)
        for byte in b"GET /slowly HTTP/1.1\r\nHost: lab\r\n\r\n":
            connection.send(bytes([byte]))
        expect(connection.response().text.split()[1] == "/slowly", "another answer")


def bodies_pass_in_both_directions_with_either_framing(lab):
    body = bytes(range(256)) * 200
    chunks = [body[start:start + 7001] for start in range(0, len(body), 7001)]
    with Connection() as connection:
        echoed = connection.request("/echo", "POST", body=body).response()
        expect(echoed.body.split(b"\r\n\r\n", 1)[1] == body, "Content-Length body differs")
        connection.send(
            b"POST /echo HTTP/1.1\r\nHost: lab\r\nTransfer-Encoding: chunked\r\n\r\n")
        for chunk in chunks:
            connection.send(f"{len(chunk):x};ext=1\r\n".encode() + chunk + b"\r\n")
        connection.send(b"0\r\nX-Trailer: t\r\n\r\n")
        echoed = connection.response()
        expect(echoed.status == 200, f"chunked request: {echoed.status} {echoed.text[:200]}")
        expect(body[:3000] in echoed.body, "chunked body differs")
        for path in ("/bytes/1000000", "/chunked/1000000", "/bytes/0", "/chunked/0"):
            response = connection.request(path).response()
            wanted = int(path.split("/")[2])
            expect(len(response.body) == wanted, f"{path}: {len(response.body)} bytes")


def head_and_bodiless_answers_leave_the_connection_usable(lab):
    with Connection() as connection:
        for path in ("/bytes/1000", "/chunked/1000", "/"):
            response = connection.request(path, "HEAD").response("HEAD")
            expect(response.status == 200, f"HEAD {path}: {response.status}")
        for code in (204, 304):
            response = connection.request(f"/status/{code}").response()
            expect(response.status == code, f"wanted {code}, got {response.status}")
        expect(connection.request().response().status == 200, "the connection is out of step")


def expect_continue_is_answered_before_the_body(lab):
    with Connection() as connection:
        connection.request("/echo", "POST", fields=[
            "Expect: 100-continue", "Content-Length: 5"])
        interim = connection.response()
        expect(interim.status == 100, f"before the body: {interim.status}")
        final = connection.send(b"hello").response()
        expect(final.status == 200 and final.body.endswith(b"hello"), f"then {final.status}")
        expect(connection.request().response().status == 200, "the connection is out of step")


def forwarded_fields_are_replaced_not_believed(lab):
    text = get(path="/echo", fields=[
        "X-Forwarded-For: 6.6.6.6", "x-forwarded-for: 7.7.7.7", "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil.example"]).text
    fields = _echo_fields(text)
    expect(fields["x-forwarded-for"] == [ADDRESS["client"]], f"{fields}")
    expect(fields["x-forwarded-proto"] == ["http"], f"{fields}")
    expect(fields["x-forwarded-host"] == ["lab"], f"{fields}")
    expect("via" not in fields and "forwarded" not in fields, f"{fields}")


def hop_by_hop_fields_stay_on_their_hop(lab):
    with Connection() as connection:
        text = connection.request("/echo", fields=[
            "Connection: X-Private, keep-alive", "X-Private: 1", "Keep-Alive: timeout=5",
            "Proxy-Connection: keep-alive", "TE: trailers", "Proxy-Authorization: Basic eA==",
            "X-Public: 2"]).response().text
    fields = _echo_fields(text)
    expect(fields.get("x-public") == ["2"], f"{fields}")
    for name in ("x-private", "keep-alive", "proxy-connection", "proxy-authorization"):
        expect(name not in fields, f"{name} was forwarded: {fields}")
    # RFC 9110 §10.1.4: our own hop takes trailers, for a client that does, and names the field.
    expect(fields.get("te") == ["trailers"], f"{fields}")
    expect([value.lower() for value in fields.get("connection", [])] == ["te"], f"{fields}")


def hop_by_hop_fields_of_responses_are_removed(lab):
    def answer(connection):
        read_head(connection)
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Secret, close\r\n"
            b"X-Secret: 1\r\nKeep-Alive: timeout=5\r\nX-Open: 2\r\n\r\nok")
    with _scripted(answer), Connection() as connection:
        response = connection.request("/scripted/").response()
        expect(response.body == b"ok", f"{response}")
        expect(response.values("X-Open") == ["2"], f"{response.fields}")
        expect(not response.values("X-Secret"), f"{response.fields}")
        expect("timeout=5" not in response.values("Keep-Alive"), f"{response.fields}")
        expect(connection.request().response().status == 200, "the client was disconnected too")


def a_big_body_waits_for_its_reader_without_growing_memory(lab):
    before = lab.memory_bytes("lb1")
    received, peak = 0, before
    with Connection(timeout_seconds=20, receive_buffer_bytes=65536) as connection:
        connection.request(f"/bytes/{BIG_BYTES}")
        head = connection.head()
        expect(head.values("Content-Length") == [str(BIG_BYTES)], f"{head}")
        received = len(connection.buffer)
        slow_until = time.monotonic() + 1
        while received < BIG_BYTES:
            if time.monotonic() < slow_until:
                pause(0.005)
                peak = max(peak, lab.memory_bytes("lb1"))
            data = connection.socket.recv(16384 if time.monotonic() < slow_until else 1 << 20)
            expect(data, f"ended after {received} bytes")
            received += len(data)
        peak = max(peak, lab.memory_bytes("lb1"))
    expect(received == BIG_BYTES, f"{received} bytes")
    grown = peak - before
    expect(grown < MEMORY_GROWTH_MAX_BYTES, f"memory grew by {grown >> 10} KiB")


def a_big_upload_waits_for_its_backend_without_growing_memory(lab):
    digest, count = hashlib.sha256(), [0]

    def swallow_slowly(connection):
        head, rest = read_head(connection)
        digest.update(rest)
        count[0] = len(rest)
        slow_until = time.monotonic() + 1
        while count[0] < UPLOAD_BYTES:
            if time.monotonic() < slow_until:
                pause(0.005)
            data = connection.recv(16384 if time.monotonic() < slow_until else 1 << 20)
            digest.update(data)
            count[0] += len(data)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    block = hashlib.sha256(b"tandem").digest() * 2048
    wanted = hashlib.sha256()
    before = lab.memory_bytes("lb1")
    peak = before
    with _scripted(swallow_slowly), Connection(timeout_seconds=20) as connection:
        connection.request("/scripted/up", "PUT", fields=[f"Content-Length: {UPLOAD_BYTES}"])
        for _ in range(UPLOAD_BYTES // len(block)):
            wanted.update(block)
            connection.send(block)
            peak = max(peak, lab.memory_bytes("lb1"))
        expect(connection.response().status == 200, "the upload was not answered")
    expect(count[0] == UPLOAD_BYTES, f"{count[0]} bytes arrived")
    expect(digest.digest() == wanted.digest(), "the bytes differ")
    grown = peak - before
    expect(grown < MEMORY_GROWTH_MAX_BYTES, f"memory grew by {grown >> 10} KiB")


def idle_clients_do_not_disturb(lab):
    idle = [Connection() for _ in range(500)]
    poll(5, "they are open", lambda: lab.status("lb1")["connections"] >= 500)
    for connection in idle:
        expect(connection.request().response().status == 200, "an idle client is not served")
    for connection in idle:
        connection.close()
    poll(5, "they are gone", lambda: lab.status("lb1")["connections"] < 50)
