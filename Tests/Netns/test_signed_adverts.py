# SPDX-License-Identifier: Apache-2.0
#
# `authentication: hmac`: who does not have the pair's secret is not heard, whatever he sends and
# however often, and what he recorded does not serve again.

import random

import adverts
from adverts import (
    LINK_LOCAL, STRANGER, VIP6, ThreadTime, advert, flood, forged_trailer, mac)
from client import try_get
from configuration import configuration
from frames import FrameSender, Sniffer
from lab import ADDRESS, NODES, expect, pause, poll, throughout

MISSING = adverts.MISSING
CONFIGURATION = configuration(advertise_interval="100ms").replace(
    "addresses: [10.77.0.100]",
    f'addresses: [10.77.0.100, "{VIP6}"]\n      authentication: hmac')
DROPPED = "tandem_vrrp_adverts_dropped_total"
RECEIVED = "tandem_vrrp_adverts_received_total"
TRAILER_BYTES = 36
KEY_ID_AT = 2
FLOOD_PER_SECOND = 100_000
FLOOD_COUNT = 300_000
# What a machine that has better things to do sends in the twenty seconds that a flood may last.
FLOOD_COUNT_MIN = 30_000
PAIR_THREAD_SHARE_MAX = 0.25
PACE_SECONDS = 0.004


def _recorded(lab, count):
    """IPv4 adverts of lb1 as the client sees them, in its own frames: the packets unchanged."""
    with Sniffer("client") as sniffer:
        def packets():
            return [
                found.data[14:] for found in sniffer.drain()
                if found.protocol == 0x0800 and found.data[23] == 112]
        poll(10, f"{count} adverts were recorded", lambda: len(packets()) >= count)
        recorded = packets()
    head = bytes.fromhex(adverts.GROUP_MAC.replace(":", "") + mac("client").replace(":", ""))
    return [head + b"\x08\x00" + packet for packet in recorded]


def _counts(lab, reason):
    return [lab.metric(node, DROPPED, reason=reason) for node in NODES]


def the_pair_hears_itself_over_both_families(lab):
    before = lab.metric("lb2", RECEIVED)
    poll(5, "lb2 hears lb1", lambda: lab.metric("lb2", RECEIVED) > before + 20)
    packet = _recorded(lab, 1)[0][14:]
    expect(len(packet) == 20 + 8 + 4 + TRAILER_BYTES, f"an advert has {len(packet)} bytes")
    for reason in ("authentication_missing", "authentication_tag", "authentication_replay",
                   "authentication_key", "checksum", "message_length"):
        expect(_counts(lab, reason) == [0, 0], f"the pair's own adverts: {reason}")


def a_forged_owner_is_not_heard(lab):
    transitions = lab.transitions()
    key_id = _recorded(lab, 1)[0][-TRAILER_BYTES + KEY_ID_AT]
    generator = random.Random(9568)
    forged = {
        "authentication_missing": [
            advert(source, priority=255, form=form)
            for source in (STRANGER, LINK_LOCAL) for form in ("rfc9568", "rfc5798")],
        "authentication_form": [
            advert(source, priority=255, trailing=generator.randbytes(TRAILER_BYTES))
            for source in (STRANGER, LINK_LOCAL)],
        "authentication_key": [
            advert(source, priority=255, trailing=forged_trailer(key_id ^ 0x55, generator))
            for source in (STRANGER, LINK_LOCAL)],
        "authentication_tag": [
            advert(source, priority=255, trailing=forged_trailer(key_id, generator))
            for source in (STRANGER, LINK_LOCAL)],
    }
    with FrameSender("client") as sender:
        for reason, frames in forged.items():
            before = _counts(lab, reason)
            for _ in range(5):
                for item in frames:
                    sender.socket.send(item)
                    pause(PACE_SECONDS)
            wanted = [count + 5 * len(frames) for count in before]
            poll(3, lambda: f"{reason}: {_counts(lab, reason)}, wanted {wanted}",
                 lambda: _counts(lab, reason) == wanted, every=0.02)
            expect(lab.holders() == ["lb1"], f"{reason}: the VIP is on {lab.holders()}")
    expect(lab.transitions() == transitions, "a forged advert changed a role")


def a_recorded_advert_does_not_serve_again(lab):
    transitions = lab.transitions()
    recorded = _recorded(lab, 20)
    before = lab.metric("lb2", DROPPED, reason="authentication_replay")
    with FrameSender("client") as sender:
        for item in recorded:
            sender.socket.send(item)
            pause(PACE_SECONDS)
    poll(3, lambda: f"{lab.metric('lb2', DROPPED, reason='authentication_replay') - before} of "
         f"{len(recorded)} counted",
         lambda: lab.metric("lb2", DROPPED, reason="authentication_replay")
         == before + len(recorded))
    expect(lab.transitions() == transitions, "a replay changed a role")


def replays_do_not_keep_a_dead_node_alive(lab):
    recorded = _recorded(lab, 20)
    with FrameSender("client") as sender:
        def replay():
            for item in recorded:
                sender.socket.send(item)
            return lab.holders() == ["lb2"] and try_get()
        lab.kill("poweroff", "lb1")
        poll(2, "lb2 took over", replay, every=0.02)
    lab.expect_one_holder("lb2", 1)


def _survives(lab, frames, what):
    transitions = lab.transitions()
    threads = [ThreadTime(lab, node, "pair") for node in NODES]
    answered = asked = 0
    with flood(frames, FLOOD_PER_SECOND, FLOOD_COUNT) as running:
        while not running.is_over:
            asked += 1
            answered += try_get(timeout_seconds=2) is not None
            expect(lab.holders() == ["lb1"], f"{what}: the VIP is on {lab.holders()}")
            pause(0.02)
        count, rate = running.end()
    shares = [thread.share() for thread in threads]
    print(f"         {what}: {count} frames, {rate:.0f}/s; pair thread {shares[0]:.1%} "
          f"{shares[1]:.1%}; {answered}/{asked} requests", flush=True)
    expect(count >= FLOOD_COUNT_MIN, f"only {count} frames were sent")
    expect(answered == asked and asked > 5, f"{answered} of {asked} requests were answered")
    throughout(0.5, lambda: f"the VIP is on {lab.holders()}", lambda: lab.holders() == ["lb1"])
    expect(lab.transitions() == transitions, f"{what} changed a role")
    expect(max(shares) < PAIR_THREAD_SHARE_MAX, f"the pair thread took {shares} of a processor")
    before = lab.metric("lb2", RECEIVED)
    poll(5, "lb2 hears lb1 again", lambda: lab.metric("lb2", RECEIVED) > before + 5)


def a_flood_of_forged_owners_is_survived(lab):
    _survives(
        lab, [advert(priority=255), advert(LINK_LOCAL, priority=255)], "forged owners")


def a_flood_of_forged_tags_in_both_names_is_survived(lab):
    """Each looks like the other node and costs a hash."""
    key_id = _recorded(lab, 1)[0][-TRAILER_BYTES + KEY_ID_AT]
    generator = random.Random(2104)
    _survives(lab, [
        advert(ADDRESS[node], priority=255, trailing=forged_trailer(key_id, generator))
        for node in NODES for _ in range(500)], "forged tags")


def a_flood_of_replays_is_survived(lab):
    _survives(lab, _recorded(lab, 50), "replays")
