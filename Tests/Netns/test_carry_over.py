# SPDX-License-Identifier: Apache-2.0
#
# Connections that go on at the other node after a crash, a power loss and a freeze: idle ones and
# those that wait for an answer, byte by byte. Whoever cannot go on is told so at once, and nothing
# is executed twice that must not be.

from carried import (
    LEDGER_POOL, Ledger, Takeover, await_in_flight, await_known, await_told_of, close,
    expect_answers, expect_late_answers, expect_reset, keep)
from client import Connection, Truncated, try_get
from configuration import configuration
from lab import VIP, expect, poll

VIP6 = "fd77::100"
OFF_PORT, IDLE_PORT = 8082, 8083
CONFIGURATION = configuration(
    advertise_interval="100ms", carry_over="requests", more_addresses=[VIP6], pools=LEDGER_POOL,
    listeners=(
        '  web6:\n    bind: "[::]:80"\n    carry_over: requests\n'
        "    routes:\n      - pool: web\n"
        f"  off:\n    bind: 0.0.0.0:{OFF_PORT}\n    routes:\n      - pool: web\n"
        f"  resting:\n    bind: 0.0.0.0:{IDLE_PORT}\n    carry_over: idle\n"
        "    routes:\n      - pool: web\n"))
CLIENTS = 40
SLOW_PATH = "/delay/400"
BIG_BYTES = 64 << 20


def _furnish_ipv6(lab):
    for number, member in enumerate(("lb1", "lb2", "client"), 1):
        lab.shell(member, "ip", "address", "replace", f"fd77::{number}/64", "dev", "eth0",
                  "nodad")


# Idle connections

def _idle_clients_go_on(lab, fault):
    asked = keep(CLIENTS)
    silent = [Connection() for _ in range(5)]
    await_known(lab, len(asked) + len(silent))
    with Takeover(lab) as takeover:
        takeover.inject(fault)
        expect_answers(asked)
        # Those that had not asked anything yet are idle, too.
        expect_answers(silent)
        # The node that comes back, or wakes up, has nothing to say to them.
        lab.script("heal")
        expect_answers(asked + silent)
        takeover.expect_untouched(asked + silent)
    close(asked + silent)
    poll(2, "no connection stays open", lambda: lab.metric(
        takeover.new, "tandem_listener_connections_open", listener="web") == 0)


def idle_clients_go_on_after_a_crash(lab):
    _idle_clients_go_on(lab, "crash")


def idle_clients_go_on_after_a_power_loss(lab):
    _idle_clients_go_on(lab, "poweroff")


def idle_clients_go_on_after_a_freeze(lab):
    _idle_clients_go_on(lab, "freeze")


def idle_clients_go_on_over_ipv6(lab):
    _furnish_ipv6(lab)
    for fault in ("crash", "poweroff"):
        clients = keep(CLIENTS, VIP6)
        await_known(lab, len(clients))
        with Takeover(lab) as takeover:
            takeover.inject(fault)
            expect_answers(clients)
            lab.script("heal")
            expect_answers(clients)
        close(clients)


def clients_go_on_from_node_to_node(lab):
    """Carried connections are carried again, with whatever was asked meanwhile."""
    clients = keep(CLIENTS)
    for round_, fault in enumerate(("crash", "freeze", "crash", "poweroff")):
        await_known(lab, len(clients))
        with Takeover(lab) as takeover:
            takeover.inject(fault)
            # Some say nothing from one takeover to the next.
            expect_answers(clients[round_ % 2::2])
            lab.script("heal")
            takeover.expect_untouched(clients)
    expect_answers(clients)
    close(clients)


# Requests in flight

