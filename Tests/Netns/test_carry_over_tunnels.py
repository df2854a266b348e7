# SPDX-License-Identifier: Apache-2.0
#
# WebSockets that go on at the other node, both connections of each: those at rest are not ended
# for either end, byte by byte; those with bytes on their way are reset at both ends at once.

import asyncio
import socket

from carried import Takeover, await_known
from configuration import configuration
from frames import RST, Sniffer
from lab import ADDRESS, VIP, expect, other, pause, poll
from namespace import inside
# The runner skips a topic that says MISSING.
from test_websocket import MISSING, websockets  # noqa: F401
from tunnels import (
    BACKEND, BACKEND6, BACKEND_PORT, Backend, Talk, Tunnel, close_all, endings, exchange_all,
    expect_reset)

VIP6 = "fd77::100"
PORT, PLAIN_PORT = 8090, 8091
CONFIGURATION = configuration(
    advertise_interval="100ms", more_addresses=[VIP6],
    listeners=(
        f"  sockets:\n    bind: 0.0.0.0:{PORT}\n    carry_over: idle\n"
        "    routes:\n      - pool: moving\n"
        f'  sockets6:\n    bind: "[::]:{PORT}"\n    carry_over: requests\n'
        "    routes:\n      - pool: moving6\n"
        f"  plain:\n    bind: 0.0.0.0:{PLAIN_PORT}\n    carry_over: idle\n"
        "    routes:\n      - pool: plain\n"),
    more_pools=(
        f"  moving:\n    tunnel_source: {VIP}\n    backends:\n"
        f"      one: {{ address: {ADDRESS[BACKEND]}:{BACKEND_PORT} }}\n"
        f'  moving6:\n    tunnel_source: "{VIP6}"\n    backends:\n'
        f'      one: {{ address: "[{BACKEND6}]:{BACKEND_PORT}" }}\n'
        "  plain:\n    backends:\n"
        f"      one: {{ address: {ADDRESS[BACKEND]}:{BACKEND_PORT} }}\n"))
TUNNELS = 20
# Whoever cannot be carried over is told so within this after the address moved.
TOLD_SECONDS_MAX = 0.1
SWITCHOVERS = 4


def _tunnels(lab, backend, count=TUNNELS, port=PORT, address=VIP):
    """Some that have exchanged bytes, some that have not."""
    tunnels = [Tunnel(backend, address, port) for _ in range(count)]
    exchange_all(tunnels[::2])
    await_known(lab, count)
    # What a turn tells leaves at its end.
    pause(0.1)
    return tunnels


def _in_flight(lab, node, pool="moving"):
    return sum(
        backend["requests_in_flight"] for entry in lab.status(node)["pools"]
        if entry["name"] == pool for backend in entry["backends"])


def _go_on(lab, fault):
    with Backend() as backend, Sniffer(BACKEND) as wire:
        tunnels = _tunnels(lab, backend)
        sources = {tunnel.source for tunnel in tunnels}
        expect({source[0] for source in sources} == {VIP}, f"they come from {sources}")
        with Takeover(lab) as takeover:
            takeover.inject(fault)
            exchange_all(tunnels)
            poll(2, "all count on the new node", lambda: lab.metric(
                takeover.new, "tandem_listener_tunnels_open", listener="sockets") == len(tunnels))
            expect(_in_flight(lab, takeover.new) == len(tunnels), "not all are in flight")
            # The node that comes back, or wakes up, has nothing to say to either end.
            lab.script("heal")
            exchange_all(tunnels)
            takeover.expect_untouched({tunnel.port for tunnel in tunnels})
            told = endings(wire, sources, takeover.fault_ns)
            expect(not told, f"{len(told)} backends' connections were ended, first {told[:1]}")
        close_all(tunnels)
        poll(2, "no tunnel stays open", lambda: lab.metric(
            takeover.new, "tandem_listener_tunnels_open", listener="sockets") == 0)
        poll(2, "nothing stays in flight", lambda: _in_flight(lab, takeover.new) == 0)


def idle_tunnels_go_on_after_a_crash(lab):
    _go_on(lab, "crash")


def idle_tunnels_go_on_after_a_power_loss(lab):
    _go_on(lab, "poweroff")


def idle_tunnels_go_on_after_a_freeze(lab):
    _go_on(lab, "freeze")


