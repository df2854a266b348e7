# SPDX-License-Identifier: Apache-2.0
#
# Adverts that nobody should send, made by scapy, over both families: every field wrong, cut at
# every length, floods. Without authentication a stranger on the LAN can still take part in the
# election: that is VRRP (RFC 9568 section 9), and the last test says what it costs.

import time

import adverts
from adverts import (
    LINK_LOCAL, STRANGER, VIP6, ThreadTime, advert, flood, frame, garbage, mac,
    message, summed)
from client import try_get
from configuration import configuration
from frames import FrameSender
from lab import ADDRESS, NODES, expect, pause, poll, throughout

MISSING = adverts.MISSING
CONFIGURATION = configuration(advertise_interval="100ms").replace(
    "addresses: [10.77.0.100]", f'addresses: [10.77.0.100, "{VIP6}"]')
DROPPED = "tandem_vrrp_adverts_dropped_total"
RECEIVED = "tandem_vrrp_adverts_received_total"
SENT = "tandem_vrrp_adverts_sent_total"

FLOOD_PER_SECOND = 100_000
FLOOD_COUNT = 300_000
# What a machine that has better things to do sends in the twenty seconds that a flood may last.
FLOOD_COUNT_MIN = 30_000
# A processor is shared by everything on the machine while a flood runs.
PAIR_THREAD_SHARE_MAX = 0.25
# Slower than what counts as a flood: every packet is to be seen.
PACE_SECONDS = 0.004


def _send(sender, frames):
    for item in frames:
        sender.socket.send(item)
        pause(PACE_SECONDS)


def _counts(lab, reason=None):
    labels = {"reason": reason} if reason else {}
    return [lab.metric(node, DROPPED, **labels) for node in NODES]


def _expect_dropped(lab, sender, reason, frames):
    """Both nodes count every frame, for this reason when there is one."""
    before = _counts(lab, reason)
    _send(sender, frames)
    wanted = [count + len(frames) for count in before]
    poll(3, lambda: f"{len(frames)} of {reason}: {_counts(lab, reason)}, wanted {wanted}",
         lambda: _counts(lab, reason) == wanted, every=0.02)


def _wrong_fields(source):
    """Reason, and the frames that must be dropped for it, for one family."""
    is_ipv6 = ":" in source
    ttl = "hop_limit" if is_ipv6 else "time_to_live"
    yield ttl, [advert(source, ttl=value) for value in (1, 2, 64, 128, 254)]
    yield "version", [advert(source, version=value) for value in (0, 1, 2, 4, 7, 15)]
    yield "type", [advert(source, type=value) for value in (0, 2, 8, 15)]
    yield "virtual_router_id", [advert(source, vrid=value) for value in (0, 1, 50, 52, 255)]
    yield "address_count", [advert(source, ipcount=0), advert(source, ipcount=0, addrlist=[])]
    yield "message_length", [
        *(advert(source, ipcount=value) for value in (1 if is_ipv6 else 2, 3, 100, 255)),
        *(advert(source, trailing=bytes(count)) for count in (1, 4, 8, 16, 28, 36, 1000)),
    ]
    yield "interval", [advert(source, adv=0), advert(source, adv=0, res=15)]
    # Every single bit of the sum, and the sum of nothing.
    right = int.from_bytes(
        message(source, adverts.GROUP6 if is_ipv6 else adverts.GROUP)[6:8], "big")
    yield "checksum", [advert(source, chksum=right ^ 1 << bit) for bit in range(16)]
    if is_ipv6:
        alone = message(source, adverts.GROUP6)
        plain = alone[:6] + b"\0\0" + alone[8:]
        yield "checksum", [frame(
            summed(plain, STRANGER, adverts.GROUP), source, adverts.GROUP6)]
        yield "first_address", [advert(source, addrlist=[VIP6]),
                                advert(source, addrlist=["ff02::12", VIP6])]


def every_wrong_field_is_dropped_and_counted_by_reason(lab):
    transitions = lab.transitions()
    with FrameSender("client") as sender:
        for source in (STRANGER, LINK_LOCAL):
            for reason, frames in _wrong_fields(source):
                _expect_dropped(lab, sender, reason, frames)
    expect(lab.transitions() == transitions, "a wrong field changed a role")
    lab.expect_one_holder("lb1", 0.1)


def an_advert_cut_at_any_length_is_dropped(lab):
    transitions = lab.transitions()
    with FrameSender("client") as sender:
        for source in (STRANGER, LINK_LOCAL):
            group = adverts.GROUP6 if ":" in source else adverts.GROUP
            whole = len(message(source, group))
            _expect_dropped(
                lab, sender, None, [advert(source, cut=length) for length in range(whole)])
    expect(lab.transitions() == transitions, "a part of an advert changed a role")


