# SPDX-License-Identifier: Apache-2.0
#
# Carried connections under clients that others wrote: curl, a pool of urllib3, wrk, and WebSockets,
# which cannot be carried and are told so at once.

import asyncio
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

from carried import Takeover, await_known, await_told_of
from configuration import configuration
from lab import ADDRESS, VIP, expect, pause, poll
from namespace import PREFIX, inside

# Where Debian's packages are, whichever python3 comes first in PATH.
sys.path.append("/usr/lib/python3/dist-packages")
try:
    import urllib3
    import websockets
    MISSING = None if shutil.which("wrk") else "wrk is not installed"
except ImportError as error:
    MISSING = f"python3-{error.name} is not installed"

WEBSOCKET_PORT = 9300
CONFIGURATION = configuration(
    advertise_interval="100ms", carry_over="requests",
    pools={"ws": [f"{ADDRESS['be2']}:{WEBSOCKET_PORT}"]})
POOL_CLIENTS = 8
TUNNELS = 20
WRK_CONNECTIONS = 50


def _start(*command):
    return subprocess.Popen(
        ["nsenter", f"--net=/run/netns/{PREFIX}client", *map(str, command)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _finish(process, seconds=30):
    try:
        output, _ = process.communicate(timeout=seconds)
    finally:
        process.kill()
        process.wait()
    return output


def _served(lab, node):
    return lab.metric(node, "tandem_listener_connections_total", listener="web")


# curl

def _curl_goes_on(lab, fault, url, count, *options):
    process = _start(
        "curl", "--silent", "--show-error", "--output", "/dev/null", "--max-time", "20",
        "--write-out", "%{http_code} after %{num_connects} connects\n", *options, url)
    with Takeover(lab) as takeover:
        poll(5, "curl has its connection", lambda: lab.metric(
            takeover.old, "tandem_listener_connections_open", listener="web") == 1)
        await_known(lab, 1)
        # In the middle of what it has to do.
        pause(0.7)
        takeover.inject(fault)
        output = _finish(process)
    lines = output.splitlines()
    expect(process.returncode == 0, f"curl ended with {process.returncode}: {output}")
    expect(lines[0] == "200 after 1 connects", f"the first was {lines[0]}")
    expect(
        lines[1:] == ["200 after 0 connects"] * (count - 1), f"{count} transfers: {output}")


def curl_keeps_its_connection_between_requests(lab):
    for fault in ("crash", "poweroff", "freeze"):
        _curl_goes_on(lab, fault, f"http://{VIP}/n/[1-30]", 30, "--rate", "20/s")
        lab.script("heal")


def curl_keeps_its_connection_within_requests(lab):
    for fault in ("crash", "poweroff", "freeze"):
        _curl_goes_on(
            lab, fault, f"http://{VIP}/delay/250?[1-8]", 8)
        lab.script("heal")


# A pool of connections

class _Pool:
    """Threads that share the connections of one urllib3 pool; nothing is tried twice."""

    def __init__(self):
        self.pool = urllib3.HTTPConnectionPool(
            VIP, maxsize=POOL_CLIENTS, block=True, retries=False, timeout=10)
        self.ends = threading.Event()
        self.failures, self.answers, self.slowest = [], 0, 0.0
        self.threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True)
            for number in range(POOL_CLIENTS)]

    def _run(self, number):
        turn = 0
        with inside("client"):
            while not self.ends.is_set():
                turn += 1
                # All at once at first, so that the pool has all of its connections.
                path = f"/pool/{number}/{turn}" if turn > 1 else "/delay/200"
                began = time.monotonic()
                try:
                    response = self.pool.request("GET", path)
                    is_right = turn == 1 or response.data.endswith(path.encode() + b"\n")
                    if response.status != 200 or not is_right:
                        self.failures.append((path, response.status, response.data[:99]))
                except urllib3.exceptions.HTTPError as error:
                    self.failures.append((path, error))
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.answers += 1
                # Sometimes all connections are in use, sometimes none.
                pause(0.002 * (turn % 8))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        for thread in self.threads:
            thread.join(15)
        self.pool.close()


