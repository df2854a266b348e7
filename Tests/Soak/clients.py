# SPDX-License-Identifier: Apache-2.0
#
# The clients of the soak test. Each repeats one way to use, or to misuse, a proxy until told to
# stop, checks every byte it gets, and reports what it met to the ledger.

import asyncio
import random
import socket
import struct
import time
import zlib

from backend import content

# A request that takes longer hangs.
REQUEST_SECONDS = 15.0
SLOW_PIECE_BYTES = 64 << 10
SLOW_PAUSE_SECONDS = 0.05
HEAD = b"%s %s HTTP/1.1\r\nHost: soak.example\r\n%s\r\n"


class Broken(Exception):
    """An exchange that did not go as it has to."""


class Ledger:
    """What was done, and which failures a killed backend explains.

    Expected is: an answer 502 or 504, a response cut short or a connection that ends, when a
    backend was killed while the request was on its way. Everything else is unexpected: any other
    status, wrong bytes, a refused connection, an exchange that hangs, and any failure at all while
    every backend lived.
    """

    def __init__(self):
        self.is_over = False
        self.done = {}
        self.expected = {}
        self.unexpected = []
        self.kills = []

    def note(self, kind):
        self.done[kind] = self.done.get(kind, 0) + 1

    def note_failure(self, kind, began, problem, may_be_killed):
        # A kill is booked just before the signal is sent.
        if may_be_killed and any(began - 0.5 <= kill for kill in self.kills[-20:]):
            self.expected[kind] = self.expected.get(kind, 0) + 1
        else:
            self.unexpected.append(f"{kind}: {problem}")


