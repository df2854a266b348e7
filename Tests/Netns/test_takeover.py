# SPDX-License-Identifier: Apache-2.0
#
# Planned and unplanned takeovers at 1 s adverts, where the pair link must be faster than VRRP's
# timers. Faults that only silence can tell are in test_silence.py.

import signal
import threading
import time

from client import Connection, try_get
from configuration import configuration
from frames import ACK, FIN, RST, SYN, Sniffer
from lab import ADDRESS, LINK_PORT, NODES, VIP, expect, other, poll, throughout
from namespace import AddressMonitor, hardware_address

CONFIGURATION = configuration(advertise_interval="1s")
KEEP_ALIVE_CLIENTS = 30


def _expect_takeover_within_a_second(lab, fault_at, dead):
    poll(3, "somebody serves", try_get)
    gap = time.time() - fault_at
    expect(gap < 1, f"the VIP served {gap:.3f} s after the fault")
    expect(not lab.holds(dead), f"{dead} still holds the VIP")
    lab.expect_one_holder(other(dead), 0.1)


def a_killed_active_is_replaced_within_a_second(lab):
    fault_at, dead = lab.kill("crash")
    expect(dead == "lb1", f"the active was {dead}")
    _expect_takeover_within_a_second(lab, fault_at, dead)
    because = lab.failover("lb2")["because"]
    expect(because == "peer_process_dead", f"lb2 took over because of {because}")
    expect(lab.link_event("lb2", "death_certificates") == 1, "no death certificate")


def the_start_up_self_test_proves_the_descriptor_order(lab):
    for node in NODES:
        verdict = lab.status(node)["descriptor_order"]
        expect(verdict == "proven", f"{node}: {verdict}\n{lab.log(node)}")


def clients_of_a_killed_active_hear_nothing_from_it(lab):
    """Those it had accepted; a connection that still waited is refused, which is better."""
    dead_mac = hardware_address("lb1")
    clients = [Connection() for _ in range(KEEP_ALIVE_CLIENTS)]
    for client in clients:
        expect(client.request().response().status == 200, "a client is not served")
    ports = {client.socket.getsockname()[1] for client in clients}
    with Sniffer("client") as sniffer:
        lab.kill("crash", "lb1")
        poll(3, "lb2 serves", try_get)
        poll(1, "lb1 lost the VIP", lambda: not lab.holds("lb1"))
        throughout(0.5, "lb2 lost the VIP", lambda: lab.holds("lb2"))
        endings = [
            frame for frame in sniffer.drain()
            if frame.is_tcp and not frame.is_outgoing and frame.source == VIP
            and frame.source_mac == dead_mac and frame.flags & (FIN | RST)
            and frame.ports[1] in ports]
    for client in clients:
        client.close()
    expect(not endings, f"{len(endings)} farewells of the dead node, first {endings[:1]}")


def no_client_of_a_killed_active_hangs(lab):
    """Idle ones and waiting ones: the new active tells each of them within a second."""
    clients = [Connection(timeout_seconds=1) for _ in range(KEEP_ALIVE_CLIENTS)]
    for client in clients:
        expect(client.request().response().status == 200, "a client is not served")
    for client in clients[::2]:
        client.request("/delay/5000")
    # What the peer knows of the clients is told in batches.
    known = "tandem_replication_peer_entries"
    poll(2, "lb2 knows the clients", lambda: lab.metric("lb2", known) >= KEEP_ALIVE_CLIENTS)
    fault_at, _ = lab.kill("crash", "lb1")
    for index, client in enumerate(clients):
        try:
            client.rest()
        except ConnectionResetError:
            client.close()
            continue
        except TimeoutError:
            expect(False, f"client {index} hangs")
        expect(False, f"client {index} was ended in order by a dead node")
    told_after = time.time() - fault_at
    expect(told_after < 1, f"the last client heard after {told_after:.2f} s")


def a_killed_active_closes_its_link_before_it_loses_the_vip(lab):
    monitor = AddressMonitor("lb1")
    removed_at = []

    def wait():
        monitor.wait_for_removal(VIP, 5)
        removed_at.append(time.time_ns())

    watcher = threading.Thread(target=wait)
    watcher.start()
    with Sniffer("lb2") as sniffer:
        lab.kill("crash", "lb1")
        watcher.join(6)
        poll(3, "lb2 serves", try_get)
        segments = [frame for frame in sniffer.drain() if frame.is_tcp]
    monitor.close()
    expect(removed_at, "nobody said that the VIP went")
    ends = [
        frame for frame in segments
        if frame.source == ADDRESS["lb1"] and LINK_PORT in frame.ports and frame.flags & FIN]
    expect(ends, "no FIN on the pair link")
    refusals = [
        frame for frame in segments
        if frame.source == ADDRESS["lb1"] and frame.ports[0] == LINK_PORT
        and frame.flags & (RST | ACK | SYN) == RST | ACK and frame.wall_ns > ends[0].wall_ns]
    expect(refusals, "the dead node's link port did not refuse")
    expect(
        ends[0].wall_ns < removed_at[0],
        f"the VIP went {(ends[0].wall_ns - removed_at[0]) / 1e6} ms before the link")


