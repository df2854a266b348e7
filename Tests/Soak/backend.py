#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
#
# A backend of the soak test, to be killed at any time: backend.py PORT NAME
#
#   GET /small         a few bytes               GET /size/N     N bytes, by length
#   GET /chunked/N     N bytes, chunked          POST /sum       length and CRC-32 of the body
#   GET /ws            WebSocket handshake, then every byte comes back

import asyncio
import base64
import hashlib
import socket
import sys
import zlib

PATTERN = bytes(range(251)) * 261
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def content(count):
    """The bytes that every download consists of."""
    return PATTERN * (count // len(PATTERN)) + PATTERN[:count % len(PATTERN)]


async def read_body(reader, fields):
    """Length and checksum of a request body."""
    count = checksum = 0
    if fields.get(b"transfer-encoding") == b"chunked":
        while size := int((await reader.readline()).split(b";")[0], 16):
            data = await reader.readexactly(size + 2)
            count += size
            checksum = zlib.crc32(data[:-2], checksum)
        while (await reader.readline()) != b"\r\n":
            pass
    else:
        left = int(fields.get(b"content-length", 0))
        while left:
            data = await reader.readexactly(min(left, 1 << 16))
            left -= len(data)
            count += len(data)
            checksum = zlib.crc32(data, checksum)
    return count, checksum


async def send_chunks(writer, count):
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    data = content(count)
    for start in range(0, count, 30_000):
        part = data[start:start + 30_000]
        writer.write(b"%x\r\n%s\r\n" % (len(part), part))
        await writer.drain()
    writer.write(b"0\r\n\r\n")


async def echo(reader, writer, fields):
    digest = hashlib.sha1(fields[b"sec-websocket-key"] + GUID).digest()
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Accept: %s\r\n\r\n" % base64.b64encode(digest))
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()


async def serve_one(reader, writer, name):
    """One request; False when the connection is no longer HTTP."""
    line = await reader.readuntil(b"\r\n\r\n")
    head, *rest = line[:-4].split(b"\r\n")
    fields = {}
    for field in rest:
        key, _, value = field.partition(b":")
        fields[key.lower()] = value.strip()
    target = head.split(b" ")[1]
    if target == b"/ws":
        await echo(reader, writer, fields)
        return False
    count, checksum = await read_body(reader, fields)
    kind, _, number = target[1:].partition(b"/")
    if kind == b"chunked":
        await send_chunks(writer, int(number))
        return True
    body = {b"size": lambda: content(int(number)), b"sum": lambda: b"%d %d" % (count, checksum)}
    data = body.get(kind, lambda: b"ok " + name)()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data))
    writer.write(data)
    await writer.drain()
    return True


async def serve(reader, writer, name):
    try:
        while await serve_one(reader, writer, name):
            pass
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    port, name = int(sys.argv[1]), sys.argv[2].encode()
    listener = socket.create_server(("127.0.0.1", port), backlog=1024, reuse_port=False)
    server = await asyncio.start_server(
        lambda reader, writer: serve(reader, writer, name), sock=listener, limit=1 << 17)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
