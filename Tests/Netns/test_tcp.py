# SPDX-License-Identifier: Apache-2.0
#
# TCP listeners and the PROXY protocol: bytes that nobody reads, an L4 tier in front of an L7 tier,
# and HAProxy as the tier before and behind us.

import contextlib
import hashlib
import os
import shutil
import socket
import threading

from client import Connection, Truncated
from configuration import configuration
from lab import ADDRESS, RUNTIME, VIP, expect, poll
from scripted import ScriptedBackend

MISSING = None if shutil.which("haproxy") else "haproxy is not installed"
RAW, TIER, BEHIND, INNER, HAPROXY_IN, HAPROXY_OUT = 7000, 7001, 7002, 8000, 9200, 9201
LISTENERS = f"""\
  raw: {{ bind: 0.0.0.0:{RAW}, protocol: tcp, pool: raw }}
  tier: {{ bind: 0.0.0.0:{TIER}, protocol: tcp, pool: tier }}
  behind: {{ bind: 0.0.0.0:{BEHIND}, protocol: tcp, pool: haproxy }}
  inner:
    bind: 0.0.0.0:{INNER}
    proxy_protocol: {{ from: [10.77.0.0/25] }}
    routes:
      - pool: web
"""
POOLS = f"""\
  raw:
    balance: round_robin
    backends:
      dead: {{ address: 10.77.0.21:9 }}
      live: {{ address: 10.77.0.21:9100 }}
  tier:
    send_proxy_protocol: v2
    backends:
      lb1: {{ address: 10.77.0.11:{INNER} }}
    health_check: {{ path: /healthz, interval: 300ms, timeout: 300ms, fall: 2, rise: 2 }}
  haproxy:
    send_proxy_protocol: v1
    backends:
      be3: {{ address: 10.77.0.23:{HAPROXY_IN} }}
"""
CONFIGURATION = configuration(listeners=LISTENERS, more_pools=POOLS)
BULK_BYTES = 64 << 20


def _hash_what_comes(connection):
    digest = hashlib.sha256()
    while chunk := connection.recv(1 << 18):
        digest.update(chunk)
    connection.sendall(digest.hexdigest().encode())


def bytes_pass_to_the_backend_that_accepts(lab):
    def echo(connection):
        while chunk := connection.recv(65536):
            connection.sendall(chunk)
    with ScriptedBackend("be1", ADDRESS["be1"], 9100, echo):
        for index in range(20):
            with Connection(VIP, RAW) as connection:
                connection.send(f"hello {index}".encode())
                connection.socket.shutdown(socket.SHUT_WR)
                expect(connection.rest() == f"hello {index}".encode(), "another answer")
    refused = lab.metric("lb1", "tandem_listener_refused_streams_total", listener="raw")
    expect(refused == 0, f"{refused} refused")
    failures = lab.metric(
        "lb1", "tandem_backend_connect_failures_total", pool="raw", backend="dead")
    expect(failures > 0, "the dead backend was never tried")


def a_half_closed_stream_is_answered_at_its_end(lab):
    data = os.urandom(1 << 20) * (BULK_BYTES >> 20)
    memory = lab.memory_bytes("lb1")
    with ScriptedBackend("be1", ADDRESS["be1"], 9100, _hash_what_comes):
        with Connection(VIP, RAW, timeout_seconds=30) as connection:
            connection.send(data)
            connection.socket.shutdown(socket.SHUT_WR)
            expect(connection.rest().decode() == hashlib.sha256(data).hexdigest(), "bytes differ")
    growth = lab.memory_bytes("lb1") - memory
    expect(growth < 6 << 20, f"{growth} more bytes of memory")


def a_reset_is_passed_on(lab):
    seen = []

    def wait(connection):
        connection.sendall(b"ready")
        try:
            seen.append(connection.recv(1))
        except ConnectionResetError:
            seen.append("reset")
    with ScriptedBackend("be1", ADDRESS["be1"], 9100, wait):
        connection = Connection(VIP, RAW)
        expect(connection.socket.recv(5) == b"ready", "no greeting")
        connection.reset()
        poll(5, lambda: f"the backend sees {seen}", lambda: seen == ["reset"])


def nobody_behind_is_a_reset(lab):
    try:
        # The reset may be faster than the end of connect.
        with Connection(VIP, RAW) as connection:
            connection.socket.recv(1)
    except ConnectionResetError:
        return
    expect(False, "an answer or a normal end")


