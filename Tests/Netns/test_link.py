# SPDX-License-Identifier: Apache-2.0
#
# A broken pair link with a living peer moves nothing: it is reported, and it comes back.

from client import try_get
from configuration import configuration
from lab import LINK_PORT, NODES, expect, poll, throughout

CONFIGURATION = configuration(advertise_interval="100ms")
# Active_Down_Interval of lb2 is 361 ms: a mistake would show within a fraction of this.
STEADY_SECONDS = 2


def _expect_nothing_moves(lab, break_link, mend, reasons):
    before = lab.transitions()
    break_link()
    for node in NODES:
        poll(3, lambda: f"{node} reports the link down: {lab.link(node)}",
             lambda: lab.link(node)["state"] == "down")
    throughout(STEADY_SECONDS, lambda: f"the VIP is on {lab.holders()}",
               lambda: lab.holders() == ["lb1"], every=0.02)
    for node in NODES:
        reason = lab.link(node)["down_reason"]
        expect(reason in reasons, f"{node} says the link is down because of {reason}")
    expect(try_get(timeout_seconds=1), "lb1 does not serve")
    expect(lab.transitions() == before, f"transitions {before} -> {lab.transitions()}")
    mend()
    for node in NODES:
        poll(6, lambda: f"{node} reports the link up: {lab.link(node)}",
             lambda: lab.link(node)["state"] == "up")
    expect(lab.transitions() == before, f"transitions {before} -> {lab.transitions()}")
    expect(
        lab.link_event("lb2", "death_certificates") == 0, "lb2 wrote a death certificate")


def a_silently_dropped_link_moves_nothing(lab):
    rules = [("input", f"tcp dport {LINK_PORT} drop"), ("input", f"tcp sport {LINK_PORT} drop")]
    _expect_nothing_moves(
        lab, lambda: lab.filter("lb1", *rules), lambda: lab.unfilter("lb1"), ("silent", "reset"))


def a_link_dropped_one_way_moves_nothing(lab):
    before = lab.transitions()
    # What lb1 says no longer reaches lb2; what lb2 says still reaches lb1, without its answers.
    lab.filter("lb2", ("input", f"ip saddr 10.77.0.11 tcp dport {LINK_PORT} drop"))
    poll(3, lambda: f"lb2 reports the link down: {lab.link('lb2')}",
         lambda: lab.link("lb2")["state"] == "down")
    throughout(STEADY_SECONDS, lambda: f"the VIP is on {lab.holders()}",
               lambda: lab.holders() == ["lb1"], every=0.02)
    reason = lab.link("lb2")["down_reason"]
    expect(reason == "silent", f"lb2 says the link is down because of {reason}")
    lab.unfilter("lb2")
    for node in NODES:
        poll(6, f"{node} reports the link up", lambda: lab.link(node)["state"] == "up")
    expect(lab.transitions() == before, f"transitions {before} -> {lab.transitions()}")


def a_link_rejected_with_resets_moves_nothing(lab):
    rules = [
        ("input", f"tcp dport {LINK_PORT} reject with tcp reset"),
        ("input", f"tcp sport {LINK_PORT} reject with tcp reset")]
    _expect_nothing_moves(
        lab, lambda: lab.filter("lb1", *rules), lambda: lab.unfilter("lb1"),
        ("reset", "silent", "end_of_stream"))


def resets_from_the_active_alone_move_nothing(lab):
    """The backup sees only resets, on the link and on every new attempt."""
    rules = [("input", f"tcp dport {LINK_PORT} reject with tcp reset")]
    before = lab.transitions()
    lab.filter("lb1", *rules)
    poll(3, "lb1 reports the link down", lambda: lab.link("lb1")["state"] == "down")
    throughout(STEADY_SECONDS, lambda: f"the VIP is on {lab.holders()}",
               lambda: lab.holders() == ["lb1"], every=0.02)
    lab.unfilter("lb1")
    for node in NODES:
        poll(6, f"{node} reports the link up", lambda: lab.link(node)["state"] == "up")
    expect(lab.transitions() == before, f"transitions {before} -> {lab.transitions()}")


def killed_link_connections_come_back_and_move_nothing(lab):
    before = lab.transitions()
    downs = {node: lab.link_event(node, "link_downs") for node in NODES}
    for node in NODES:
        lab.shell(node, "ss", "-K", "-t", "dport", "=", f":{LINK_PORT}")
    for node in NODES:
        poll(3, f"{node} noticed",
             lambda: lab.link_event(node, "link_downs") > downs[node])
        poll(6, f"{node} reports the link up", lambda: lab.link(node)["state"] == "up")
    throughout(1, lambda: f"the VIP is on {lab.holders()}",
               lambda: lab.holders() == ["lb1"], every=0.02)
    expect(lab.transitions() == before, f"transitions {before} -> {lab.transitions()}")
    expect(lab.link_event("lb2", "death_certificates") == 0, "lb2 wrote a death certificate")


def failover_works_after_the_link_came_back(lab):
    lab.filter("lb1", ("input", f"tcp dport {LINK_PORT} drop"))
    poll(3, "the link is down", lambda: lab.link("lb1")["state"] == "down")
    lab.unfilter("lb1")
    for node in NODES:
        poll(6, f"{node} reports the link up", lambda: lab.link(node)["state"] == "up")
    lab.kill("crash", "lb1")
    poll(1, "lb2 serves", try_get)
    because = lab.failover("lb2")["because"]
    expect(because == "peer_process_dead", f"lb2 took over because of {because}")


def without_a_link_silence_decides(lab):
    lab.filter("lb2", ("input", f"tcp sport {LINK_PORT} drop"),
               ("input", f"tcp dport {LINK_PORT} drop"))
    poll(3, "the link is down", lambda: lab.link("lb2")["state"] == "down")
    lab.kill("crash", "lb1")
    poll(2, "lb2 serves", try_get)
    because = lab.failover("lb2")["because"]
    expect(because == "active_down_timer", f"lb2 took over because of {because}")
    lab.expect_one_holder("lb2", 0.1)
