# SPDX-License-Identifier: Apache-2.0
#
# A better node takes the addresses back only when the file says so, and not before its delay.

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
