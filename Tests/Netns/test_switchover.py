# SPDX-License-Identifier: Apache-2.0
#
# Planned switchovers under a whole client's traffic: no request is lost, cut or kept waiting for a
# repeated SYN; slow ones end where they began while new ones begin where the address has moved;
# whatever happens in the middle, the kernel keeps no rule of it.

import json
import os
import signal
import socket
import subprocess
import threading
import time

from client import Connection, try_get
from configuration import configuration
from frames import ETH_P_ARP, FrameSender, Sniffer
from lab import ADDRESS, NODES, VIP, expect, other, poll
from namespace import PREFIX

VIP6 = "fd77::100"
CONFIGURATION = configuration(
    advertise_interval="1s", more_addresses=[VIP6],
    listeners="  web6:\n    bind: \"[::]:80\"\n    routes:\n      - pool: web\n",
)
ROUND_TRIPS = 5
# The kernel's own counters tell of every segment that was sent again because nobody answered; time
# alone cannot tell a lost one from a busy machine, and only shows that nobody hung.
LATE_MILLISECONDS_MAX = 2_500
REPEATS = ("TCPSynRetrans", "TCPTimeouts")
SLOW_PATH = "/delay/3000"


def _repeats(lab):
    """What the client's kernel has sent again because nobody answered in time."""
    names, values = [
        line.split() for line in lab.shell("client", "cat", "/proc/net/netstat").splitlines()
        if line.startswith("TcpExt:")]
    return {name: int(values[names.index(name)]) for name in REPEATS}


class Traffic:
    """The program traffic.py in the client's namespace."""

    def __init__(self, lab, address=VIP):
        self.lab = lab
        self.repeats = _repeats(lab)
        self.process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{PREFIX}client", "python3",
             os.path.join(os.path.dirname(__file__), "traffic.py"), address],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def expect_nothing_lost(self):
        """Ends the traffic; every request was answered, and none had to be repeated."""
        output, _ = self.process.communicate(timeout=60)
        report = json.loads(output)
        text = json.dumps(report, indent=1)
        for name, kind in report.items():
            expect(kind["requests"] > 0, f"no {name} request was made: {text}")
            expect(kind["failed"] == 0, f"{name} requests failed: {text}")
            if name != "download":
                late = kind["late_ms"]["max"]
                expect(late < LATE_MILLISECONDS_MAX, f"{name} was late: {text}")
        repeats = _repeats(self.lab)
        expect(repeats == self.repeats, f"sent again: {self.repeats} became {repeats}: {text}")

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def _tables(lab, node):
    listed = lab.shell(node, "nft", "list", "tables")
    return [line for line in listed.splitlines() if "tandem_handover" in line]


def _expect_no_tables(lab, seconds=1):
    for node in NODES:
        poll(seconds, lambda: f"no rules are left on {node}: {_tables(lab, node)}",
             lambda: not _tables(lab, node))


def _switch(lab, node):
    """A switchover away from a node; returns what its status says it cost."""
    done = lab.run(node, lab.binary, "switchover", timeout_seconds=40)
    expect(done.returncode == 0, f"exit {done.returncode}: {done.stdout}{done.stderr}")
    last = lab.status(node)["handover"]["last"]
    expect(last["forwarding"], f"packets were not passed on: {done.stdout}")
    expect(last["connections_cut"] == 0, f"connections were cut: {done.stdout}")
    return last


def _furnish_ipv6(lab):
    for number, member in enumerate(("lb1", "lb2", "client"), 1):
        lab.shell(member, "ip", "address", "replace", f"fd77::{number}/64", "dev", "eth0",
                  "nodad")


def _is_arp_reply(frame):
    return frame.protocol == ETH_P_ARP and frame.data[20:22] == b"\0\2"


class AnsweringStation:
    """Asks who has the VIP every few milliseconds and keeps who answered, in order."""

    INTERVAL_SECONDS = 0.005

    def __init__(self):
        self.answers = []
        self._ends = threading.Event()

    def __enter__(self):
        self.sniffer = Sniffer("client")
        self.sender = FrameSender("client")
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()
        return self

    def _ask(self):
        mac = self.sender.mac
        request = (
            b"\xff" * 6 + mac + b"\x08\x06\0\1\x08\0\6\4\0\1"
            + mac + socket.inet_aton(ADDRESS["client"]) + bytes(6) + socket.inet_aton(VIP))
        while not self._ends.wait(self.INTERVAL_SECONDS):
            self.sender.socket.send(request)

    def __exit__(self, *_):
        self._ends.set()
        self._thread.join(5)
        self.sender.close()
        self.sniffer.close()

    def changes(self):
        """How often another station answered than before."""
        answers = [
            frame.source_mac for frame in self.sniffer.drain()
            if _is_arp_reply(frame) and not frame.is_outgoing and frame.arp_sender == VIP]
        expect(len(answers) > 20, f"only {len(answers)} answers")
        return sum(1 for before, after in zip(answers, answers[1:]) if before != after)


