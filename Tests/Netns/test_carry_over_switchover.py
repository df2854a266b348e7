# SPDX-License-Identifier: Apache-2.0
#
# Planned switchovers back and forth under clients that never connect twice: every connection goes
# to the other node and comes back, every byte of every answer is right, and what must not be
# executed twice is not.

import json
import os
import subprocess
import threading

from carried import LEDGER_POOL, Ledger
from client import Connection
from configuration import configuration
from lab import NODES, VIP, expect, other, poll
from namespace import PREFIX

VIP6 = "fd77::100"
CONFIGURATION = configuration(
    advertise_interval="1s", carry_over="requests", more_addresses=[VIP6], pools=LEDGER_POOL,
    listeners=(
        '  web6:\n    bind: "[::]:80"\n    carry_over: requests\n'
        "    routes:\n      - match: { path_prefix: /ledger/ }\n        pool: ledger\n"
        "      - pool: web\n"))
SWITCHOVERS = int(os.environ.get("TANDEM_SWITCHOVERS", "20"))
CLIENTS = int(os.environ.get("TANDEM_SWITCHOVER_CLIENTS", "50"))
# A segment that arrives while its connection is on its way is sent again by the client's kernel,
# after 200 ms and a round trip; the machine may be busy.
LATE_MILLISECONDS_MAX = 2_000


class Keepers:
    """The program keepers.py in the client's namespace."""

    def __init__(self, address=VIP, count=CLIENTS):
        self.process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{PREFIX}client", "python3",
             os.path.join(os.path.dirname(__file__), "keepers.py"), address, str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.count = int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def end(self):
        """Lets everybody end; returns what became of them."""
        output, _ = self.process.communicate(timeout=60)
        report = json.loads(output)
        print(f"         {json.dumps(report)}", flush=True)
        return report

    def expect_nothing_lost(self):
        report = self.end()
        text = json.dumps(report, indent=1)
        expect(report["lost"] == 0, f"connections were lost: {text}")
        expect(all(report["requests"].values()), f"a kind did nothing: {text}")
        expect(max(report["slowest_ms"].values()) < LATE_MILLISECONDS_MAX, f"late: {text}")
        return report


def _furnish_ipv6(lab):
    for number, member in enumerate(("lb1", "lb2", "client"), 1):
        lab.shell(member, "ip", "address", "replace", f"fd77::{number}/64", "dev", "eth0",
                  "nodad")


def _await_told(lab, count):
    """The active node has told the other one of so many connections."""
    node = lab.active()
    poll(10, lambda: f"{node} has told of {count} connections, now "
         f"{lab.metric(node, 'tandem_shadows_open')}",
         lambda: lab.metric(node, "tandem_shadows_open") >= count)


def _accepted(lab):
    return sum(
        lab.metric(node, "tandem_listener_connections_total", listener=listener)
        for node in NODES for listener in ("web", "web6"))


def _outcome(lab, outcome):
    return sum(
        lab.metric(node, "tandem_carried_connections_total", outcome=outcome) for node in NODES)


def _switch(lab):
    """A switchover away from the active node; returns what its status says it cost."""
    node = lab.active()
    done = lab.run(node, lab.binary, "switchover", timeout_seconds=40)
    expect(done.returncode == 0, f"exit {done.returncode}: {done.stdout}{done.stderr}")
    last = lab.status(node)["handover"]["last"]
    expect(last["connections_cut"] == 0, f"connections were cut: {done.stdout}")
    return last


def _back_and_forth(lab, address, times):
    spans = []
    with Ledger() as ledger, Keepers(address) as keepers:
        _await_told(lab, keepers.count)
        accepted = _accepted(lab)
        for number in range(times):
            last = _switch(lab)
            spans.append(last["duration_us"] / 1e3)
            expect(
                last["connections_moved"] >= keepers.count,
                f"switchover {number}: {last['connections_moved']} of {keepers.count} moved")
            _await_told(lab, keepers.count)
        expect(_accepted(lab) == accepted, "somebody connected again")
        report = keepers.expect_nothing_lost()
        twice = [name for name, count in ledger.seen.items() if count != 1]
        expect(not twice, f"executed more than once: {twice[:5]}")
        expect(len(ledger.seen) == report["posted"], f"{len(ledger.seen)} posts were executed")
    spans.sort()
    print(f"         {times} switchovers of {keepers.count} connections took "
          f"{spans[len(spans) // 2]:.0f} ms, at most {spans[-1]:.0f} ms", flush=True)
    for outcome in ("refused", "stranded", "superseded"):
        expect(_outcome(lab, outcome) == 0, f"{_outcome(lab, outcome)} were {outcome}")


def connections_go_back_and_forth(lab):
    _back_and_forth(lab, VIP, SWITCHOVERS)


def connections_go_back_and_forth_over_ipv6(lab):
    _furnish_ipv6(lab)
    _back_and_forth(lab, VIP6, max(4, SWITCHOVERS // 4))


def idle_connections_move_at_once(lab):
    idle = [Connection() for _ in range(200)]
    for connection in idle:
        connection.request("/before").response()
    _await_told(lab, len(idle))
    for turn in range(4):
        last = _switch(lab)
        expect(last["connections_moved"] == len(idle), f"moved: {last['connections_moved']}")
        expect(last["duration_us"] < 1_000_000, f"took {last['duration_us']} us")
        _await_told(lab, len(idle))
    for index, connection in enumerate(idle):
        body = connection.request(f"/after/{index}").response().text
        expect(body.strip().endswith(f"/after/{index}"), f"answered {body!r}")
        connection.close()


def a_request_in_flight_ends_where_it_began(lab):
    slow = Connection(timeout_seconds=10).request("/delay/1500")
    idle = Connection()
    idle.request("/before").response()
    _await_told(lab, 2)
    node = lab.active()
    done = {}
    thread = threading.Thread(target=lambda: done.update(last=_switch(lab)))
    thread.start()
    poll(2, "the other node is active", lambda: lab.active() == other(node))
    # The one that idles is there long before the other one.
    poll(1, "the idle connection has moved", lambda: lab.metric(
        other(node), "tandem_carried_connections_total", outcome="adopted") >= 1)
    expect(idle.request("/meanwhile").response().status == 200, "the moved one is not answered")
    expect(slow.response().status == 200, "the slow request is not answered")
    thread.join(20)
    expect(done["last"]["connections_moved"] == 2, f"{done['last']}")
    for connection in (slow, idle):
        expect(connection.request("/after").response().status == 200, "lost afterwards")
        connection.close()


def a_node_that_leaves_gives_its_connections_away(lab):
    with Keepers(count=20) as keepers, Ledger():
        _await_told(lab, keepers.count)
        node = lab.active()
        pid = lab.process_id(node)
        lab.signal(node, 15)
        poll(20, f"{node} has left", lambda: lab.process_id(node) != pid)
        poll(2, "the other node is active", lambda: lab.active() == other(node))
        keepers.expect_nothing_lost()