def an_advert_to_one_node_alone_is_dropped(lab):
    """The transport is multicast: what a stranger sends to a node's own address is no advert."""
    transitions = lab.transitions()
    before = lab.metric("lb1", RECEIVED), lab.metric("lb2", RECEIVED)
    with FrameSender("client") as sender:
        for node in NODES:
            _send(sender, [advert(
                destination=ADDRESS[node], to=mac(node), priority=255)] * 5)
    poll(2, "both go on hearing or sending", lambda: lab.metric("lb2", RECEIVED) > before[1] + 3)
    expect(lab.metric("lb1", RECEIVED) == before[0], "lb1 took a unicast advert")
    expect(lab.transitions() == transitions, "a unicast advert changed a role")


def odd_but_right_adverts_of_lower_priority_change_nothing(lab):
    """IPv4 options, reserved bits, the older checksum, other addresses: all of it is taken."""
    transitions = lab.transitions()
    odd = [
        advert(priority=1, res=15), advert(priority=1, form="rfc5798"),
        advert(priority=1, adv=4095), advert(priority=1, addrlist=["192.0.2.1"] * 20),
        advert(priority=1, header={"options": b"\x94\x04\0\0"}),
        advert(LINK_LOCAL, priority=1, res=15),
        advert(LINK_LOCAL, priority=1, addrlist=[LINK_LOCAL] + ["2001:db8::1"] * 19),
    ]
    before, dropped = lab.metric("lb1", RECEIVED), _counts(lab)
    with FrameSender("client") as sender:
        _send(sender, odd)
    poll(2, lambda: f"lb1 took {lab.metric('lb1', RECEIVED) - before} of {len(odd)}",
         lambda: lab.metric("lb1", RECEIVED) == before + len(odd))
    expect(_counts(lab) == dropped, "an odd but right advert was dropped")
    expect(lab.transitions() == transitions, "a lower priority changed a role")


def _survives(lab, frames, what):
    """A flood of 100,000 a second moves nothing, and costs the pair thread a bounded share."""
    transitions = lab.transitions()
    threads = [ThreadTime(lab, node, "pair") for node in NODES]
    sent_before, started = lab.metric("lb1", SENT), time.monotonic()
    answered = asked = 0
    with flood(frames, FLOOD_PER_SECOND, FLOOD_COUNT) as running:
        while not running.is_over:
            asked += 1
            answered += try_get(timeout_seconds=2) is not None
            expect(lab.holders() == ["lb1"], f"{what}: the VIP is on {lab.holders()}")
            pause(0.02)
        count, rate = running.end()
    shares = [thread.share() for thread in threads]
    sent = lab.metric("lb1", SENT) - sent_before
    print(f"         {what}: {count} frames, {rate:.0f}/s; pair thread {shares[0]:.1%} "
          f"{shares[1]:.1%}; {answered}/{asked} requests; "
          f"{sent:.0f} adverts sent", flush=True)
    expect(count >= FLOOD_COUNT_MIN, f"only {count} frames were sent")
    expect(answered == asked and asked > 5, f"{answered} of {asked} requests were answered")
    throughout(0.5, lambda: f"the VIP is on {lab.holders()}", lambda: lab.holders() == ["lb1"])
    expect(lab.transitions() == transitions, f"{what} changed a role")
    # Adverts of two families every 100 ms, and at most 200 answers a second of each.
    adverts_max = 500 * (time.monotonic() - started)
    expect(sent < adverts_max, f"{what}: {sent:.0f} adverts sent, at most {adverts_max:.0f}")
    expect(max(shares) < PAIR_THREAD_SHARE_MAX, f"the pair thread took {shares} of a processor")


def a_flood_of_malformed_adverts_is_survived(lab):
    frames = garbage(7946, 200) + [
        item for source in (STRANGER, LINK_LOCAL) for _, found in _wrong_fields(source)
        for item in found]
    _survives(lab, frames, "malformed")


def a_flood_of_lower_priority_is_survived(lab):
    """Right in every field: each would have the Active answer at once (RFC 9568 section 6.4.3)."""
    _survives(lab, [advert(priority=50), advert(LINK_LOCAL, priority=50)], "lower priority")


def a_flood_in_the_peers_name_is_survived(lab):
    """The worst case: what looks like the peer cannot be told from it without authentication."""
    _survives(lab, [advert(ADDRESS["lb2"], priority=50)], "in the peer's name")


def a_forged_higher_priority_is_believed_and_gone_when_it_ends(lab):
    """What VRRP without authentication allows; `authentication: hmac` is against it."""
    with FrameSender("client") as sender:
        def forge():
            sender.socket.send(advert(priority=255, adv=10))
            return lab.holders() == []
        # A flood of a test before may still have the kernel keep strangers out, for ten seconds.
        poll(15, "both nodes follow the stranger", forge, every=0.02)
    poll(5, lambda: f"one node holds the VIP again: {lab.holders()}",
         lambda: len(lab.holders()) == 1)
    poll(3, "requests are answered", try_get)
    lab.expect_one_holder(lab.holders()[0], 1)
