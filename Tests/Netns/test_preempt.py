# SPDX-License-Identifier: Apache-2.0
#
# A better node takes the addresses back only when the file says so, not before its delay, and not
# before it knows what the other node knows.

import time

from client import try_get
from configuration import configuration
from lab import expect, poll

CONFIGURATION = configuration(
    advertise_interval="100ms", preempt=True, preempt_delay="2s")


def a_better_node_takes_back_after_its_delay(lab):
    lab.kill("crash", "lb1")
    poll(3, "lb2 serves", try_get)
    started = time.monotonic()
    lab.start_ready("lb1")
    held = poll(6, "lb1 took the VIP back", lambda: lab.holds("lb1") and time.monotonic())
    expect(held - started >= 1.9, f"lb1 preempted after {held - started:.2f} s, not 2 s")
    lab.expect_one_holder("lb1", 1)
    expect(lab.router("lb2")["state"] == "backup", "lb2 is not backup")


def a_better_node_takes_back_when_it_is_in_sync(lab):
    lab.stop("lb1")
    lab.write_configuration(configuration(advertise_interval="10ms", preempt=True))
    lab.stop("lb2")
    lab.start_ready("lb2")
    poll(3, "lb2 serves", try_get)
    for _ in range(3):
        since = lab.log_size("lb1")
        lab.start_ready("lb1")
        poll(6, "lb1 took the VIP back", lambda: "backup -> active" in lab.log("lb1", since))
        lines = lab.log("lb1", since).splitlines()
        ready = [i for i, line in enumerate(lines) if 'msg="in sync with lb2"' in line]
        took = [i for i, line in enumerate(lines) if "backup -> active" in line]
        expect(ready and took and ready[0] < took[0],
               "lb1 preempted before it was in sync:\n" + "\n".join(lines))
        lab.stop("lb1")
        poll(3, "lb2 serves", try_get)
