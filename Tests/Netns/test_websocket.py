# SPDX-License-Identifier: Apache-2.0
#
# WebSockets through the pair, between a client and a server that were written by others: Debian's
# python3-websockets on both ends.

import asyncio
import http
import os
import socket
import sys
import threading

from configuration import configuration
from lab import ADDRESS, VIP, expect, poll
from namespace import inside

# Where Debian's packages are, whichever python3 comes first in PATH.
sys.path.append("/usr/lib/python3/dist-packages")
try:
    import websockets
    MISSING = None
except ImportError:
    MISSING = "python3-websockets is not installed"

PORT = 9300
CONFIGURATION = configuration(pools={"ws": [f"{ADDRESS['be2']}:{PORT}"]})
BIG_BYTES = 8 << 20


class _Server:
    """A server in be2's network, on a loop and a thread of its own."""

    def __init__(self):
        with inside("be2"):
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((ADDRESS["be2"], PORT))
        self.heads = []
        self.close_codes = []
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        asyncio.set_event_loop(self.loop)
        # Version 10.4 complains when it stops soon after a handshake that it refused.
        self.loop.set_exception_handler(lambda *_: None)
        self.loop.run_until_complete(self._serve())

    async def _serve(self):
        self.over = asyncio.Event()
        async with websockets.serve(
                self._talk, sock=self.socket, max_size=2 * BIG_BYTES,
                process_request=self._admit):
            self.ready.set()
            await self.over.wait()

    async def _admit(self, path, headers):
        self.heads.append((path, headers))
        if path.endswith("/refused"):
            return http.HTTPStatus.FORBIDDEN, [("X-Reason", "no")], b"not you\n"
        return None

    async def _talk(self, connection, path=None):
        try:
            async for message in connection:
                if message == "close me":
                    await connection.close(4001, "as you wish")
                elif message == "fragments":
                    await connection.send(part for part in ("one ", "two ", "three"))
                else:
                    await connection.send(message)
        finally:
            self.close_codes.append(connection.close_code)

    def __enter__(self):
        self.thread.start()
        expect(self.ready.wait(5), "the server does not start")
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.over.set)
        self.thread.join(5)


def _socket():
    with inside("client"):
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.settimeout(5)
    connection.connect((VIP, 80))
    connection.setblocking(False)
    return connection


def _connect(path="/ws/", **options):
    return websockets.connect(
        f"ws://lab{path}", sock=_socket(), max_size=2 * BIG_BYTES, **options)


def _run(coroutine):
    asyncio.run(asyncio.wait_for(coroutine, 60))


def messages_of_every_kind_pass_both_ways(lab):
    async def talk():
        async with _connect() as client:
            expect(client.extensions, "compression is not negotiated end to end")
            for message in ("text", "\u20ac\U0001f600", b"\x00\xff" * 100, "", os.urandom(200_000)):
                await client.send(message)
                expect(await client.recv() == message, f"{message[:20]!r} came back changed")
            await client.send(part for part in ("frag", "ment", "ed"))
            expect(await client.recv() == "fragmented", "fragments")
            await client.send("fragments")
            expect(await client.recv() == "one two three", "fragments of the server")
            await (await client.ping())
        async with _connect(compression=None) as client:
            message = os.urandom(BIG_BYTES)
            await client.send(message)
            expect(await client.recv() == message, "8 MiB came back changed")
    with _Server() as server:
        _run(talk())
        path, headers = server.heads[0]
        expect(path == "/ws/", f"path {path}")
        expect(headers["X-Forwarded-For"] == ADDRESS["client"], f"{headers}")
        expect(headers["Connection"].lower() == "upgrade", f"{headers}")


def close_codes_arrive(lab):
    async def talk():
        client = await _connect()
        await client.close(4002, "enough")
        client = await _connect()
        await client.send("close me")
        try:
            await client.recv()
        except websockets.ConnectionClosed as ending:
            expect((ending.rcvd.code, ending.rcvd.reason) == (4001, "as you wish"), f"{ending}")
            return
        expect(False, "no close frame of the server")
    with _Server() as server:
        _run(talk())
        poll(2, lambda: f"close codes {server.close_codes}",
             lambda: server.close_codes == [4002, 4001])
    poll(2, "no tunnel stays", lambda: lab.metric("lb1", "tandem_listener_tunnels_open") == 0)


def a_refused_handshake_is_an_ordinary_answer(lab):
    async def talk():
        try:
            await _connect("/ws/refused")
        except websockets.InvalidStatusCode as refusal:
            expect(refusal.status_code == 403, f"status {refusal.status_code}")
            expect(refusal.headers["X-Reason"] == "no", f"{refusal.headers}")
            return
        expect(False, "the handshake was not refused")
    before = lab.metric("lb1", "tandem_listener_tunnels_total")
    with _Server():
        _run(talk())
    expect(lab.metric("lb1", "tandem_listener_tunnels_total") == before, "a tunnel was counted")


def two_hundred_conversations_at_once_survive_a_reload(lab):
    async def talk():
        clients = await asyncio.gather(*(_connect() for _ in range(200)))
        expect(lab.metric("lb1", "tandem_listener_tunnels_open") == 200, "not 200 tunnels")
        answer = lab.ctl("lb1", "reload")
        expect("failed" not in answer, answer)
        for round_ in range(5):
            await asyncio.gather(*(
                client.send(f"{round_} {index}") for index, client in enumerate(clients)))
            for index, client in enumerate(clients):
                expect(await client.recv() == f"{round_} {index}", "another's message")
        await asyncio.gather(*(client.close() for client in clients))
    with _Server():
        _run(talk())
    poll(5, "no tunnel stays", lambda: lab.metric("lb1", "tandem_listener_tunnels_open") == 0)