def idle_tunnels_go_on_over_ipv6(lab):
    for number, member in enumerate(("lb1", "lb2", "client"), 1):
        lab.shell(member, "ip", "address", "replace", f"fd77::{number}/64", "dev", "eth0", "nodad")
    lab.shell(BACKEND, "ip", "address", "replace", f"{BACKEND6}/64", "dev", "eth0", "nodad")
    with Backend(BACKEND6) as backend, Sniffer(BACKEND) as wire:
        tunnels = _tunnels(lab, backend, address=VIP6)
        sources = {tunnel.source for tunnel in tunnels}
        expect({source[0] for source in sources} == {VIP6}, f"they come from {sources}")
        for fault in ("crash", "poweroff"):
            with Takeover(lab) as takeover:
                takeover.inject(fault)
                exchange_all(tunnels)
                lab.script("heal")
                exchange_all(tunnels)
                told = endings(wire, sources, takeover.fault_ns)
                expect(not told, f"{len(told)} backends' connections were ended, first {told[:1]}")
            await_known(lab, len(tunnels))
            pause(0.1)
        close_all(tunnels)


def tunnels_go_on_from_node_to_node(lab):
    """Carried tunnels are carried again, with whatever was said meanwhile."""
    with Backend() as backend:
        tunnels = _tunnels(lab, backend)
        for round_, fault in enumerate(("crash", "freeze", "poweroff", "crash")):
            with Takeover(lab) as takeover:
                takeover.inject(fault)
                # Some say nothing from one takeover to the next.
                exchange_all(tunnels[round_ % 2::2], b" round %d" % round_)
                lab.script("heal")
                takeover.expect_untouched({tunnel.port for tunnel in tunnels})
            await_known(lab, len(tunnels))
            pause(0.1)
        exchange_all(tunnels)
        close_all(tunnels)


def tunnels_move_at_planned_switchovers(lab):
    with Backend() as backend, Sniffer(BACKEND) as wire, Sniffer("client") as near:
        tunnels = _tunnels(lab, backend)
        sources = {tunnel.source for tunnel in tunnels}
        for round_ in range(SWITCHOVERS):
            node = lab.active()
            await_known(lab, len(tunnels))
            done = lab.run(node, lab.binary, "switchover", timeout_seconds=40)
            expect(done.returncode == 0, f"switchover: {done.stdout}{done.stderr}")
            poll(5, "the other node is active", lambda: lab.active() == other(node))
            exchange_all(tunnels[round_ % 2::2], b" round %d" % round_)
            poll(5, "all are at the new node", lambda: lab.metric(
                other(node), "tandem_listener_tunnels_open", listener="sockets") == len(tunnels))
            expect(lab.metric(
                node, "tandem_listener_tunnels_open", listener="sockets") == 0, "some stayed")
        exchange_all(tunnels)
        told = endings(wire, sources, 0) + [
            frame for frame in endings(near, {(VIP, PORT)}, 0)]
        expect(not told, f"{len(told)} were ended, first {told[:1]}")
        close_all(tunnels)


def tunnels_that_talk_move_too(lab):
    """Between two messages nothing is on its way: each goes then, and nobody loses a byte."""
    with Backend() as backend:
        tunnels = _tunnels(lab, backend, 10)
        # Longer than a kernel waits with an acknowledgement.
        talks = [Talk(tunnel, rest_seconds=0.1) for tunnel in tunnels]
        for _ in range(SWITCHOVERS):
            node = lab.active()
            await_known(lab, len(tunnels))
            done = lab.run(node, lab.binary, "switchover", timeout_seconds=40)
            expect(done.returncode == 0, f"switchover: {done.stdout}{done.stderr}")
            poll(5, "the other node is active", lambda: lab.active() == other(node))
            rounds = [talk.rounds for talk in talks]
            poll(5, "all talk on", lambda: all(
                talk.rounds > before + 3 for talk, before in zip(talks, rounds)))
        faults = [fault for fault in (talk.end() for talk in talks) if fault is not None]
        expect(not faults, f"{len(faults)} of {len(talks)} were lost, first {faults[:1]}")
        exchange_all(tunnels)
        close_all(tunnels)


# What cannot go on

def tunnels_with_bytes_on_their_way_are_reset_at_both_ends(lab):
    with Backend() as backend, Sniffer(BACKEND) as wire:
        tunnels = _tunnels(lab, backend, 10)
        sources = {tunnel.source for tunnel in tunnels}
        # More than the buffers between both ends hold.
        for tunnel in tunnels:
            tunnel.near.settimeout(0.2)
            try:
                while True:
                    tunnel.near.send(bytes(1 << 16))
            except TimeoutError:
                pass
        with Takeover(lab) as takeover:
            takeover.inject("crash")
            expect_reset([tunnel.near for tunnel in tunnels], "client")
            expect_reset([tunnel.far for tunnel in tunnels], "backend")
            takeover.expect_told({tunnel.port for tunnel in tunnels})
            told = endings(wire, sources, takeover.fault_ns)
            expect({frame.ports[0] for frame in told} == {port for _, port in sources},
                   f"{len(told)} of {len(sources)} backends were told")
            first = {}
            for frame in told:
                first.setdefault(frame.ports[0], frame.wall_ns)
            seconds = (max(first.values()) - takeover.moved_ns()) / 1e9
            expect(seconds < TOLD_SECONDS_MAX, f"the last backend was told after {seconds:.3f} s")
        close_all(tunnels)


