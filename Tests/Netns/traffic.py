#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# A client's whole traffic at once, as a program of its own in the client's namespace: new
# connections at a fixed rate, clients that keep theirs, slow requests and large downloads. Runs
# until its standard input ends, lets what is under way end, and prints what became of it as JSON.
#
#   traffic.py ADDRESS

import asyncio
import json
import sys
import time

PORT = 80
NEW_INTERVAL_SECONDS = 0.002
KEEP_ALIVE_CLIENTS = 20
KEEP_ALIVE_PAUSE_SECONDS = 0.05
SLOW_INTERVAL_SECONDS = 0.1
SLOW_MILLISECONDS = 3_000
DOWNLOAD_BYTES = 16 << 20
DOWNLOADS = 2
# A download is as fast as a client on a good line, so that it lasts while the address moves.
PIECE_BYTES = 128 << 10
PIECE_SECONDS = 0.008
REQUEST_SECONDS_MAX = 60
KEPT_FAILURES = 20


class Kind:
    """One kind of traffic: how many requests, how long they took, what failed."""

    def __init__(self, own_seconds=0.0):
        self.own_seconds = own_seconds
        self.count = 0
        self.failures = []
        self.failed = 0
        self.durations = []
        self.connects = []

    def took(self, seconds):
        self.count += 1
        self.durations.append(seconds - self.own_seconds)

    def fail(self, error):
        self.failed += 1
        if len(self.failures) < KEPT_FAILURES:
            self.failures.append([round(time.time(), 3), repr(error)])

    def report(self):
        def milliseconds(values, share):
            ordered = sorted(values)
            index = min(int(len(ordered) * share), len(ordered) - 1)
            return round(ordered[index] * 1e3, 2) if ordered else None
        return {
            "requests": self.count, "failed": self.failed, "failures": self.failures,
            "late_ms": {
                "p50": milliseconds(self.durations, 0.5),
                "p99": milliseconds(self.durations, 0.99),
                "max": milliseconds(self.durations, 1)},
            "connect_ms_max": milliseconds(self.connects, 1),
        }


class Client:
    """One connection at a time, made anew when the server says that it is the last answer."""

    def __init__(self, address, kind):
        self.address = address
        self.kind = kind
        self.reader = self.writer = None

    async def connect(self):
        began = time.monotonic()
        self.reader, self.writer = await asyncio.open_connection(
            self.address, PORT, limit=1 << 20)
        self.kind.connects.append(time.monotonic() - began)

    async def request(self, path, keeps_alive):
        began = time.monotonic()
        try:
            async with asyncio.timeout(REQUEST_SECONDS_MAX):
                if self.writer is None or self.reader.at_eof():
                    self.close()
                    await self.connect()
                await self.exchange(path, keeps_alive)
        except (OSError, EOFError, asyncio.IncompleteReadError, ValueError) as error:
            self.kind.fail(error)
            self.close()
        else:
            self.kind.took(time.monotonic() - began)

    async def exchange(self, path, keeps_alive):
        fields = "" if keeps_alive else "Connection: close\r\n"
        self.writer.write(f"GET {path} HTTP/1.1\r\nHost: lab\r\n{fields}\r\n".encode())
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        if " 200 " not in head.split("\r\n")[0]:
            raise ValueError(head.split("\r\n")[0])
        left = int(head.split("content-length:")[1].split("\r\n")[0])
        while left:
            piece = await self.reader.read(min(left, PIECE_BYTES))
            if not piece:
                raise EOFError(f"{left} bytes of {path} are missing")
            left -= len(piece)
            if left > PIECE_BYTES:
                await asyncio.sleep(PIECE_SECONDS)
        if "connection: close" in head:
            self.close()

    def close(self):
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None


async def paced(interval, ends, action):
    """Starts `action()` every `interval` seconds, without a burst after a pause."""
    tasks = set()
    next_at = time.monotonic()
    while not ends.is_set():
        task = asyncio.create_task(action())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        next_at = max(next_at + interval, time.monotonic() - interval)
        await asyncio.sleep(max(0, next_at - time.monotonic()))
    if tasks:
        await asyncio.wait(tasks)


async def main(address):
    ends = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), ends.set)
    kinds = {
        "new": Kind(), "keep_alive": Kind(), "slow": Kind(SLOW_MILLISECONDS / 1e3),
        "download": Kind(),
    }

    async def once(kind, path):
        await Client(address, kinds[kind]).request(path, keeps_alive=False)

    async def keep_alive():
        client = Client(address, kinds["keep_alive"])
        while not ends.is_set():
            await client.request("/", keeps_alive=True)
            await asyncio.sleep(KEEP_ALIVE_PAUSE_SECONDS)
        client.close()

    async def download():
        while not ends.is_set():
            await once("download", f"/bytes/{DOWNLOAD_BYTES}")

    await asyncio.gather(
        paced(NEW_INTERVAL_SECONDS, ends, lambda: once("new", "/")),
        paced(SLOW_INTERVAL_SECONDS, ends, lambda: once("slow", f"/delay/{SLOW_MILLISECONDS}")),
        *(keep_alive() for _ in range(KEEP_ALIVE_CLIENTS)),
        *(download() for _ in range(DOWNLOADS)))
    print(json.dumps({name: kind.report() for name, kind in kinds.items()}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