def switchovers_under_load_lose_nothing(lab):
    gaps = []
    with Traffic(lab) as traffic:
        poll(5, "traffic flows", lambda: lab.metric(
            "lb1", "tandem_listener_connections_total", listener="web") > 100)
        for _ in range(ROUND_TRIPS):
            for node in NODES:
                gaps.append(_switch(lab, node)["gap_us"])
        traffic.expect_nothing_lost()
    _expect_no_tables(lab)
    expect(max(gaps) < 100_000, f"nobody served for {gaps} microseconds")
    for node in NODES:
        expect(lab.status(node)["handover"]["forwarding"], f"{node} does not pass packets on")


def a_slow_request_ends_where_it_began(lab):
    slow = Connection(timeout_seconds=10).request(SLOW_PATH)
    poll(2, "the slow request is in flight",
         lambda: lab.metric("lb1", "tandem_listener_connections_open", listener="web") >= 1)
    done = {}

    def switch():
        done["result"] = lab.run("lb1", lab.binary, "switchover", timeout_seconds=20)
    thread = threading.Thread(target=switch)
    thread.start()
    poll(2, "lb2 is active", lambda: lab.active() == "lb2")
    expect(_tables(lab, "lb1") and _tables(lab, "lb2"), "packets are not passed on")
    expect(try_get(timeout_seconds=1), "lb2 does not serve new connections")
    second = lab.ctl("lb2", "switchover")
    expect("failed" in second or "pending" in second, f"a second switchover: {second}")
    response = slow.response()
    expect(response.status == 200, f"the slow request got {response.status}")
    thread.join(10)
    said = done["result"].stdout
    expect("0 were cut" in said, f"it said: {said}")
    poll(2, "lb2 alone holds the VIP", lambda: lab.holders() == ["lb2"])
    _expect_no_tables(lab)


def one_station_answers_at_any_time(lab):
    with AnsweringStation() as station:
        for node in NODES:
            _switch(lab, node)
        pause_ends = time.monotonic() + 0.2
        poll(1, "some more answers", lambda: time.monotonic() > pause_ends)
        changes = station.changes()
    expect(changes == 2, f"another station answered {changes} times in 2 switchovers")


def a_node_that_leaves_loses_nothing(lab):
    for node in NODES:
        with Traffic(lab) as traffic:
            poll(5, "traffic flows", lambda: lab.metric(
                node, "tandem_listener_connections_open", listener="web") > 20)
            lab.signal(node, signal.SIGTERM)
            poll(20, f"{node} has left", lambda: lab.process_id(node) is None)
            lab.start_ready(node)
            poll(5, "the link is up", lambda: lab.link(other(node))["state"] == "up")
            traffic.expect_nothing_lost()
        _expect_no_tables(lab)


def ipv6_clients_lose_nothing(lab):
    _furnish_ipv6(lab)
    with Traffic(lab, VIP6) as traffic:
        poll(5, "traffic flows", lambda: lab.metric(
            "lb1", "tandem_listener_connections_total", listener="web6") > 100)
        for node in NODES:
            _switch(lab, node)
        traffic.expect_nothing_lost()
    _expect_no_tables(lab)


def _kill_in_the_middle(lab, victim):
    slow = Connection(timeout_seconds=10).request(SLOW_PATH)
    poll(2, "the slow request is in flight",
         lambda: lab.metric("lb1", "tandem_listener_connections_open", listener="web") >= 1)
    lab.ctl("lb1", "switchover")
    poll(2, "packets are passed on", lambda: all(_tables(lab, node) for node in NODES))
    poll(2, "lb2 is active", lambda: lab.active() == "lb2")
    lab.stop(victim)
    poll(3, f"{other(victim)} serves", try_get)
    _expect_no_tables(lab, seconds=4)
    lab.expect_one_holder(other(victim), 3)
    slow.close()


def a_killed_old_node_leaves_nothing(lab):
    _kill_in_the_middle(lab, "lb1")


def a_killed_new_node_leaves_nothing(lab):
    _kill_in_the_middle(lab, "lb2")


def without_the_link_connections_end_in_time(lab):
    slow = Connection(timeout_seconds=10).request("/delay/8000")
    lab.ctl("lb1", "switchover")
    poll(2, "lb2 is active", lambda: lab.active() == "lb2")
    for node in NODES:
        lab.filter(node, ("input", "tcp dport 7946 drop"), ("output", "tcp dport 7946 drop"))
    _expect_no_tables(lab, seconds=6)
    poll(2, "lb2 alone holds the VIP", lambda: lab.holders() == ["lb2"])
    expect(try_get(timeout_seconds=1), "lb2 does not serve")
    slow.close()