def a_stopped_active_hands_over_and_exits_with_zero(lab):
    lab.stop("lb1")
    lab.start_ready("lb1")
    poll(10, "both are paired", lambda: lab.link("lb1")["state"] == "up")
    lab.ctl("lb2", "switchover")
    poll(5, "lb1 is active", lambda: lab.active() == "lb1")
    fault_at, stopped = lab.kill("term")
    expect(stopped == "lb1", f"the active was {stopped}")

    def served_by_lb2():
        # Served at first by the node that leaves, then by the other one, at any time by somebody.
        expect(try_get(timeout_seconds=3), "a request failed while the address moved")
        return lab.holders() == ["lb2"]

    poll(3, "lb2 alone holds the VIP", served_by_lb2)
    gap = time.time() - fault_at
    expect(gap < 2.5, f"lb1 left after {gap:.2f} s")
    because = lab.failover("lb2")["because"]
    expect(because in ("switchover", "priority_zero"), f"lb2 took over because of {because}")
    code = lab.wait("lb1")
    expect(code == 0, f"lb1 exited with {code}")


def a_planned_stop_parts_from_clients_in_order(lab):
    idle = [Connection() for _ in range(KEEP_ALIVE_CLIENTS)]
    for client in idle:
        expect(client.request().response().status == 200, "a client is not served")
    with Connection() as busy:
        busy.request("/delay/300")
        poll(2, "the request is in flight", lambda: any(
            backend["requests_in_flight"] for pool in lab.status("lb1")["pools"]
            for backend in pool["backends"]))
        lab.kill("term", "lb1")
        expect(busy.response().status == 200, "the request in flight was lost")
        expect(busy.rest() == b"", "bytes behind the last response")
    for client in idle:
        # A reset would raise; an orderly end is empty.
        expect(client.rest() == b"", "bytes nobody asked for")
        client.close()
    poll(3, "lb2 holds the VIP", lambda: lab.holders() == ["lb2"])
    poll(5, "lb1 has left", lambda: lab.process_id("lb1") is None)


def switchover_moves_the_vip_both_ways(lab):
    refused = lab.tandem("lb2", "switchover")
    expect(refused.returncode == 1, f"on the backup: exit {refused.returncode}")
    expect("not active" in refused.stdout, f"on the backup: {refused.stdout}")
    for node in ("lb1", "lb2"):
        done = lab.tandem(node, "switchover")
        expect(done.returncode == 0, f"exit {done.returncode}: {done.stdout}{done.stderr}")
        expect(
            f"{other(node)} is active" in done.stdout and "microseconds" in done.stdout,
            f"it said: {done.stdout}")
        lab.expect_one_holder(other(node), 1)
        expect(try_get(timeout_seconds=1), f"{other(node)} does not serve")
        because = lab.failover(other(node))["because"]
        expect(because in ("switchover", "priority_zero"), f"because of {because}")


def switchover_without_a_peer_is_refused(lab):
    lab.stop("lb2")
    poll(3, "lb1 misses its peer", lambda: lab.link("lb1")["state"] == "down")
    refused = lab.tandem("lb1", "switchover")
    expect(refused.returncode == 1, f"exit {refused.returncode}: {refused.stdout}")
    lab.expect_one_holder("lb1", 0.1)


def a_restarted_node_does_not_preempt(lab):
    lab.kill("crash", "lb1")
    poll(3, "lb2 serves", try_get)
    lab.script("heal")
    # Longer than the returned node's own Active_Down_Interval (3.2 s) it hears a lower priority.
    throughout(4, lambda: f"held by {lab.holders()}", lambda: lab.holders() == ["lb2"])
    expect(lab.router("lb1")["state"] == "backup", "lb1 is not backup")


def the_standby_dies_unnoticed(lab):
    before = lab.metric("lb1", "tandem_vrrp_transitions_total")
    lab.kill("crash", "lb2")
    poll(2, "the link is down", lambda: lab.link("lb1")["state"] == "down")
    throughout(0.5, "the VIP stops to answer", lambda: try_get(timeout_seconds=1))
    lab.expect_one_holder("lb1", 0.1, 0.1)
    expect(lab.metric("lb1", "tandem_vrrp_transitions_total") == before, "lb1 changed its state")


def both_nodes_dead_means_no_holder(lab):
    for node in NODES:
        lab.signal(node, signal.SIGKILL)
    poll(2, lambda: f"nobody holds the VIP: {lab.holders()}", lambda: not lab.holders())
    lab.script("heal")
    expect(try_get(timeout_seconds=1), "the healed pair does not serve")
