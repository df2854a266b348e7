# SPDX-License-Identifier: Apache-2.0
#
# Debian's keepalived and FRR as the other router, in every way they speak VRRP and in both roles:
# elections, crashes, preemption, priority 0. All ways at once, each with a VRID of its own, so that
# the whole-second timers of version 2 cost their time only once.

import os
import shutil
import time

from configuration import configuration
from foreign import FRR, FRRouting, Keepalived, Profile, held_addresses, speaks
from lab import ADDRESS, expect, pause, poll, throughout

KEEPALIVED = shutil.which("keepalived") or ""
HAS_FRR = os.access(f"{FRR}/vrrpd", os.X_OK)
NO_FRR = None if HAS_FRR else "FRR is not installed"
NO_KEEPALIVED = None if KEEPALIVED else "keepalived is not installed"
UNICAST = f"unicast_src_ip {ADDRESS['lb2']}\nunicast_peer {{ {ADDRESS['lb1']} }}"


def _unless(binary, option, otherwise):
    return otherwise or (None if speaks(binary, option) else f"this version has no {option}")


PROFILES = [
    Profile("keepalived v3", 61, "keepalived", "10.77.0.161", ours="checksum: rfc5798",
            missing=NO_KEEPALIVED),
    Profile("keepalived v3, checksum as v2", 62, "keepalived", "10.77.0.162",
            theirs="v3_checksum_as_v2",
            missing=_unless(KEEPALIVED, "v3_checksum_as_v2", NO_KEEPALIVED)),
    Profile("keepalived v3 unicast", 63, "keepalived", "10.77.0.163",
            ours="checksum: rfc5798, transport: unicast", theirs=UNICAST, missing=NO_KEEPALIVED),
    Profile("keepalived v3 IPv6", 64, "keepalived", "fd00:77::164", missing=NO_KEEPALIVED),
    Profile("keepalived v2", 65, "keepalived", "10.77.0.165", "1s", ours="version: 2",
            missing=NO_KEEPALIVED),
    Profile("FRR v3", 66, "frr", "10.77.0.166", ours="checksum: rfc5798", missing=NO_FRR),
    Profile("FRR v3, no pseudo-header", 67, "frr", "10.77.0.167",
            theirs="checksum-with-ipv4-pseudoheader",
            missing=_unless(f"{FRR}/vrrpd", "checksum-with-ipv4-pseudoheader", NO_FRR)),
    Profile("FRR v3 IPv6", 68, "frr", "fd00:77::168", missing=NO_FRR),
    Profile("FRR v2", 69, "frr", "10.77.0.169", "1s", ours="version: 2", missing=NO_FRR),
]
PRESENT = [profile for profile in PROFILES if not profile.missing]
MISSING = None if PRESENT else "neither keepalived nor FRR is installed"
CONFIGURATION = configuration(
    advertise_interval="100ms", more_routers="".join(profile.entry() for profile in PRESENT))
COLUMNS = (
    "election", "our crash", "we preempt", "our prio 0", "they preempt", "their crash",
    "their prio 0")
# Three adverts and a skew of up to one more; the rest is this machine's.
DOWN_ADVERTS = 4
SLACK_SECONDS = 0.6
# Where a process that leaves has something to do first; less than silence of version 2 costs.
LEAVE_SECONDS = 1
# Where a process starts first.
START_SECONDS = 2


