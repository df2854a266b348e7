# SPDX-License-Identifier: Apache-2.0
#
# Adverts sent to the other node's address, for networks that drop multicast: the same takeovers,
# and a stranger who is not the peer is not believed.

from client import try_get
from configuration import configuration
from frames import FrameSender, Sniffer, advertisement, vrrp_packet
from lab import ADDRESS, NODES, expect, poll

CONFIGURATION = configuration(advertise_interval="100ms", transport="unicast")
VRRP = 112


def nothing_is_sent_to_the_group(lab):
    with Sniffer("client") as sniffer:
        sent = "tandem_vrrp_adverts_sent_total"
        before = lab.metric("lb1", sent)
        poll(3, "ten adverts were sent", lambda: lab.metric("lb1", sent) >= before + 10)
        seen = [
            frame for frame in sniffer.drain()
            if frame.protocol == 0x0800 and frame.data[23] == VRRP and not frame.is_outgoing]
    expect(not seen, f"{len(seen)} adverts reached the client")


def multicast_from_a_stranger_is_dropped(lab):
    before = [lab.metric(node, "tandem_vrrp_adverts_dropped_total") for node in NODES]
    received = [lab.metric(node, "tandem_vrrp_adverts_received_total") for node in NODES]
    transitions = lab.transitions()
    source = ADDRESS["client"]
    with FrameSender("client") as sender:
        for _ in range(10):
            sender.multicast(vrrp_packet(source, advertisement(source, priority=254)))
    lab.expect_one_holder("lb1", 0.1)
    expect(lab.transitions() == transitions, "a stranger changed a role")
    expect(received[0] == lab.metric("lb1", "tandem_vrrp_adverts_received_total"),
           f"lb1 took it for an advert; dropped before: {before}")


def crash_and_power_loss_are_survived(lab):
    lab.kill("crash", "lb1")
    poll(1, "lb2 serves", try_get)
    lab.expect_one_holder("lb2", 0.1)
    lab.script("heal")
    lab.kill("poweroff", "lb2")
    poll(2, "lb1 serves", try_get)
    because = lab.failover("lb1")["because"]
    expect(because == "active_down_timer", f"lb1 took over because of {because}")
    lab.expect_one_holder("lb1", 1)
