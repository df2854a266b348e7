# SPDX-License-Identifier: Apache-2.0
#
# Faults that a living kernel does not report, at 100 ms adverts: VRRP's timers and the lease of
# the address decide.

import os
import signal
import time

from client import try_get
from configuration import configuration
from lab import VIP, expect, poll, throughout

CONFIGURATION = configuration(advertise_interval="100ms")
LEASE_SECONDS = 2
# Active_Down_Interval of lb2 at 100 ms adverts is 361 ms; the rest is for a busy machine.
TAKEOVER_SECONDS = 1


def a_frozen_active_loses_the_vip_with_its_lease(lab):
    fault_at, frozen = lab.kill("freeze")
    expect(frozen == "lb1", f"the active was {frozen}")
    poll(TAKEOVER_SECONDS, "lb2 holds the VIP", lambda: lab.holds("lb2"))
    poll(LEASE_SECONDS + 1, "lb1 lost the VIP", lambda: not lab.holds("lb1"))
    lost_after = time.time() - fault_at
    expect(lost_after < LEASE_SECONDS + 1, f"lb1 lost the VIP after {lost_after:.2f} s")
    expect(try_get(timeout_seconds=1), "lb2 does not serve")
    because = lab.failover("lb2")["because"]
    expect(because == "active_down_timer", f"lb2 took over because of {because}")
    before = lab.metric("lb2", "tandem_vrrp_transitions_total")
    lab.signal("lb1", signal.SIGCONT)
    throughout(1.5, lambda: f"after the thaw held by {lab.holders()}",
               lambda: lab.holders() == ["lb2"])
    expect(lab.router("lb1")["state"] == "backup", "the thawed node is not backup")
    expect(lab.metric("lb2", "tandem_vrrp_transitions_total") == before, "lb2 flapped")


def a_node_thawed_before_its_lease_ends_gives_up_at_once(lab):
    lab.kill("freeze", "lb1")
    poll(TAKEOVER_SECONDS, "lb2 holds the VIP", lambda: lab.holds("lb2"))
    expect(lab.holds("lb1"), "the lease ended too early for this test")
    lab.signal("lb1", signal.SIGCONT)
    lab.expect_one_holder("lb2", 0.5, steady_seconds=1)
    expect(lab.router("lb1")["state"] == "backup", "the thawed node is not backup")


def an_unplugged_active_is_replaced_and_returns_as_backup(lab):
    fault_at, unplugged = lab.kill("unplug")
    expect(unplugged == "lb1", f"the active was {unplugged}")
    poll(TAKEOVER_SECONDS + 1, "lb2 serves", try_get)
    gap = time.time() - fault_at
    expect(gap < TAKEOVER_SECONDS + 0.5, f"served after {gap:.2f} s")
    # A node that sees its own carrier go gives up by itself.
    lab.expect_one_holder("lb2", 1)
    faults = lab.router("lb1")["faults"]
    expect(faults, "lb1 knows of no fault")
    lab.script("heal")
    lab.expect_one_holder("lb2", 1, steady_seconds=1)
    expect(lab.router("lb1")["state"] == "backup", "lb1 is not backup")
    expect(not lab.router("lb1")["faults"], "the fault is still there")


def a_powered_off_active_is_replaced_and_returns_as_backup(lab):
    fault_at, dead = lab.kill("poweroff")
    expect(dead == "lb1", f"the active was {dead}")
    poll(TAKEOVER_SECONDS + 1, "lb2 serves", try_get)
    gap = time.time() - fault_at
    expect(gap < TAKEOVER_SECONDS + 0.5, f"served after {gap:.2f} s")
    lab.expect_one_holder("lb2", 1)
    lab.script("heal")
    lab.expect_one_holder("lb2", 1, steady_seconds=1)
    expect(lab.router("lb1")["state"] == "backup", "lb1 is not backup")


def a_split_heals_to_one_holder_that_announces_itself(lab):
    """Adverts and link blocked both ways: both serve, as they must; then the better one stays."""
    lab.filter("lb2", ("input", "ip saddr 10.77.0.11 drop"),
               ("output", "ip daddr 10.77.0.11 drop"), ("output", "ip protocol 112 drop"))
    poll(2, "both hold the VIP", lambda: lab.holders() == ["lb1", "lb2"])
    lab.unfilter("lb2")
    lab.expect_one_holder("lb1", 1, steady_seconds=0.7)
    expect(lab.router("lb2")["state"] == "backup", "lb2 is not backup")
    poll(3, "the link is up again", lambda: lab.link("lb2")["state"] == "up")


def the_address_does_not_outlive_the_process(lab):
    lab.stop("lb2")
    os.kill(lab.process_id("lb1"), signal.SIGKILL)
    poll(1, "the VIP is gone", lambda: not lab.holders())
    devices = lab.shell("lb1", "ip", "-o", "link")
    expect("tandem" not in devices, f"the device is still there: {devices}")
    expect(VIP not in lab.shell("lb1", "ip", "address"), "the address is still there")
