# SPDX-License-Identifier: Apache-2.0
#
# Clients of an address that moves twice within a few hundred milliseconds, or leaves and comes back
# without having been anywhere: nobody notices. At adverts of 10 ms, which a busy machine is late
# for now and then.

import contextlib
import signal
import time

from carried import (
    Takeover, await_in_flight, await_known, close, expect_answers, expect_late_answers, keep)
from configuration import configuration
from lab import VIP, expect, other, pause, poll
from namespace import addresses

CONFIGURATION = configuration(advertise_interval="10ms", carry_over="requests")
CLIENTS = 60
WAITING = 20
ROUNDS = 4
SLOW_PATH = "/delay/700"
# From the thaw of the one node to the end of the other.
GAPS_SECONDS = (0.1, 0.15, 0.2, 0.12)
TAKEOVER_SECONDS = 2
# Adverts of 10 ms are missed after 32 to 36 ms.
LATE_SECONDS = 0.06


@contextlib.contextmanager
def _stopped(lab, node):
    lab.signal(node, signal.SIGSTOP)
    try:
        yield
    finally:
        lab.signal(node, signal.SIGCONT)


def _await_holder(node):
    poll(TAKEOVER_SECONDS, f"{node} has the address", lambda: VIP in addresses(node), every=0.002)


def _ask_slowly(lab):
    """Clients whose answers take longer than the two moves."""
    clients = keep(WAITING)
    await_known(lab, CLIENTS + WAITING)
    for client in clients:
        client.request(SLOW_PATH)
    await_in_flight(lab, WAITING)
    return clients


def _expect_all(takeover, clients, waiting):
    # Some say nothing from one takeover to the next.
    expect_answers(clients[::2])
    expect_late_answers(waiting)
    expect_answers(clients + waiting)
    takeover.expect_untouched(clients + waiting)


def _heal(lab, waiting):
    close(waiting)
    lab.script("heal")
    await_known(lab, CLIENTS)


def _moved_and_back(lab, fault):
    """The active node is stopped until it is replaced; soon after it goes on, its successor ends."""
    clients = keep(CLIENTS)
    for gap in GAPS_SECONDS[:ROUNDS]:
        waiting = _ask_slowly(lab)
        with Takeover(lab) as takeover:
            takeover.fault_ns = time.time_ns()
            with _stopped(lab, takeover.old):
                _await_holder(takeover.new)
            pause(gap)
            lab.kill(fault, takeover.new)
            _await_holder(takeover.old)
            _expect_all(takeover, clients, waiting)
        _heal(lab, waiting)
    close(clients)


def clients_survive_a_crash_soon_after_a_takeover(lab):
    _moved_and_back(lab, "crash")


def clients_survive_a_power_loss_soon_after_a_takeover(lab):
    _moved_and_back(lab, "poweroff")


def clients_survive_an_address_that_goes_to_and_fro(lab):
    """Each node in turn is stopped until the other one has replaced it."""
    clients = keep(CLIENTS)
    waiting = _ask_slowly(lab)
    with Takeover(lab) as takeover:
        takeover.fault_ns = time.time_ns()
        node = takeover.old
        for _ in range(ROUNDS):
            with _stopped(lab, node):
                node = other(node)
                _await_holder(node)
            # Long enough to be asked and answered, not to forget.
            pause(0.4)
        expect_answers(clients)
        expect_late_answers(waiting)
        expect_answers(clients + waiting)
        takeover.expect_untouched(clients + waiting)
    close(clients + waiting)


def clients_of_a_node_alone_survive_that_it_was_late(lab):
    """It gives the address up, because it cannot know; nobody takes it, so all goes on."""
    clients = keep(CLIENTS)
    for _ in range(ROUNDS):
        waiting = _ask_slowly(lab)
        with Takeover(lab) as takeover:
            takeover.fault_ns = time.time_ns()
            with _stopped(lab, takeover.new):
                pause(0.2)
                late = lab.metric(takeover.old, "tandem_vrrp_transitions_total")
                with _stopped(lab, takeover.old):
                    pause(LATE_SECONDS)
                poll(TAKEOVER_SECONDS, "it gave the address up and took it again",
                     lambda: lab.metric(takeover.old, "tandem_vrrp_transitions_total") > late + 1)
                _await_holder(takeover.old)
                _expect_all(takeover, clients, waiting)
        _heal(lab, waiting)
    close(clients)
