# SPDX-License-Identifier: Apache-2.0
#
# Backends by name: addresses come and go with the answers of a name server, and nothing that the
# server does or fails to do costs a request that could be served.

from collections import Counter

from client import get
from configuration import configuration
from lab import ADDRESS, NODES, expect, poll, throughout
from names import NameServer, service

PORT = 5353
SERVICE = "_http._tcp.app.test"
CONFIGURATION = configuration(pools={
    "app": ["app.test:8080"],
    "service": [f"srv:{SERVICE}"],
}) + f"""
dns:
  servers: [{ADDRESS["client"]}:{PORT}]
  timeout: 200ms
  tries: 1
  ttl_min: 100ms
  hold: 2s
"""


def _server(**settings):
    return NameServer("client", ADDRESS["client"], PORT, **settings)


def _refresh(lab):
    """Servers are back: do not wait until the nodes look again by themselves."""
    for node in NODES:
        expect("asking" in lab.ctl(node, "refresh names"), "the command is not known")


def _name(lab, name, node="lb1"):
    return next(row for row in lab.status(node)["names"] if row["name"] == name)


def _served(path, count=12):
    """How often each backend answered; every request must be served."""
    found = Counter()
    for index in range(count):
        response = get(path=path)
        expect(response.status == 200, f"request {index} of {path}: status {response.status}")
        found[response.text.split()[0]] += 1
    return found


def _becomes(path, *backends):
    poll(10, lambda: f"{path} is served by {backends}", lambda: (
        get(path=path).status == 200 and set(_served(path)) == set(backends)))


def without_a_name_server_the_other_pools_serve_at_once(lab):
    expect(get().status == 200, "the pool of addresses does not serve")
    expect(get(path="/app/").status == 503, "a pool without an address serves")
    for node in NODES:
        poll(10, f"{node} knows that it knows nothing",
             lambda: _name(lab, "app.test", node)["state"] == "missing")
    expect("app.test" in lab.log("lb1"), "not logged")


def a_silent_name_server_delays_no_start(lab):
    with _server() as server:
        server.silent = True
        lab.stop("lb2")
        lab.start_ready("lb2")
        poll(5, "lb2 asks", lambda: server.queries > 0)
        expect(_name(lab, "app.test", "lb2")["targets"] == [], "an address out of nothing")
        server.silent = False
        server.host("app.test", ADDRESS["be1"])
        _refresh(lab)
        for node in NODES:
            poll(5, f"{node} has the address", lambda: (
                _name(lab, "app.test", node)["targets"] == [ADDRESS["be1"]]))
        _becomes("/app/", "be1")


def an_address_that_is_added_gets_its_share(lab):
    with _server() as server:
        server.host("app.test", ADDRESS["be1"])
        _refresh(lab)
        _becomes("/app/", "be1")
        changes = lab.metric("lb1", "tandem_dns_changes_total", name="app.test")
        server.host("app.test", ADDRESS["be2"], ADDRESS["be1"])
        _becomes("/app/", "be1", "be2")
        found = _served("/app/", 40)
        expect(min(found["be1"], found["be2"]) >= 15, f"unequal shares: {found}")
        server.host("app.test", ADDRESS["be2"])
        _becomes("/app/", "be2")
        expect(lab.metric("lb1", "tandem_dns_changes_total", name="app.test") == changes + 2,
               "the changes were not counted")


def changing_addresses_cost_no_request(lab):
    """Every request is served while the answer changes again and again."""
    pairs = [("be1", "be2"), ("be2", "be3"), ("be3", "be1")]
    with _server() as server:
        server.host("app.test", ADDRESS["be1"])
        _refresh(lab)
        _becomes("/app/", "be1")
        for round_number in range(6):
            names = pairs[round_number % len(pairs)]
            server.host("app.test", *(ADDRESS[name] for name in names))
            seen = Counter()

            def all_seen():
                seen.update(_served("/app/", 6))
                return all(seen[name] for name in names)
            poll(10, lambda: f"{names} serve: {seen}", all_seen)


def a_dead_name_server_takes_no_backend_away(lab):
    with _server() as server:
        server.host("app.test", ADDRESS["be3"])
        _refresh(lab)
        _becomes("/app/", "be3")
    poll(10, "the answer is stale", lambda: _name(lab, "app.test")["state"] == "stale")
    throughout(2.5, "no longer served", lambda: set(_served("/app/", 3)) == {"be3"}, every=0.05)
    expect(lab.metric("lb1", "tandem_dns_answer_stale", name="app.test") == 1, "not in metrics")
    expect(lab.metric("lb1", "tandem_dns_answer_age_seconds", name="app.test") > 2, "too young")
    # A reload with the server dead keeps it as well.
    lab.write_configuration(CONFIGURATION.replace("balance: round_robin", "balance: random", 1))
    expect("applied" in lab.ctl("lb1", "reload"), "not reloaded")
    expect(set(_served("/app/")) == {"be3"}, "the reload forgot the answer")
    with _server() as server:
        server.host("app.test", ADDRESS["be1"])
        _refresh(lab)
        _becomes("/app/", "be1")
        expect(_name(lab, "app.test")["state"] == "fresh", "still stale")


def a_name_that_is_gone_serves_until_the_hold_time_ends(lab):
    with _server() as server:
        server.host("app.test", ADDRESS["be1"])
        _refresh(lab)
        _becomes("/app/", "be1")
        server.forget("app.test")
        poll(5, "the name is gone", lambda: _name(lab, "app.test")["trouble"] == "no_such_name")
        expect(get(path="/app/").status == 200, "dropped before the hold time")
        poll(10, "the name stands for nothing", lambda: get(path="/app/").status == 503)
        expect(get().status == 200, "the other pool does not serve")
        server.host("app.test", ADDRESS["be2"])
        _becomes("/app/", "be2")


def services_give_ports_weights_and_priorities(lab):
    with _server() as server:
        server.host("one.test", ADDRESS["be1"])
        server.host("two.test", ADDRESS["be2"])
        server.host("three.test", ADDRESS["be3"])
        server.service(
            SERVICE, service("one.test", 8080, priority=10, weight=30),
            service("two.test", 8080, priority=10, weight=10),
            service("three.test", 8080, priority=20, weight=1))
        _refresh(lab)
        _becomes("/service/", "be1", "be2")
        found = _served("/service/", 80)
        expect(abs(found["be1"] - 60) <= 6, f"weights are not kept: {found}")
        server.service(SERVICE, service("three.test", 8080))
        _becomes("/service/", "be3")