def an_l4_tier_in_front_of_an_l7_tier_keeps_the_client(lab):
    with Connection(VIP, TIER) as connection:
        for path in ("/echo", "/echo"):
            text = connection.request(path).response().text
            expect(f"X-Forwarded-For: {ADDRESS['client']}\r\n" in text, text)
    # Its checks are accepted by a listener that wants a header.
    expect(lab.backend("lb1", "tier", "lb1")["state"] == "up", "the tier is not up")
    failures = lab.metric("lb1", "tandem_listener_proxy_header_failures_total", listener="inner")
    expect(failures == 0, f"{failures} connections without a header")


def a_peer_that_owes_a_header_gets_nothing_without_it(lab):
    # be1 lies in the network that must send one, the client does not.
    with Connection(ADDRESS["lb1"], INNER, member="be1") as connection:
        expect(connection.request().rest() == b"", "an answer without a header")
    with Connection(ADDRESS["lb1"], INNER, member="be1") as connection:
        connection.send(b"PROXY TCP4 203.0.113.9 198.51.100.1 1234 80\r\n")
        text = connection.request("/echo").response().text
        expect("X-Forwarded-For: 203.0.113.9\r\n" in text, text)
    with Connection(VIP, INNER) as connection:
        connection.send(b"PROXY TCP4 203.0.113.9 198.51.100.1 1234 80\r\n")
        expect(connection.request().response().status == 400, "a header of anybody is believed")


@contextlib.contextmanager
def _haproxy(lab, member, text):
    file = RUNTIME / member / "haproxy-test.cfg"
    file.write_text(
        "global\n  nbthread 1\ndefaults\n  mode http\n  timeout connect 2s\n"
        "  timeout client 5s\n  timeout server 5s\n" + text)
    child = lab.spawn(member, "haproxy-test", "haproxy", "-db", "-f", file)
    try:
        yield
    finally:
        child.terminate()
        child.wait(10)


def _answers(address, port, member="client"):
    def look():
        try:
            with Connection(address, port, member) as connection:
                return connection.request().response()
        except (OSError, Truncated):
            return None
    return look


def haproxy_behind_us_believes_our_header(lab):
    text = (
        f"frontend f\n  bind {ADDRESS['be3']}:{HAPROXY_IN} accept-proxy\n"
        '  http-request return status 200 content-type text/plain lf-string "%[src] %[dst_port]"\n')
    with _haproxy(lab, "be3", text):
        response = poll(5, "haproxy answers behind us", _answers(VIP, BEHIND))
        expect(response.text == f"{ADDRESS['client']} {BEHIND}", response.text)


def we_believe_the_headers_of_haproxy(lab):
    for options in ("send-proxy", "send-proxy-v2 proxy-v2-options crc32c,unique-id"):
        text = (
            f"listen l\n  bind {ADDRESS['be3']}:{HAPROXY_OUT}\n  unique-id-format %{{+X}}o%ci\n"
            f"  server s {ADDRESS['lb1']}:{INNER} {options}\n")
        with _haproxy(lab, "be3", text):
            poll(5, f"haproxy answers with {options}", _answers(ADDRESS["be3"], HAPROXY_OUT))
            with Connection(ADDRESS["be3"], HAPROXY_OUT) as connection:
                echoed = connection.request("/echo").response()
                expect(
                    f"X-Forwarded-For: {ADDRESS['client']}\r\n" in echoed.text,
                    f"{options}: {echoed.status} {echoed.text}")


def many_streams_at_once_leave_nothing(lab):
    def echo(connection):
        while chunk := connection.recv(65536):
            connection.sendall(chunk)
    failed = []

    def talk(number):
        try:
            for round_ in range(10):
                with Connection(VIP, RAW) as connection:
                    word = f"{number} {round_}".encode()
                    connection.send(word)
                    connection.socket.shutdown(socket.SHUT_WR)
                    if connection.rest() != word:
                        failed.append(word)
        except OSError as error:
            failed.append(error)
    with ScriptedBackend("be1", ADDRESS["be1"], 9100, echo):
        threads = [threading.Thread(target=talk, args=(number,)) for number in range(30)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    expect(not failed, f"{failed[:3]}")
    poll(5, "no stream stays", lambda: lab.metric(
        "lb1", "tandem_listener_tunnels_open", listener="raw") == 0)