class _Matrix:
    """Who is active, and how long each change took."""

    def __init__(self, lab):
        self.lab = lab
        self.cells = {profile.name: {} for profile in PROFILES}
        self.daemons = []
        for kind, name in ((Keepalived, "keepalived"), (FRRouting, "frr")):
            profiles = [profile for profile in PRESENT if profile.daemon == name]
            if profiles:
                self.daemons.append(kind("lb2", profiles))
        for daemon in self.daemons:
            if isinstance(daemon, FRRouting):
                daemon.prepare()

    def start(self, priority):
        for daemon in self.daemons:
            daemon.start(priority)

    def await_all(self, column, holder, adverts, since, start=0):
        """Each address is on `holder` alone, at the latest so many adverts after `since`."""
        waiting = list(PRESENT)
        took = {}
        limit = {p.name: adverts * p.interval_seconds + SLACK_SECONDS + start for p in PRESENT}
        last = since + max(limit.values())
        while waiting:
            ours, theirs = held_addresses("lb1"), held_addresses("lb2")
            now = time.monotonic()
            for profile in tuple(waiting):
                who = [
                    node for node, held in (("lb1", ours), ("lb2", theirs))
                    if profile.address in held]
                if who == [holder]:
                    took[profile.name] = now - since
                    self.cells[profile.name][column] = f"{(now - since) * 1000:.0f} ms"
                    waiting.remove(profile)
            if now > last:
                break
            pause(0.005)
        for profile in waiting:
            self.cells[profile.name][column] = "MISSED"
        late = [
            f"{p.name}: {took[p.name]:.2f} s" for p in PRESENT
            if p.name in took and took[p.name] > limit[p.name]]
        expect(not waiting and not late,
               f"{column}: never {[p.name for p in waiting]}, late {late}\n{self}")

    def expect_cause(self, cause):
        """What we say why we took over."""
        routers = {router["id"]: router for router in self.lab.status("lb1")["virtual_routers"]}
        wrong = {
            profile.name: because for profile in PRESENT
            if (because := routers[profile.vrid]["last_failover"]["because"]) != cause}
        expect(not wrong, f"took over because of {wrong}, not {cause}")

    def stays(self, holder, seconds):
        def all_hold():
            held = held_addresses(holder)
            return all(profile.address in held for profile in PRESENT)
        throughout(seconds, f"an address left {holder}\n{self}", all_hold, every=0.05)

    def __str__(self):
        rows = [["", *COLUMNS]]
        for profile in PROFILES:
            cells = self.cells[profile.name]
            rows.append([profile.name] + (
                [profile.missing] if profile.missing
                else [cells.get(column, "-") for column in COLUMNS]))
        widths = [max(len(row[i]) for row in rows if len(row) > 2) for i in range(len(COLUMNS) + 1)]
        return "\n".join(
            "    " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
            for row in rows)


def elections_takeovers_and_farewells_with_every_other_router(lab):
    lab.stop("lb1")
    lab.stop("lb2")
    matrix = _Matrix(lab)
    running = []

    def their(priority):
        matrix.start(priority)
        running.append(priority)

    try:
        # Together from nothing: the better one wins at once or after the first meeting.
        their(100)
        begun = time.monotonic()
        lab.start_ready("lb1")
        matrix.await_all("election", "lb1", 2 * DOWN_ADVERTS, begun, START_SECONDS)
        lab.stop("lb1")
        matrix.await_all("our crash", "lb2", DOWN_ADVERTS, time.monotonic())
        begun = time.monotonic()
        lab.start_ready("lb1")
        matrix.await_all("we preempt", "lb1", 2 * DOWN_ADVERTS, begun, START_SECONDS)
        matrix.stays("lb1", 1)
        lab.kill("term", "lb1")
        matrix.await_all("our prio 0", "lb2", 1, time.monotonic(), LEAVE_SECONDS)
        poll(5, "lb1 has left", lambda: lab.process_id("lb1") is None)
        lab.start_ready("lb1")
        matrix.await_all("we preempt", "lb1", 2 * DOWN_ADVERTS, time.monotonic())
        for daemon in matrix.daemons:
            daemon.stop()
        running.pop()
        begun = time.monotonic()
        their(254)
        matrix.await_all("they preempt", "lb2", 2 * DOWN_ADVERTS, begun, START_SECONDS)
        matrix.stays("lb2", 1)
        for daemon in matrix.daemons:
            daemon.die()
        running.pop()
        matrix.await_all("their crash", "lb1", DOWN_ADVERTS, time.monotonic())
        matrix.expect_cause("active_down_timer")
        their(254)
        poll(10, "they are active again", lambda: all(
            profile.address in held_addresses("lb2") for profile in PRESENT), every=0.05)
        begun = time.monotonic()
        for daemon in matrix.daemons:
            daemon.stop()
        running.pop()
        matrix.await_all("their prio 0", "lb1", 1, begun, START_SECONDS)
        matrix.expect_cause("priority_zero")
    finally:
        for daemon in matrix.daemons if running else ():
            daemon.die()
        print(f"{matrix}", flush=True)