class Client:
    """One connection at a time to the proxy."""

    def __init__(self, port):
        self.port = port
        self.writer = None

    async def open(self, receive_bytes=None):
        connection = socket.socket()
        if receive_bytes:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        connection.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", self.port))
        except OSError as error:
            connection.close()
            raise Broken(f"cannot connect: {error}") from error
        self.reader, self.writer = await asyncio.open_connection(sock=connection, limit=1 << 17)

    def close(self, by_reset=False):
        if not self.writer:
            return
        if by_reset:
            self.writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.writer.transport.abort()
        self.writer.close()
        self.writer = None

    async def head(self):
        """Status and fields of the next final response."""
        while True:
            lines = (await self.reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
            status = int(lines[0].split(b" ")[1])
            fields = dict(line.lower().split(b": ", 1) for line in lines[1:])
            if status >= 200 or status == 101:
                return status, fields

    async def body(self, fields, pause=0.0):
        if fields.get(b"transfer-encoding") == b"chunked":
            parts = []
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                parts.append((await self.reader.readexactly(size + 2))[:-2])
            await self.reader.readexactly(2)
            return b"".join(parts)
        left, parts = int(fields[b"content-length"]), []
        while left:
            part = await self.reader.readexactly(min(left, SLOW_PIECE_BYTES))
            left -= len(part)
            parts.append(part)
            if pause:
                await asyncio.sleep(pause)
        return b"".join(parts)

    async def get(self, target, pause=0.0, fields=b""):
        self.writer.write(HEAD % (b"GET", target, fields))
        status, answered = await self.head()
        return status, answered, await self.body(answered, pause)


def check(status, body, wanted):
    if status != 200:
        raise Broken(f"status {status}")
    if body != wanted:
        raise Broken(f"{len(body)} bytes instead of {len(wanted)}, or others")


async def keep_alive(client, rng):
    """One connection for many requests."""
    if not client.writer:
        await client.open()
    status, fields, body = await client.get(b"/small")
    if status != 200 or not body.startswith(b"ok "):
        raise Broken(f"status {status}")
    if fields.get(b"connection") == b"close":
        client.close()
    await asyncio.sleep(rng.random() * 0.01)


async def new_connection(client, rng):
    await client.open()
    status, _, body = await client.get(b"/small", fields=b"Connection: close\r\n")
    if status != 200 or not body.startswith(b"ok "):
        raise Broken(f"status {status}")
    client.close()
    await asyncio.sleep(rng.random() * 0.01)


async def upload(client, rng):
    """A chunked upload of random chunks."""
    if not client.writer:
        await client.open()
    client.writer.write(HEAD % (b"POST", b"/sum", b"Transfer-Encoding: chunked\r\n"))
    count = checksum = 0
    for _ in range(rng.randrange(1, 12)):
        part = rng.randbytes(rng.randrange(1, 40_000))
        count += len(part)
        checksum = zlib.crc32(part, checksum)
        client.writer.write(b"%x\r\n%s\r\n" % (len(part), part))
        await client.writer.drain()
    client.writer.write(b"0\r\n\r\n")
    status, fields = await client.head()
    check(status, await client.body(fields), b"%d %d" % (count, checksum))


async def download(client, rng):
    """Large bodies, by length and chunked."""
    if not client.writer:
        await client.open()
    count = rng.randrange(1 << 20, 6 << 20)
    form = rng.choice((b"/size/%d", b"/chunked/%d"))
    status, _, body = await client.get(form % count)
    check(status, body, content(count))


async def slow_reader(client, rng):
    await client.open(receive_bytes=16 << 10)
    count = 1 << 20
    status, _, body = await client.get(b"/size/%d" % count, pause=SLOW_PAUSE_SECONDS)
    check(status, body, content(count))
    client.close()


async def vanish(client, rng):
    """Leaves in the middle of an upload or of a download, by FIN or by RST."""
    await client.open()
    if rng.random() < 0.5:
        client.writer.write(HEAD % (b"POST", b"/sum", b"Content-Length: 100000\r\n"))
        client.writer.write(rng.randbytes(rng.randrange(1, 90_000)))
    else:
        client.writer.write(HEAD % (b"GET", b"/size/3000000", b""))
        await client.reader.read(rng.randrange(1, 200_000))
    await asyncio.sleep(rng.random() * 0.05)
    client.close(by_reset=rng.random() < 0.5)


async def web_socket(client, rng):
    """A tunnel whose bytes come back."""
    await client.open()
    client.writer.write(HEAD % (
        b"GET", b"/ws", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"))
    status, _ = await client.head()
    if status != 101:
        raise Broken(f"status {status}")
    for _ in range(rng.randrange(1, 20)):
        data = rng.randbytes(rng.randrange(1, 20_000))
        client.writer.write(data)
        if await client.reader.readexactly(len(data)) != data:
            raise Broken("other bytes came back")
        await asyncio.sleep(rng.random() * 0.02)
    client.close()


# How many of each kind run at a time.
MIX = [
    (keep_alive, 20), (new_connection, 6), (upload, 5), (download, 2), (slow_reader, 6),
    (vanish, 5), (web_socket, 6),
]
GATEWAY_FAULTS = ("status 502", "status 504")


async def repeat(kind, port, ledger, seed):
    """Runs one kind until the ledger says that it is over."""
    rng = random.Random(seed)
    client = Client(port)
    while not ledger.is_over:
        began = time.monotonic()
        try:
            await asyncio.wait_for(kind(client, rng), REQUEST_SECONDS)
            ledger.note(kind.__name__)
        except Broken as problem:
            client.close()
            ledger.note_failure(
                kind.__name__, began, problem, str(problem) in GATEWAY_FAULTS)
        except (ConnectionError, EOFError, OSError) as problem:
            client.close()
            ledger.note_failure(kind.__name__, began, repr(problem), True)
        except (asyncio.TimeoutError, TimeoutError):
            client.close()
            ledger.note_failure(kind.__name__, began, "hangs", False)
        except Exception as problem:  # what a client cannot read is a finding too
            client.close()
            ledger.note_failure(kind.__name__, began, repr(problem), False)
    client.close()


def start(port, ledger):
    return [
        asyncio.create_task(repeat(kind, port, ledger, number * 100 + index))
        for number, (kind, count) in enumerate(MIX) for index in range(count)]
