# SPDX-License-Identifier: Apache-2.0
#
# What a node knows beside connections is known to the node that takes over: which backend a cookie
# means, who is over a limit, who was ejected, what operators decided.

import threading
import time

from client import Connection, get, try_get
from configuration import configuration
from lab import ADDRESS, NODES, expect, other, poll, throughout
from scripted import ScriptedBackend, read_head

PORT = 9001
BROKEN_PORT = 9002
CLIENTS = 40
FAILOVERS = 20

POOLS = f"""\
  sessions:
    balance: round_robin
    sticky: {{ mode: learn, cookie: session }}
    backends:
      s1: {{ address: 10.77.0.21:{PORT} }}
      s2: {{ address: 10.77.0.22:{PORT} }}
      s3: {{ address: 10.77.0.23:{PORT} }}
  shaky:
    balance: round_robin
    outlier_detection: {{ ejection_time: 60s }}
    backends:
      e1: {{ address: 10.77.0.21:{BROKEN_PORT} }}
      e2: {{ address: 10.77.0.22:8080 }}
      e3: {{ address: 10.77.0.23:8080 }}
"""
CONFIGURATION = configuration(more_pools=POOLS).replace("      - pool: web\n", """\
      - match: { path_prefix: /sessions/ }
        pool: sessions
      - match: { path_prefix: /shaky/ }
        pool: shaky
      - match: { path_prefix: /limited/ }
        rate_limits:
          - { requests: 5, per: 10m, burst: 5, key: client }
        pool: web
      - pool: web
""")


def _in_sync(lab, node, since):
    poll(15, f"{node} is in sync", lambda: "in sync with" in lab.log(node, since))


def _crash(lab):
    """Kills the active node and waits until the other one serves; returns both."""
    old = lab.active()
    lab.kill("crash", old)
    new = other(old)
    poll(5, f"{new} serves", lambda: lab.holds(new) and try_get())
    return old, new


def _bring_back(lab, node):
    since = lab.log_size(node)
    lab.start_ready(node)
    _in_sync(lab, node, since)


class _Sessions:
    """Backends that open a session for whoever has none, and know theirs."""

    def __init__(self):
        self.lock = threading.Lock()
        self.count = 0
        self.backends = [
            ScriptedBackend(name, ADDRESS[name], PORT, lambda c, name=name: self._serve(c, name))
            for name in ("be1", "be2", "be3")]

    def _serve(self, connection, name):
        while True:
            head, _ = read_head(connection)
            if not head:
                return
            cookie = b""
            if b"session=" not in head:
                with self.lock:
                    self.count += 1
                    cookie = b"Set-Cookie: session=%s-%d\r\n" % (name.encode(), self.count)
            text = name.encode()
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(text) + cookie
                + b"\r\n" + text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for backend in self.backends:
            backend.close()


def sticky_clients_stay_on_their_backend_across_failovers(lab):
    with _Sessions():
        for node in NODES:
            poll(10, f"{node} serves the pool",
                 lambda: lab.backend(node, "sessions", "s1")["state"] != "down")
        sessions = {}
        for _ in range(CLIENTS):
            response = get(path="/sessions/")
            cookie = response.values("Set-Cookie")[0].split(";")[0]
            sessions[cookie] = response.text
        expect(len(set(sessions.values())) == 3, "all clients are on one backend")
        moved = asked = 0
        for _ in range(FAILOVERS):
            old, _ = _crash(lab)
            for cookie, home in sessions.items():
                asked += 1
                response = get(path="/sessions/", fields=[f"Cookie: {cookie}"])
                if response.status != 200 or response.text != home:
                    moved += 1
            _bring_back(lab, old)
        expect(moved == 0, f"{moved} of {asked} requests met another backend")


def an_ejected_backend_gets_nothing_after_a_takeover(lab):
    hits = []

    def fail(connection):
        while read_head(connection)[0]:
            hits.append(time.monotonic())
            connection.sendall(b"HTTP/1.1 500 Broken\r\nContent-Length: 0\r\n\r\n")

    with ScriptedBackend("be1", ADDRESS["be1"], BROKEN_PORT, fail):
        active = lab.active()
        for _ in range(60):
            get(path="/shaky/")
        poll(5, "e1 is ejected", lambda: "eject" in lab.backend(active, "shaky", "e1")["reason"])
        backup = other(active)
        poll(2, f"{backup} knows", lambda: "eject" in lab.backend(backup, "shaky", "e1")["reason"])
        before = len(hits)
        _, new = _crash(lab)
        statuses = [get(path="/shaky/").status for _ in range(200)]
        expect(set(statuses) == {200}, f"answers {sorted(set(statuses))}")
        expect(len(hits) == before, f"{len(hits) - before} requests met an ejected backend")
        # The node that comes back hears it from the one that went on.
        _bring_back(lab, active)
        poll(2, f"{active} knows again",
             lambda: "eject" in lab.backend(active, "shaky", "e1")["reason"])
        lab.ctl(new, "set server shaky/e1 state maint")
        lab.ctl(new, "set server shaky/e1 state ready")


def a_client_over_its_rate_stays_refused(lab):
    statuses = [get(path="/limited/").status for _ in range(8)]
    expect(statuses == [200] * 5 + [429] * 3, f"answers {statuses}")
    active = lab.active()
    poll(3, "the other node was told", lambda: lab.metric(
        other(active), "tandem_state_entries_received_total", table="rates", outcome="taken"))
    old, _ = _crash(lab)
    expect(get(path="/limited/").status == 429, "a takeover forgave a client its rate")
    expect(get().status == 200, "other routes are limited")
    # And back: the node that was started anew has it from this one.
    _bring_back(lab, old)
    _crash(lab)
    expect(get(path="/limited/").status == 429, "the second takeover forgave a client")


def a_drain_on_one_node_holds_on_the_other(lab):
    def state(node):
        return lab.backend(node, "web", "be1")["state"]

    active = lab.active()
    backup = other(active)
    lab.ctl(active, "set server web/be1 state drain")
    lab.ctl(active, "set weight web/be2 7")
    poll(3, f"{backup} drains it", lambda: state(backup) == "drain")
    poll(3, f"{backup} has the weight",
         lambda: lab.ctl(backup, "get weight web/be2").startswith("7 "))
    # A node that is started anew knows it from the other one.
    lab.stop(backup)
    _bring_back(lab, backup)
    poll(3, f"{backup} drains it again", lambda: state(backup) == "drain")
    _crash(lab)
    throughout(0.5, "a drained backend is used", lambda: get().text.split()[0] != "be1")
    # The newest decision counts, wherever it was made, also for a node that was away.
    lab.ctl(backup, "set server web/be1 state ready")
    _bring_back(lab, active)
    poll(3, f"{active} uses it", lambda: state(active) == "up")
    expect(state(backup) == "up", "an old drain came back")
    with Connection() as connection:
        poll(3, "be1 serves", lambda: connection.request().response().text.strip() == "be1")
