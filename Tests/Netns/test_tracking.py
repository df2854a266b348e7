# SPDX-License-Identifier: Apache-2.0
#
# What a node watches beside its virtual routers: check scripts that take it out of service or lower
# it, and a witness without which silence is no reason to take over.

import os
import signal
import time

from configuration import configuration
from lab import RUNTIME, expect, poll, throughout

WITNESS = "client"
CONFIGURATION = configuration(
    advertise_interval="100ms",
    track="""\
  track:
    gateway: { address: 10.77.0.200, interval: 100ms, fall: 3, rise: 2 }
    scripts:
      service:
        command: [/usr/bin/test, "!", -e, /run/tandem/out-of-service]
        interval: 100ms
        timeout: 2s
      strength:
        command: [/usr/bin/test, "!", -e, /run/tandem/weak]
        interval: 100ms
        timeout: 2s
        penalty: 150
""")
# Fall and rise are 2 at 100 ms; the rest is for a busy machine.
SCRIPT_SECONDS = 5


def _mark(node, name):
    """A file that makes a check script of one node fail."""
    return RUNTIME / node / "run" / name


def _witness_answers(lab, node):
    return lab.metric(node, "tandem_tracking_witness_missing") == 0


def _cut_witness(lab):
    lab.shell(WITNESS, "ip", "link", "set", "eth0", "down")
    for node in ("lb1", "lb2"):
        poll(5, f"{node} misses its witness", lambda: not _witness_answers(lab, node))


def _return_witness(lab):
    lab.shell(WITNESS, "ip", "link", "set", "eth0", "up")
    for node in ("lb1", "lb2"):
        if lab.process_id(node):
            poll(5, f"{node} reaches its witness", lambda: _witness_answers(lab, node))


def a_failing_script_takes_the_node_out_of_service(lab):
    mark = _mark("lb1", "out-of-service")
    mark.touch()
    try:
        lab.expect_one_holder("lb2", SCRIPT_SECONDS)
        router = lab.router("lb1")
        expect(router["state"] == "initialize", f"lb1 is {router['state']}")
        expect("tracker_failed" in router["faults"], f"the faults are {router['faults']}")
        expect(lab.metric("lb1", "tandem_tracker_failing", name="service") == 1, "not shown")
    finally:
        mark.unlink()
    poll(SCRIPT_SECONDS, "lb1 is in service again",
         lambda: lab.router("lb1")["state"] == "backup")
    expect(not lab.router("lb1")["faults"], "the fault is still there")


def a_node_weaker_than_its_peer_hands_over(lab):
    mark = _mark("lb1", "weak")
    mark.touch()
    try:
        poll(SCRIPT_SECONDS, "lb1 is lowered", lambda: lab.router("lb1")["priority"] == 50)
        # At most once in ten seconds, and not sooner after becoming Active.
        lab.expect_one_holder("lb2", 20)
        because = lab.failover("lb2")["because"]
        expect(because == "switchover", f"lb2 took over because of {because}")
        throughout(1, lambda: f"held by {lab.holders()}", lambda: lab.holders() == ["lb2"])
    finally:
        mark.unlink()
    poll(SCRIPT_SECONDS, "lb1 is strong again", lambda: lab.router("lb1")["priority"] == 200)
    expect(lab.holders() == ["lb2"], "without preempt a stronger Backup waits")


def without_its_witness_a_node_does_not_believe_silence(lab):
    _cut_witness(lab)
    try:
        throughout(0.5, lambda: f"held by {lab.holders()}", lambda: lab.holders() == ["lb1"])
        lab.signal("lb1", signal.SIGSTOP)
        # Active_Down_Interval of lb2 is 361 ms.
        throughout(1.5, "lb2 took over without its witness", lambda: not lab.holds("lb2"))
        expect(lab.metric("lb2", "tandem_vrrp_state", state="backup") == 1, "lb2 is not backup")
    finally:
        lab.signal("lb1", signal.SIGCONT)
        _return_witness(lab)
    poll(5, "one node holds the VIP", lambda: len(lab.holders()) == 1)


def proof_counts_also_without_the_witness(lab):
    _cut_witness(lab)
    try:
        killed_at = time.time()
        os.kill(lab.process_id("lb1"), signal.SIGKILL)
        poll(3, "lb2 holds the VIP", lambda: lab.holds("lb2"))
        because = lab.failover("lb2")["because"]
        expect(because == "peer_process_dead", f"lb2 took over because of {because}")
        expect(time.time() - killed_at < 3, "lb2 took long")
    finally:
        _return_witness(lab)
