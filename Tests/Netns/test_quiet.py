# SPDX-License-Identifier: Apache-2.0
#
# Nothing happens while nothing happens: every core busy at 10 ms adverts, and no failover.

import os
import subprocess
import sys

from client import try_get
from configuration import configuration
from lab import expect, throughout

CONFIGURATION = configuration(advertise_interval="10ms")
BUSY_SECONDS = 20


def busy_cores_cause_no_failover(lab):
    before = lab.transitions()
    burners = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(os.cpu_count())]
    try:
        throughout(
            BUSY_SECONDS, lambda: f"the VIP is on {lab.holders()}, {lab.transitions()}",
            lambda: lab.holds("lb1") and not lab.holds("lb2") and try_get(timeout_seconds=5),
            every=0.05)
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    expect(lab.transitions() == before, f"transitions {before} -> {lab.transitions()}")
    expect(lab.link("lb1")["state"] == lab.link("lb2")["state"] == "up", "the link is down")
