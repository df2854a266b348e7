# SPDX-License-Identifier: Apache-2.0
#
# Backends that refuse, break off, answer nonsense or fail their checks: what the client sees.

import os
import signal

from client import Connection, Truncated, get
from configuration import configuration
from lab import ADDRESS, NODES, RUNTIME, expect, poll, throughout
from scripted import ScriptedBackend, read_head

SCRIPTED_PORT = 9000
# Port 9 refuses.
CONFIGURATION = configuration(pools={
    "retry": ["10.77.0.21:9", "10.77.0.22:8080"],
    "dead": ["10.77.0.21:9", "10.77.0.22:9"],
    "scripted": [f"10.77.0.22:{SCRIPTED_PORT}"],
})


def _scripted(handler):
    return ScriptedBackend("be2", ADDRESS["be2"], SCRIPTED_PORT, handler)


def a_refusing_backend_is_replaced_by_another(lab):
    for _ in range(20):
        response = get(path="/retry/x")
        expect(response.status == 200, f"status {response.status}")
        expect(response.text.split()[0] == "be2", response.text)
    failures = lab.metric(
        "lb1", "tandem_backend_connect_failures_total", pool="retry", backend="b0")
    expect(failures >= 1, "no connect failure was counted")


def a_request_with_a_body_is_retried_when_nothing_was_sent(lab):
    for _ in range(10):
        with Connection() as connection:
            response = connection.request("/retry/x", "POST", body=b"b" * 5000).response()
            expect(response.status == 200, f"status {response.status}")


def every_backend_refusing_is_answered_502(lab):
    with Connection() as connection:
        for _ in range(5):
            response = connection.request("/dead/").response()
            expect(response.status == 502, f"status {response.status}")
            expect(response.body, "no reason is given")
        expect(connection.request().response().status == 200, "the client was disconnected")


def a_backend_that_dies_in_its_body_truncates_the_response(lab):
    def die(connection):
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"a" * 400)

    def die_chunked(connection):
        read_head(connection)
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n190\r\n" + b"a" * 400 + b"\r\n")

    for handler in (die, die_chunked):
        with _scripted(handler), Connection() as connection:
            try:
                response = connection.request("/scripted/").response()
            except (Truncated, ConnectionResetError):
                continue
            expect(False, f"{handler.__name__}: a clean end: {response.status} "
                   f"{len(response.body)} bytes")
    truncated = lab.metric("lb1", "tandem_listener_truncated_responses_total")
    expect(truncated == 2, f"{truncated} truncated responses counted")


def a_backend_that_says_nothing_or_nonsense_is_answered_502(lab):
    def answer(data):
        def handler(connection):
            read_head(connection)
            connection.sendall(data)
        return handler

    answers = {
        "nothing": b"",
        "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
        "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "a bad length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "a head of 70 KiB": b"HTTP/1.1 200 OK\r\n" + b"".join(
            b"X-%d: " % number + b"a" * 1000 + b"\r\n" for number in range(70)) + b"\r\n",
    }
    for what, data in answers.items():
        with _scripted(answer(data)), Connection() as connection:
            response = connection.request("/scripted/").response()
            expect(response.status == 502, f"{what}: status {response.status}")
            expect(connection.request().response().status == 200, f"{what}: disconnected")


def bytes_behind_a_response_never_reach_another_client(lab):
    def answer_twice(connection):
        while read_head(connection)[0]:
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale")
    with _scripted(answer_twice):
        for _ in range(10):
            with Connection() as connection:
                text = connection.request("/scripted/").response().text
                expect(text == "ok", f"got {text!r}")


def a_backend_that_closes_between_requests_costs_nobody_a_request(lab):
    def once(connection):
        read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    with _scripted(once), Connection() as connection:
        for index in range(50):
            response = connection.request("/scripted/").response()
            expect(response.status == 200, f"request {index}: status {response.status}")


def failing_checks_take_a_backend_out_and_passing_ones_bring_it_back(lab):
    def control(what):
        get(ADDRESS["be1"], f"/control/health/{what}", port=8080)

    def served():
        with Connection() as connection:
            return {connection.request().response().text.strip() for _ in range(12)}

    expect(served() == {"be1", "be2", "be3"}, f"served by {served()}")
    control("fail")
    try:
        for node in NODES:
            poll(4, f"be1 is down on {node}",
                 lambda: lab.backend(node, "web", "be1")["state"] == "down")
        throughout(0.4, "be1 still serves", lambda: served() == {"be2", "be3"}, every=0.02)
        expect("503" in lab.backend("lb1", "web", "be1")["reason"], "no reason is shown")
        expect("be1" in lab.log("lb1"), "not logged")
    finally:
        control("ok")
    poll(4, "be1 is up", lambda: lab.backend("lb1", "web", "be1")["state"] == "up")
    poll(2, lambda: f"be1 serves: {served()}", lambda: "be1" in served())


def a_killed_backend_costs_no_request(lab):
    """Connections to it are refused from now on; every request finds another backend."""
    pid = lab.process_id("be3", "backend")
    os.kill(pid, signal.SIGKILL)
    for index in range(60):
        response = get()
        expect(response.status == 200, f"request {index}: status {response.status}")
    poll(4, "be3 is down", lambda: lab.backend("lb1", "web", "be3")["state"] == "down")
    (RUNTIME / "be3" / "backend.pid").unlink()
    lab.script("up", "--binary", lab.binary, "--config", lab.config_file(), "--no-wait")
    # Its traffic took it out before its check did: it returns with a request that succeeds.
    poll(5, "be3 is up", lambda: get().status == 200
         and lab.backend("lb1", "web", "be3")["state"] == "up")


def _strict():
    """A pool that believes its checks whatever they say, routed by /strict/."""
    backends = "".join(
        f"      {name}: {{ address: {ADDRESS[name]}:8080 }}\n" for name in ("be1", "be2", "be3"))
    return (
        "  strict:\n    balance: round_robin\n    cascade_guard: off\n    panic_threshold: 0\n"
        f"    backends:\n{backends}"
        "    health_check: { path: /healthz, interval: 300ms, timeout: 300ms, fall: 2, rise: 2 }\n")


def checks_that_all_fail_at_once_empty_no_pool(lab):
    """Traffic is still answered, so the cause is the check's; a pool that is told so believes it."""
    text = lab.configuration.replace(
        "      - pool: web\n",
        "      - match: { path_prefix: /strict/ }\n        pool: strict\n      - pool: web\n")
    lab.write_configuration(text.replace("\nadmin:", "\n" + _strict() + "\nadmin:"))
    for node in NODES:
        expect("applied" in lab.ctl(node, "reload"), "the strict pool is refused")
    for name in ("be1", "be2", "be3"):
        get(ADDRESS[name], "/control/health/fail", port=8080)
    try:
        poll(5, "the strict pool serves nobody", lambda: get(path="/strict/").status == 503)
        for _ in range(30):
            expect(get().status == 200, "a shared cause emptied the pool")
        pool = next(p for p in lab.status("lb1")["pools"] if p["name"] == "web")
        expect(pool["cascade"] or pool["panic"], f"nothing is said: {pool}")
    finally:
        for name in ("be1", "be2", "be3"):
            get(ADDRESS[name], "/control/health/ok", port=8080)
    poll(5, "they serve again", lambda: get(path="/strict/").status == 200)
    poll(30, "all is well again", lambda: not next(
        p for p in lab.status("lb1")["pools"] if p["name"] == "web")["cascade"])