def _waiting_clients_are_answered(lab, fault, address=VIP):
    clients = keep(CLIENTS // 2, address)
    await_known(lab, len(clients))
    for client in clients:
        client.request(SLOW_PATH)
    await_in_flight(lab, len(clients))
    with Takeover(lab) as takeover:
        takeover.inject(fault)
        expect_late_answers(clients)
        expect_answers(clients)
        takeover.expect_untouched(clients)
    close(clients)


def waiting_clients_are_answered_after_a_crash(lab):
    _waiting_clients_are_answered(lab, "crash")


def waiting_clients_are_answered_after_a_power_loss(lab):
    _waiting_clients_are_answered(lab, "poweroff")


def waiting_clients_are_answered_after_a_freeze(lab):
    _waiting_clients_are_answered(lab, "freeze")


def waiting_clients_are_answered_over_ipv6(lab):
    _furnish_ipv6(lab)
    _waiting_clients_are_answered(lab, "crash", VIP6)


def requests_that_may_be_repeated_are(lab):
    """What RFC 9110 9.2.2 calls idempotent, without a body."""
    methods = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")
    clients = keep(len(methods))
    with Ledger() as ledger:
        for method, client in zip(methods, clients):
            fields = ["Content-Length: 0"] if method == "PUT" else []
            client.request(f"/ledger/{method}/600", method, fields)
        poll(5, lambda: f"all have arrived: {ledger.seen}", lambda: len(ledger.seen) == len(methods))
        with Takeover(lab) as takeover:
            takeover.inject("crash")
            for method, client in zip(methods, clients):
                response = client.response(method)
                expect(response.status == 200, f"{method}: status {response.status}")
            takeover.expect_untouched(clients)
    close(clients)


def _posts_are_reset_and_never_repeated(lab, fault):
    clients = keep(CLIENTS // 2)
    await_known(lab, len(clients))
    with Ledger() as ledger:
        for index, client in enumerate(clients):
            client.request(f"/ledger/{index}/2000", "POST", body=b"order %d" % index)
        poll(5, lambda: f"all have arrived: {ledger.seen}", lambda: len(ledger.seen) == len(clients))
        with Takeover(lab) as takeover:
            takeover.inject(fault)
            expect_reset(clients)
            takeover.expect_told(clients)
            lab.script("heal")
        for name, count in ledger.seen.items():
            expect(count == 1, f"{name} was executed {count} times")
            expect(
                ledger.bodies[name] == b"order " + name.split("/")[2].encode(),
                f"{name} arrived as {ledger.bodies[name]!r}")
    close(clients)


def posts_are_reset_and_never_repeated_after_a_crash(lab):
    _posts_are_reset_and_never_repeated(lab, "crash")


def posts_are_reset_and_never_repeated_after_a_power_loss(lab):
    _posts_are_reset_and_never_repeated(lab, "poweroff")


def posts_are_reset_and_never_repeated_after_a_freeze(lab):
    _posts_are_reset_and_never_repeated(lab, "freeze")


# What cannot go on

def halves_of_messages_are_reset(lab):
    """A head that is not whole, a body that is not whole, an answer that is not whole."""
    partial = keep(3)
    partial[0].send(b"GET /half HTTP/1.1\r\nHost: l")
    partial[1].send(b"POST /half HTTP/1.1\r\nHost: lab\r\nContent-Length: 100\r\n\r\nhalf")
    partial[2].request(f"/bytes/{BIG_BYTES}")
    partial[2].head()
    # What a kernel has acknowledged it does not send again.
    poll(5, "all was acknowledged", lambda: all(
        line.split()[1] == "0" for line in lab.shell(
            "client", "ss", "-Htn", "state", "established", "dst", VIP).splitlines()))
    with Takeover(lab) as takeover:
        takeover.inject("crash")
        for index, client in enumerate(partial):
            client.socket.settimeout(3)
            try:
                rest = client.rest()
            except ConnectionResetError:
                continue
            except TimeoutError:
                expect(False, f"client {index} hangs")
            expect(False, f"client {index} was ended in order after {rest[-200:]!r}")
    close(partial)


def pipelined_requests_are_answered_in_order_or_reset(lab):
    clients = keep(10)
    await_known(lab, len(clients))
    for client in clients:
        client.send(b"".join(
            b"GET %s HTTP/1.1\r\nHost: lab\r\n\r\n" % path
            for path in (b"/delay/300", b"/second", b"/third")))
    await_in_flight(lab, len(clients))
    with Takeover(lab) as takeover:
        takeover.inject("crash")
        for index, client in enumerate(clients):
            bodies = []
            try:
                for _ in range(3):
                    bodies.append(client.response().text.strip())
            except ConnectionResetError:
                pass
            except (TimeoutError, Truncated) as error:
                expect(False, f"client {index}: {error!r} after {bodies}")
            for body, ending in zip(bodies, ("", "/second", "/third")):
                expect(
                    body.startswith("be") and body.endswith(ending),
                    f"client {index} was answered {bodies}")
    close(clients)


def clients_of_a_listener_without_it_are_reset(lab):
    idle = keep(CLIENTS // 2, port=OFF_PORT)
    waiting = keep(CLIENTS // 2, port=OFF_PORT)
    await_told_of(lab, CLIENTS)
    for client in waiting:
        client.request("/delay/3000")
    await_in_flight(lab, len(waiting))
    with Takeover(lab) as takeover:
        takeover.inject("crash")
        expect_reset(idle + waiting)
        takeover.expect_told(idle + waiting)
    close(idle + waiting)


def a_listener_may_carry_idle_clients_only(lab):
    idle = keep(CLIENTS // 2, port=IDLE_PORT)
    waiting = keep(CLIENTS // 2, port=IDLE_PORT)
    await_known(lab, CLIENTS)
    for client in waiting:
        client.request("/delay/3000")
    await_in_flight(lab, len(waiting))
    with Takeover(lab) as takeover:
        takeover.inject("crash")
        expect_reset(waiting)
        takeover.expect_told(waiting)
        expect_answers(idle)
        takeover.expect_untouched(idle)
    close(idle + waiting)


def clients_that_left_are_not_missed(lab):
    """Connections that end around the crash leave nothing behind on the new node."""
    clients = keep(CLIENTS)
    await_known(lab, len(clients))
    with Takeover(lab) as takeover:
        close(clients[::4])
        for client in clients[1::4]:
            client.reset()
        takeover.inject("crash")
        close(clients[2::4])
        expect_answers(clients[3::4])
    close(clients[3::4])
    poll(3, "no connection stays open", lambda: lab.metric(
        takeover.new, "tandem_listener_connections_open", listener="web") == 0)
    expect(try_get(timeout_seconds=1), f"{takeover.new} does not serve")