def _pool_goes_on(lab, fault):
    with _Pool() as pool:
        poll(5, "the pool is in use", lambda: pool.answers > 20 * POOL_CLIENTS)
        await_known(lab, POOL_CLIENTS // 2)
        before, connections = pool.answers, pool.pool.num_connections
        expect(connections == POOL_CLIENTS, f"the pool has {connections} connections")
        with Takeover(lab) as takeover:
            takeover.inject(fault)
            poll(5, "the pool goes on", lambda: pool.answers > before + 20 * POOL_CLIENTS)
        lab.script("heal")
        after = pool.pool.num_connections
    expect(not pool.failures, f"{len(pool.failures)} failed, first {pool.failures[:3]}")
    expect(after == connections, f"{connections} connections became {after}")
    expect(pool.slowest < 2, f"the slowest took {pool.slowest:.2f} s")


def a_pool_of_urllib3_goes_on_after_a_crash(lab):
    _pool_goes_on(lab, "crash")


def a_pool_of_urllib3_goes_on_after_a_power_loss(lab):
    _pool_goes_on(lab, "poweroff")


def a_pool_of_urllib3_goes_on_after_a_freeze(lab):
    _pool_goes_on(lab, "freeze")


# wrk

def _wrk_sees_nothing(lab, fault):
    with Takeover(lab) as takeover:
        before = _served(lab, takeover.old)
        process = _start(
            "wrk", "--threads", 1, "--connections", WRK_CONNECTIONS, "--duration", "3s",
            "--latency", f"http://{VIP}/")
        poll(5, "wrk is connected",
             lambda: _served(lab, takeover.old) >= before + WRK_CONNECTIONS)
        await_known(lab, WRK_CONNECTIONS)
        pause(0.5)
        takeover.inject(fault)
        output = _finish(process)
        adopted = _served(lab, takeover.new)
    expect(process.returncode == 0, f"wrk ended with {process.returncode}: {output}")
    requests = re.search(r"(\d+) requests in", output)
    expect(requests and int(requests[1]) > 1_000, f"wrk did little: {output}")
    # It prints these lines only when there were some.
    expect("Socket errors" not in output and "Non-2xx" not in output, output)
    print(f"         {fault}: {requests[0]} 3 s on {WRK_CONNECTIONS} connections, "
          f"{adopted:.0f} connections at the new node", flush=True)


def wrk_sees_no_crash(lab):
    _wrk_sees_nothing(lab, "crash")


def wrk_sees_no_power_loss(lab):
    _wrk_sees_nothing(lab, "poweroff")


def wrk_sees_no_freeze(lab):
    _wrk_sees_nothing(lab, "freeze")


# WebSockets

class _Echo:
    """A server in be2's network that sends everything back."""

    def __init__(self):
        with inside("be2"):
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((ADDRESS["be2"], WEBSOCKET_PORT))
        self.loop = asyncio.new_event_loop()
        self.is_ready = threading.Event()
        self.thread = threading.Thread(
            target=self.loop.run_until_complete, args=(self._serve(),), daemon=True)

    async def _serve(self):
        self.over = asyncio.Event()

        async def talk(connection, path=None):
            try:
                async for message in connection:
                    await connection.send(message)
            except websockets.ConnectionClosed:
                pass
        async with websockets.serve(talk, sock=self.socket, ping_interval=None, close_timeout=0.1):
            self.is_ready.set()
            await self.over.wait()

    def __enter__(self):
        self.thread.start()
        expect(self.is_ready.wait(5), "the server does not start")
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join(5)


async def _tunnel():
    with inside("client"):
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.settimeout(5)
    connection.connect((VIP, 80))
    connection.setblocking(False)
    client = await websockets.connect(
        "ws://lab/ws/", sock=connection, ping_interval=None, compression=None)
    await client.send("hello")
    expect(await client.recv() == "hello", "no echo")
    return client


def _tunnels_are_told(lab, fault):
    """Both ends of a tunnel are idle, and the client learns at once that it is no more."""
    async def hear_the_end(client):
        try:
            message = await client.recv()
        except websockets.ConnectionClosed as ending:
            expect(ending.rcvd is None, f"a dead node said goodbye: {ending}")
            return
        expect(False, f"nobody sent {message!r}")

    async def talk():
        clients = [await _tunnel() for _ in range(TUNNELS)]
        ports = [
            client.transport.get_extra_info("sockname")[1] for client in clients]
        await_told_of(lab, TUNNELS)
        endings = [asyncio.ensure_future(hear_the_end(client)) for client in clients]
        with Takeover(lab) as takeover:
            await asyncio.get_running_loop().run_in_executor(None, takeover.inject, fault)
            await asyncio.wait_for(asyncio.gather(*endings), 3)
            takeover.expect_told(ports)

    with _Echo():
        asyncio.run(asyncio.wait_for(talk(), 30))


def websockets_are_told_of_a_crash_at_once(lab):
    _tunnels_are_told(lab, "crash")


def websockets_are_told_of_a_power_loss_at_once(lab):
    _tunnels_are_told(lab, "poweroff")


def websockets_are_told_of_a_freeze_at_once(lab):
    _tunnels_are_told(lab, "freeze")
