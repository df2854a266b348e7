# SPDX-License-Identifier: Apache-2.0
#
# Addresses of both families in one virtual router: they are always on one node, and clients of
# either are told when that node ends without a word.

import time

from client import Connection, try_get
from configuration import configuration
from lab import NODES, expect, other, poll, throughout

VIP6 = "fd77::100"
KEEP_ALIVE_CLIENTS = 30
KNOWN = "tandem_replication_peer_entries"
CONFIGURATION = configuration(
    advertise_interval="100ms",
    listeners="  web6:\n    bind: \"[::]:80\"\n    routes:\n      - pool: web\n",
).replace("addresses: [10.77.0.100]", f"addresses: [10.77.0.100, \"{VIP6}\"]")


def _furnish(lab):
    """IPv6 addresses for the members, and both nodes ready to serve over it."""
    for number, member in enumerate((*NODES, "client"), 1):
        lab.shell(
            member, "ip", "address", "replace", f"fd77::{number}/64", "dev", "eth0", "nodad")
    poll(5, "the IPv6 address is served", _serves)
    poll(5, "the backup is in service", lambda: lab.is_backup(other(lab.active())))


def _serves():
    try:
        client = Connection(VIP6, timeout_seconds=0.5)
        status = client.request().response().status
        client.close()
        return status == 200
    except OSError:
        return False


def _holders(lab):
    return [node for node in NODES if VIP6 in lab.shell(node, "ip", "-6", "address")]


def both_families_are_on_one_node(lab):
    _furnish(lab)
    active = lab.active()
    expect(_holders(lab) == [active], f"IPv6 is on {_holders(lab)}")
    expect(lab.holders() == [active], f"IPv4 is on {lab.holders()}")
    lab.ctl(active, "switchover")
    new = other(active)
    poll(10, f"{new} alone holds IPv6", lambda: _holders(lab) == [new])
    poll(10, f"{new} alone holds IPv4", lambda: lab.holders() == [new])
    poll(3, f"{new} serves over IPv6", _serves)


def a_dead_process_takes_both_families_with_it(lab):
    _furnish(lab)
    _, dead = lab.kill("crash")
    new = other(dead)
    poll(3, f"{new} serves over IPv4", try_get)
    poll(3, f"{new} serves over IPv6", _serves)
    poll(1, f"{new} alone holds IPv6", lambda: _holders(lab) == [new])
    throughout(0.3, f"{new} alone holds IPv6", lambda: _holders(lab) == [new])


def _keep_alive_clients(lab):
    clients = [Connection(VIP6, timeout_seconds=3) for _ in range(KEEP_ALIVE_CLIENTS)]
    for client in clients:
        expect(client.request().response().status == 200, "a client is not served")
    backup = other(lab.active())
    poll(3, f"{backup} knows the clients",
         lambda: lab.metric(backup, KNOWN) >= KEEP_ALIVE_CLIENTS)
    return clients


def _expect_reset(clients, fault_at, seconds, ended_max=0):
    """Every client hears of the end in time; `ended_max` of them may hear an orderly one."""
    ended = 0
    for index, client in enumerate(clients):
        try:
            client.rest()
        except ConnectionResetError:
            client.close()
            continue
        except TimeoutError:
            expect(False, f"client {index} hangs")
        ended += 1
        client.close()
    expect(ended <= ended_max, f"{ended} clients were ended in order by a dead node")
    told_after = time.time() - fault_at
    expect(told_after < seconds, f"the last client heard after {told_after:.2f} s")


def no_ipv6_client_of_a_killed_active_hangs(lab):
    _furnish(lab)
    clients = _keep_alive_clients(lab)
    for client in clients[::2]:
        client.request("/delay/5000")
    fault_at, _ = lab.kill("crash")
    # The kernel may let go of a socket before the rules that keep its end from being heard.
    _expect_reset(clients, fault_at, 1.5, ended_max=KEEP_ALIVE_CLIENTS // 2)


def no_ipv6_client_of_a_node_without_power_hangs(lab):
    _furnish(lab)
    clients = _keep_alive_clients(lab)
    fault_at, _ = lab.kill("poweroff")
    _expect_reset(clients, fault_at, 3)
