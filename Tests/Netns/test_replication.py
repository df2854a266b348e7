# SPDX-License-Identifier: Apache-2.0
#
# Both nodes know what they have of each other, and say so truly, while connections break, a fifth
# of the packets is lost, and the other node stands still.

import signal

from configuration import configuration
from lab import LINK_PORT, NODES, expect, other, pause, poll, throughout

STREAM_PORT = LINK_PORT + 1
STALL_SECONDS = 10

POOLS = """\
  sessions:
    balance: round_robin
    sticky: { mode: learn, cookie: session }
    backends:
      s1: { address: 10.77.0.21:8080 }
      s2: { address: 10.77.0.22:8080 }
"""
CONFIGURATION = configuration(more_pools=POOLS)


def _number(lab, node, name):
    return lab.metric(node, f"tandem_replication_{name}")


def _is_whole(lab, node):
    return (_number(lab, node, "in_sync") == 1 and _number(lab, node, "peer_in_sync") == 1
            and _number(lab, node, "missing_entries") == 0)


def _await_sync(lab, seconds=15):
    for node in NODES:
        poll(seconds, lambda: f"{node} has everything and so has the other: "
             + str({name: _number(lab, node, name) for name in (
                 "sending", "receiving", "in_sync", "peer_in_sync", "missing_entries",
                 "lag_entries", "lag_seconds")}), lambda: _is_whole(lab, node))


def both_nodes_say_that_they_have_everything(lab):
    _await_sync(lab)
    for node in NODES:
        expect(_number(lab, node, "lag_entries") == 0, f"{node} says that it lags")
        expect(_number(lab, node, "state_snapshots_received_total") >= 1, f"{node} was told nothing")
        poll(3, f"{node} has channels of the other's workers",
             lambda: _number(lab, node, "shadow_channels_in") >= 1)


def a_broken_connection_goes_on_where_it_was(lab):
    _await_sync(lab)
    before = {node: (_number(lab, node, "resumptions_total"),
                     _number(lab, node, "state_snapshots_sent_total")) for node in NODES}
    for node in NODES:
        lab.shell(node, "ss", "-K", "-t", "dport", "=", f":{STREAM_PORT}")
    for node in NODES:
        poll(8, lambda: f"{node} went on: {_number(lab, node, 'resumptions_total')}",
             lambda: _number(lab, node, "resumptions_total") > before[node][0])
    _await_sync(lab)
    for node in NODES:
        sent = _number(lab, node, "state_snapshots_sent_total")
        expect(sent == before[node][1], f"{node} told everything anew")


def a_node_that_hears_nothing_does_not_pretend(lab):
    _await_sync(lab)
    rules = [("input", f"tcp dport {STREAM_PORT} drop"), ("input", f"tcp sport {STREAM_PORT} drop")]
    lab.filter("lb1", *rules)
    for node in NODES:
        poll(8, f"{node} admits that it is not in sync",
             lambda: _number(lab, node, "in_sync") == 0)
    throughout(1, "in sync without a connection",
               lambda: all(_number(lab, node, "in_sync") == 0 for node in NODES), every=0.1)
    lab.unfilter("lb1")
    _await_sync(lab)


def a_fifth_of_the_packets_lost_delays_and_loses_nothing(lab):
    _await_sync(lab)
    for node in NODES:
        lab.filter(node, ("input", f"tcp dport {STREAM_PORT} numgen random mod 5 0 drop"),
                   ("input", f"tcp sport {STREAM_PORT} numgen random mod 5 0 drop"))
    pause(5)
    for node in NODES:
        lab.unfilter(node)
    _await_sync(lab)
    for node in NODES:
        expect(_number(lab, node, "mismatches_total") == 0, f"{node} counted other clients")


def a_stopped_peer_is_caught_up_with(lab):
    _await_sync(lab)
    active = lab.active()
    stopped = other(active)
    lab.signal(stopped, signal.SIGSTOP)
    try:
        pause(STALL_SECONDS)
        poll(3, f"{active} admits that it is not in sync",
             lambda: _number(lab, active, "in_sync") == 0)
    finally:
        lab.signal(stopped, signal.SIGCONT)
    _await_sync(lab)
    expect(lab.active() == active, "the addresses moved")


def a_restarted_node_learns_everything(lab):
    _await_sync(lab)
    lab.kill("crash", "lb2")
    poll(5, "lb1 admits that it is alone", lambda: _number(lab, "lb1", "in_sync") == 0)
    lab.restore()
    _await_sync(lab)
