# SPDX-License-Identifier: Apache-2.0
#
# Packets that nobody should send, from a stranger on the LAN: adverts and bytes on the link port.
# Dropped, counted by reason, logged at a limited rate; never a lost VIP.

import os
import random

from client import Connection, try_get
from configuration import configuration
from frames import FrameSender, advertisement, vrrp_packet
from lab import ADDRESS, LINK_PORT, NODES, expect, poll, throughout

CONFIGURATION = configuration(advertise_interval="100ms")
CLIENT = ADDRESS["client"]
FLOOD_COUNT = 20_000
# Per reason: a burst of two lines, and one more every ten seconds.
DROP_LINES_PER_REASON_MAX = 4
LINK_LINES_MAX = 8

# Reason in the metrics, and the packet that must be dropped for it.
MALFORMED = [
    ("message_truncated", vrrp_packet(CLIENT, advertisement(CLIENT)[:4])),
    ("message_truncated", vrrp_packet(CLIENT, b"")),
    ("message_length", vrrp_packet(CLIENT, advertisement(CLIENT, trailing=b"\0" * 1400))),
    ("message_length", vrrp_packet(CLIENT, advertisement(CLIENT, count=255))),
    ("message_length", vrrp_packet(CLIENT, advertisement(CLIENT)[:-1])),
    ("address_count", vrrp_packet(CLIENT, advertisement(CLIENT, addresses=()))),
    ("interval", vrrp_packet(CLIENT, advertisement(CLIENT, interval_centiseconds=0))),
    ("checksum", vrrp_packet(CLIENT, advertisement(CLIENT, priority=254, checksum=0xBEEF))),
    ("time_to_live", vrrp_packet(CLIENT, advertisement(CLIENT, priority=254), ttl=254)),
    ("virtual_router_id", vrrp_packet(CLIENT, advertisement(CLIENT, priority=254, vrid=77))),
    ("version", vrrp_packet(CLIENT, advertisement(CLIENT, priority=254, version=2))),
    ("type", vrrp_packet(CLIENT, advertisement(CLIENT, priority=254, kind=2))),
]


def _dropped(lab, node, reason):
    return lab.metric(node, "tandem_vrrp_adverts_dropped_total", reason=reason)


def malformed_adverts_are_dropped_and_counted_by_reason(lab):
    transitions = lab.transitions()
    with FrameSender("client") as sender:
        for reason, packet in MALFORMED:
            before = {node: _dropped(lab, node, reason) for node in NODES}
            sender.multicast(packet)
            for node in NODES:
                poll(2, f"{node} counted {reason} for {packet.hex()}",
                     lambda: _dropped(lab, node, reason) == before[node] + 1)
    expect(lab.transitions() == transitions, "a malformed advert changed a role")
    lab.expect_one_holder("lb1", 0.1)


def a_spoofed_lower_priority_moves_nothing(lab):
    transitions = lab.transitions()
    heard = "tandem_vrrp_adverts_received_total"
    with FrameSender("client") as sender:
        for _ in range(20):
            before = {node: lab.metric(node, heard) for node in NODES}
            sender.multicast(vrrp_packet(CLIENT, advertisement(CLIENT, priority=50)))
            for node in NODES:
                poll(2, f"{node} heard it", lambda: lab.metric(node, heard) > before[node])
    expect(lab.transitions() == transitions, "a lower priority changed a role")
    notices = lab.metric("lb1", "tandem_vrrp_notices_total", kind="lower_priority_active")
    expect(notices >= 1, "lb1 did not notice another Active")
    lab.expect_one_holder("lb1", 0.1)


def a_flood_is_dropped_and_hardly_logged(lab):
    transitions = lab.transitions()
    generator = random.Random(7946)
    noise = [
        vrrp_packet(CLIENT, generator.randbytes(generator.randrange(0, 64)), ttl=255)
        for _ in range(200)]
    packets = [packet for _, packet in MALFORMED] + noise
    dropped, shields = "tandem_vrrp_adverts_dropped_total", "tandem_vrrp_shields_raised_total"
    before, raised = lab.metric("lb2", dropped), lab.metric("lb2", shields)
    since = lab.log_size("lb1"), lab.log_size("lb2")
    with FrameSender("client") as sender:
        for index in range(FLOOD_COUNT):
            sender.multicast(packets[index % len(packets)])
    # What begins the flood is counted; then the kernel keeps all but the peer's adverts out.
    poll(5, lambda: f"counted {lab.metric('lb2', dropped) - before} of the flood",
         lambda: lab.metric("lb2", dropped) - before > 100
         and lab.metric("lb2", shields) > raised)
    throughout(0.5, lambda: f"the VIP is on {lab.holders()}", lambda: lab.holders() == ["lb1"])
    expect(lab.transitions() == transitions, "the flood changed a role")
    for node, start in zip(NODES, since):
        lines = [line for line in lab.log(node, start).splitlines() if "advert dropped" in line]
        expect(lines, f"{node} logged nothing")
        reasons = {line.split("reason=")[1].split()[0] for line in lines}
        expect(
            len(lines) <= DROP_LINES_PER_REASON_MAX * len(reasons),
            f"{node} logged {len(lines)} lines for {len(reasons)} reasons")


