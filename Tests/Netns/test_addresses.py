# SPDX-License-Identifier: Apache-2.0
#
# Somebody else's hand on the virtual address: healed and announced, or reported.

from client import try_get
from configuration import configuration
from frames import Sniffer
from lab import VIP, expect, poll
from namespace import hardware_address

CONFIGURATION = configuration(advertise_interval="100ms")
# At once, but only once a second: somebody who removes it again and again is not raced.
HEALED_WITHIN_SECONDS = 1.5
HEALED_AT_ONCE_SECONDS = 0.3


def _device(lab):
    line = lab.shell("lb1", "ip", "-o", "address", "show", "to", f"{VIP}/32")
    return line.split()[1]


def _expect_healed_and_announced(lab, remove, seconds=HEALED_WITHIN_SECONDS):
    mac = hardware_address("lb1")
    before = lab.transitions()
    with Sniffer("client") as sniffer:
        remove()
        poll(seconds, "the VIP is back", lambda: lab.holds("lb1"))
        poll(seconds, "a gratuitous ARP was seen", lambda: any(
            frame.is_gratuitous_arp and frame.arp_sender == VIP and frame.source_mac == mac
            for frame in sniffer.drain()))
    expect(try_get(timeout_seconds=1), "the VIP does not serve")
    lab.expect_one_holder("lb1", 0.5)
    expect(lab.transitions() == before, f"transitions {before} -> {lab.transitions()}")


def a_deleted_vip_is_put_back_and_announced(lab):
    device = _device(lab)
    _expect_healed_and_announced(
        lab, lambda: lab.shell("lb1", "ip", "address", "del", f"{VIP}/32", "dev", device),
        HEALED_AT_ONCE_SECONDS)
    expect(lab.metric("lb1", "tandem_vrrp_addresses_healed_total") >= 1, "not counted")


def a_deleted_device_is_made_again_and_announced(lab):
    device = _device(lab)
    since = lab.log_size("lb1")
    _expect_healed_and_announced(lab, lambda: lab.shell("lb1", "ip", "link", "del", device))
    expect("removed our device" in lab.log("lb1", since), lab.log("lb1", since))


def a_device_set_down_is_set_up_again(lab):
    device = _device(lab)
    lab.shell("lb1", "ip", "link", "set", device, "down")
    poll(HEALED_WITHIN_SECONDS, "the VIP serves", try_get)
    lab.expect_one_holder("lb1", 1)


def a_flushed_device_is_healed_again_and_again(lab):
    for _ in range(5):
        _expect_healed_and_announced(
            lab, lambda: lab.shell("lb1", "ip", "address", "flush", "dev", _device(lab)))


def a_foreign_vip_is_reported(lab):
    since = lab.log_size("lb2")
    lab.shell("lb2", "ip", "address", "add", f"{VIP}/24", "dev", "eth0")
    try:
        poll(2, "lb2 says so", lambda: "was added to eth0 by somebody else" in lab.log(
            "lb2", since))
        expect(lab.metric("lb2", "tandem_vrrp_stray_addresses_total") == 1, "not counted")
        expect(f"ip address del {VIP}/24 dev eth0" in lab.log("lb2", since), "no remedy named")
    finally:
        lab.shell("lb2", "ip", "address", "del", f"{VIP}/24", "dev", "eth0")
    lab.expect_one_holder("lb1", 1)


def the_nodes_own_address_gone_is_a_fault(lab):
    lab.shell("lb1", "ip", "address", "del", "10.77.0.11/24", "dev", "eth0")
    try:
        poll(3, "lb2 holds the VIP alone", lambda: lab.holders() == ["lb2"])
        expect(lab.router("lb1")["faults"], "lb1 knows of no fault")
    finally:
        lab.shell("lb1", "ip", "address", "add", "10.77.0.11/24", "dev", "eth0")
    poll(3, "lb1 is backup", lambda: lab.router("lb1")["state"] == "backup")
    lab.expect_one_holder("lb2", 1)
