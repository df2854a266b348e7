#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# Clients that keep their connections whatever happens, as a program of its own in the client's
# namespace: each asks at a steady rate and looks at every byte of every answer. None of them ever
# connects again: a connection that ends is lost. Runs until its standard input ends, lets what is
# under way end, and prints what became of it as JSON.
#
#   keepers.py ADDRESS COUNT [PORT]

import asyncio
import json
import random
import sys
import time

SLOW_MILLISECONDS = 300
PIPELINE_DEPTH = 4
ANSWER_SECONDS_MAX = 20
KEPT_FAILURES = 10
# How many of COUNT clients there are of each kind, and how long they rest between two requests.
KINDS = {
    "steady": (1.0, 0.05), "busy": (0.1, 0.0), "resting": (0.5, 1.0), "slow": (0.2, 0.02),
    "pipelined": (0.2, 0.05), "halting": (0.2, 0.05), "posting": (0.2, 0.05),
}


class Lost(Exception):
    """The connection is of no use any more; the text says why."""


class Keeper:
    """One client with one connection."""

    def __init__(self, kind, name, report):
        self.kind = kind
        self.name = name
        self.report = report
        self.number = 0
        self.reader = self.writer = None

    async def connect(self, address, port):
        self.reader, self.writer = await asyncio.open_connection(address, port)

    def _next(self, path):
        """A request's target, which is answered with the same words."""
        self.number += 1
        return f"{path}/{self.name}-{self.number}"

    async def _answer(self, words):
        """One answer, to the byte: it ends in `words`."""
        try:
            head = await asyncio.wait_for(
                self.reader.readuntil(b"\r\n\r\n"), ANSWER_SECONDS_MAX)
        except asyncio.IncompleteReadError as error:
            raise Lost(f"ended after {len(error.partial)} bytes of a head: "
                       f"{error.partial[:60]!r}") from None
        lines = head.decode("latin-1").lower().split("\r\n")
        if not lines[0].startswith("http/1.1 200 "):
            raise Lost(f"answered {lines[0]!r}")
        if "connection: close" in lines:
            raise Lost("told to come back on another connection")
        length = next(
            int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
        try:
            body = await asyncio.wait_for(self.reader.readexactly(length), ANSWER_SECONDS_MAX)
        except asyncio.IncompleteReadError as error:
            raise Lost(f"ended after {len(error.partial)} of {length} bytes") from None
        if not body.decode("latin-1").strip().endswith(words):
            raise Lost(f"answered {body[:80]!r} to {words!r}")

    def _get(self, target):
        return f"GET {target} HTTP/1.1\r\nHost: lab\r\n\r\n".encode()

    async def steady(self):
        target = self._next("/steady")
        self.writer.write(self._get(target))
        await self._answer(target)

    busy = resting = steady

    async def slow(self):
        self.writer.write(self._get(f"/delay/{SLOW_MILLISECONDS}"))
        await self._answer("")

    async def pipelined(self):
        targets = [self._next("/pipelined") for _ in range(PIPELINE_DEPTH)]
        self.writer.write(b"".join(map(self._get, targets)))
        for target in targets:
            await self._answer(target)

    async def halting(self):
        target = self._next("/halting")
        request = self._get(target)
        place = random.randrange(1, len(request))
        self.writer.write(request[:place])
        await asyncio.sleep(random.random() * 0.03)
        self.writer.write(request[place:])
        await self._answer(target)

    async def posting(self):
        target = self._next("/ledger") + "/0"
        body = target.encode() * random.randrange(1, 200)
        self.writer.write(
            f"POST {target} HTTP/1.1\r\nHost: lab\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body)
        await self._answer(f"POST {target}")
        self.report.posted += 1

    async def live(self, ends, pause_seconds):
        # Not all at once.
        await asyncio.sleep(random.random() * pause_seconds)
        step = getattr(self, self.kind)
        own_seconds = SLOW_MILLISECONDS / 1e3 if self.kind == "slow" else 0
        try:
            while not ends.is_set():
                began = time.monotonic()
                await step()
                self.report.took(self.kind, time.monotonic() - began - own_seconds)
                if pause_seconds:
                    await asyncio.sleep(pause_seconds)
            # Nothing that nobody asked for may be left.
            if self.reader.at_eof() or self.reader._buffer:
                raise Lost(f"left {bytes(self.reader._buffer[:60])!r}")
        except (OSError, Lost, asyncio.TimeoutError) as error:
            self.report.lose(self, error)


class Report:
    """What became of everything."""

    def __init__(self):
        self.requests = {}
        self.slowest = {}
        self.late = {}
        self.lost = []
        self.lost_count = 0
        self.posted = 0

    def took(self, kind, seconds):
        self.requests[kind] = self.requests.get(kind, 0) + 1
        self.slowest[kind] = max(self.slowest.get(kind, 0), seconds)
        if seconds > 0.15:
            self.late[kind] = self.late.get(kind, 0) + 1

    def lose(self, keeper, error):
        self.lost_count += 1
        if len(self.lost) < KEPT_FAILURES:
            self.lost.append([
                round(time.time(), 3), keeper.kind, keeper.name, keeper.number, repr(error)])


async def main():
    address, count = sys.argv[1], int(sys.argv[2])
    port = int(sys.argv[3]) if len(sys.argv) > 3 else 80
    report = Report()
    keepers = []
    for kind, (share, _) in KINDS.items():
        for index in range(max(1, round(share * count))):
            keepers.append(Keeper(kind, f"{kind}{index}", report))
    for keeper in keepers:
        await keeper.connect(address, port)
    ends = asyncio.Event()
    loop = asyncio.get_running_loop()
    print(len(keepers), flush=True)

    def input_ended():
        if not sys.stdin.buffer.read1():
            loop.remove_reader(sys.stdin)
            ends.set()
    loop.add_reader(sys.stdin, input_ended)
    await asyncio.gather(*(keeper.live(ends, KINDS[keeper.kind][1]) for keeper in keepers))
    for keeper in keepers:
        keeper.writer.close()
    print(json.dumps({
        "clients": len(keepers), "lost": report.lost_count, "first_lost": report.lost,
        "posted": report.posted, "requests": report.requests,
        "slowest_ms": {kind: round(value * 1e3, 1) for kind, value in report.slowest.items()},
        "later_than_150_ms": report.late,
    }), flush=True)


asyncio.run(main())