def failover_works_during_a_flood(lab):
    with FrameSender("client") as sender:
        def flood():
            for _, packet in MALFORMED * 20:
                sender.multicast(packet)
            return try_get(timeout_seconds=0.05)
        lab.kill("crash", "lb1")
        poll(1, "lb2 serves", flood)
    lab.expect_one_holder("lb2", 0.1)


def _link_from(member, to="lb1"):
    return Connection(ADDRESS[to], LINK_PORT, member=member, timeout_seconds=4)


def strangers_on_the_link_port_are_turned_away(lab):
    before = lab.link_event("lb1", "rejected_address")
    for _ in range(30):
        with _link_from("client") as stranger:
            expect(stranger.provoke(b"", half_closes=False) == b"", "a stranger was answered")
    expect(lab.link_event("lb1", "rejected_address") == before + 30, "not counted")
    expect(lab.link("lb1")["state"] == "up", "the link went down")


def garbage_from_the_peers_address_is_closed_and_counted(lab):
    transitions = lab.transitions()
    events = ("malformed_frames", "unexpected_frames", "refused_version", "ended_before_hello",
              "ended_in_handshake", "refused_name", "forged_frames", "refused_deadline")

    def counted():
        return sum(lab.link_event("lb1", event) for event in events)

    generator = random.Random(1)
    before = counted()
    since = lab.log_size("lb1")
    for size in [1, 3, 8, 16, 64, 200, 1000, 4000] * 3:
        with _link_from("lb2") as peer:
            peer.provoke(generator.randbytes(size))
    poll(3, lambda: f"{counted() - before} of 24 counted", lambda: counted() - before == 24)
    lines = [line for line in lab.log("lb1", since).splitlines() if "part=link" in line]
    expect(len(lines) <= LINK_LINES_MAX, f"{len(lines)} lines: {lines[:3]}")
    expect(lab.link("lb1")["state"] == "up", "the link went down")
    expect(lab.transitions() == transitions, "garbage changed a role")


def silent_connections_are_cut_off(lab):
    """Far more unfinished handshakes than are kept; the pair still links up anew."""
    before = lab.link_event("lb1", "rejected_pending")
    silent = [_link_from("lb2") for _ in range(40)]
    poll(3, "the limit was counted",
         lambda: lab.link_event("lb1", "rejected_pending") >= before + 30)
    lab.shell("lb1", "ss", "-K", "-t", "state", "established", "sport", "=", f":{LINK_PORT}",
              "or", "dport", "=", f":{LINK_PORT}")
    for node in NODES:
        poll(6, f"{node} is linked again", lambda: lab.link(node)["state"] == "up")
    for connection in silent:
        connection.close()
    lab.expect_one_holder("lb1", 0.1)


def half_a_handshake_ends_at_its_deadline(lab):
    before = lab.link_event("lb1", "refused_deadline")
    with _link_from("lb2") as silent:
        silent.provoke(b"", half_closes=False)
    expect(lab.link_event("lb1", "refused_deadline") == before + 1, "not counted")
    lab.kill("crash", "lb1")
    poll(1, "lb2 serves", try_get)
    because = lab.failover("lb2")["because"]
    expect(because == "peer_process_dead", f"lb2 took over because of {because}")


def garbage_for_the_operator_ports_is_survived(lab):
    pid = lab.process_id("lb1")
    for data in (
        os.urandom(4096), b"GET /" + b"a" * 100_000, b"\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
    ):
        with Connection("127.0.0.1", 9900, member="lb1", timeout_seconds=12) as connection:
            connection.provoke(data)
    expect("no command" in lab.ctl("lb1", "frobnicate " + "x" * 5000).lower()
           or lab.ctl("lb1", "help"), "the runtime socket does not answer")
    expect(lab.status("lb1")["role"] == "active", "lb1 is not active")
    expect(lab.process_id("lb1") == pid, "lb1 is another process")