def tunnels_that_talk_lose_no_byte(lab):
    """They go on or are reset, and no byte is missing or doubled before that."""
    with Backend() as backend, Sniffer(BACKEND) as wire:
        tunnels = _tunnels(lab, backend, 10)
        talks = [Talk(tunnel) for tunnel in tunnels]
        poll(5, "all talk", lambda: all(talk.rounds > 10 for talk in talks))
        with Takeover(lab) as takeover:
            takeover.inject("crash")
            pause(0.5)
            faults = [talk.end() for talk in talks]
            for fault in faults:
                expect(fault is None or isinstance(fault, ConnectionResetError), f"{fault!r}")
            lost = [tunnel for tunnel, fault in zip(tunnels, faults) if fault is not None]
            told = [
                takeover.endings({tunnel.port for tunnel in lost}),
                endings(wire, {tunnel.source for tunnel in lost}, takeover.fault_ns)]
            for frames in told:
                ends = [frame for frame in frames if not frame.flags & RST]
                expect(not ends, f"an end was told that all was said: {ends[:1]}")
        expect({frame.ports[1] for frame in told[0]} == {tunnel.port for tunnel in lost},
               "not all clients were told")
        expect({frame.ports[0] for frame in told[1]} == {tunnel.source[1] for tunnel in lost},
               "not all backends were told")
        exchange_all([tunnel for tunnel in tunnels if tunnel not in lost])
        close_all(tunnels)


def tunnels_without_a_source_that_moves_are_reset(lab):
    with Backend() as backend:
        tunnels = [Tunnel(backend, port=PLAIN_PORT) for _ in range(10)]
        expect(all(tunnel.source[0] == ADDRESS["lb1"] for tunnel in tunnels), "a moving source")
        await_known(lab, len(tunnels))
        with Takeover(lab) as takeover:
            takeover.inject("crash")
            expect_reset([tunnel.near for tunnel in tunnels], "client")
            takeover.expect_told({tunnel.port for tunnel in tunnels})
        close_all(tunnels)


def a_node_without_the_address_serves_tunnels_of_its_own(lab):
    """The backup's own address: the tunnel comes from it, too, and works."""
    poll(40, "lb2 does not hold the address", lambda: not lab.holds("lb2"))
    with Backend() as backend:
        tunnel = Tunnel(backend, ADDRESS["lb2"], PORT)
        expect(tunnel.source[0] == ADDRESS["lb2"], f"it comes from {tunnel.source}")
        tunnel.exchange()
        tunnel.close()


# A client and a server that were written by others

def websockets_of_debian_go_on(lab):
    with inside(BACKEND):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((ADDRESS[BACKEND], BACKEND_PORT))

    async def echo(connection, path=None):
        try:
            async for message in connection:
                await connection.send(message)
        except websockets.ConnectionClosed:
            pass

    async def connect():
        with inside("client"):
            near = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        near.settimeout(5)
        near.connect((VIP, PORT))
        near.setblocking(False)
        return await websockets.connect("ws://lab/", sock=near, ping_interval=None)

    async def talk():
        async with websockets.serve(echo, sock=listener, ping_interval=None):
            clients = [await connect() for _ in range(10)]

            async def speak(text):
                for index, client in enumerate(clients):
                    await client.send(f"{text} {index}")
                    answer = await asyncio.wait_for(client.recv(), 5)
                    expect(answer == f"{text} {index}", f"{answer!r}")

            await speak("before")
            loop = asyncio.get_running_loop()
            for fault in ("crash", "poweroff", "freeze"):
                def fail():
                    await_known(lab, len(clients))
                    pause(0.1)
                    with Takeover(lab) as takeover:
                        takeover.inject(fault)
                await loop.run_in_executor(None, fail)
                await speak(f"after {fault}")
                await loop.run_in_executor(None, lab.script, "heal")
                await speak("healed")
            for client in clients:
                await client.close(4000, "done")

    asyncio.run(asyncio.wait_for(talk(), 90))
