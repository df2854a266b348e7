# SPDX-License-Identifier: Apache-2.0
#
# A frozen Active that wakes must give up before it says anything, whichever silence its successor
# listened to: one virtual router of each mode, frozen and thawed to and fro.

import signal

from configuration import configuration
from lab import expect, other, poll, throughout
from namespace import addresses

VIPS = {51: "10.77.0.100", 52: "10.77.0.101"}
CONFIGURATION = configuration(
    advertise_interval="100ms",
    more_routers="""\
      takeover: safe
    - id: 52
      addresses: [10.77.0.101]
      advertise_interval: 100ms
      takeover: fast
""")
ROUNDS = 4
# Active_Down_Interval is 322 or 361 ms at 100 ms adverts; the rest is for a busy machine.
TAKEOVER_SECONDS = 2


def _states(lab, node):
    return [router["state"] for router in lab.status(node)["virtual_routers"]]


def a_thawed_active_gives_up_unheard_in_both_modes(lab):
    frozen = "lb1"
    poll(5, "lb1 is active for both", lambda: _states(lab, "lb1") == ["active"] * 2)
    for round_number in range(ROUNDS):
        successor = other(frozen)
        lab.signal(frozen, signal.SIGSTOP)
        try:
            poll(TAKEOVER_SECONDS, f"{successor} holds both, round {round_number}",
                 lambda: all(vip in addresses(successor) for vip in VIPS.values()))
            before = lab.metric(successor, "tandem_vrrp_transitions_total")
        finally:
            lab.signal(frozen, signal.SIGCONT)
        throughout(1, f"{successor} stepped down for a thawed node, round {round_number}",
                   lambda: _states(lab, successor) == ["active"] * 2)
        expect(lab.metric(successor, "tandem_vrrp_transitions_total") == before,
               f"{successor} flapped, round {round_number}")
        routers = lab.status(frozen)["virtual_routers"]
        for router in routers:
            expect((router["state"], router["cause"]) == ("backup", "overslept"),
                   f"{frozen} is {router['state']} because of {router['cause']}")
        expect(lab.metric(frozen, "tandem_pair_timer_late_total", over="advertise_interval") > 0,
               f"{frozen} did not notice that it was late")
        frozen = successor
