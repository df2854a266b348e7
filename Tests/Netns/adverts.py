# SPDX-License-Identifier: Apache-2.0
#
# Adverts made by scapy, every field of which may be a lie, in Ethernet frames from the client; and
# a flood of them. Knows the formats, not what they should cause.

import contextlib
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

try:
    import scapy  # noqa: F401
except ImportError:
    # Debian's package, for a python3 that is not Debian's.
    sys.path.append("/usr/lib/python3/dist-packages")

try:
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6, in6_chksum
    from scapy.layers.l2 import Ether
    from scapy.layers.vrrp import VRRPv3
    from scapy.utils import checksum
    MISSING = None if shutil.which("gcc") else "gcc is not installed"
except ImportError:
    MISSING = "python3-scapy is not installed"

from lab import ADDRESS, RUNTIME, VIP
from namespace import PREFIX, hardware_address

VIP6 = "fd00:77::100"
GROUP, GROUP6 = "224.0.0.18", "ff02::12"
GROUP_MAC, GROUP6_MAC = "01:00:5e:00:00:12", "33:33:00:00:00:12"
LINK_LOCAL = "fe80::c11e"
STRANGER = ADDRESS["client"]
HERE = Path(__file__).resolve().parent


def mac(member):
    return hardware_address(member).hex(":")


def summed(message, source, destination, form="rfc9568"):
    """The message with a right checksum of one form; over IPv6 there is one only."""
    if len(message) < 8:
        return message
    plain = message[:6] + b"\0\0" + message[8:]
    if ":" in source:
        value = in6_chksum(112, IPv6(src=source, dst=destination, nh=112), plain)
    elif form == "rfc5798":
        value = checksum(
            bytes(IP(src=source, dst=destination))[12:20] + bytes([0, 112])
            + len(plain).to_bytes(2, "big") + plain)
    else:
        value = checksum(plain)
    return plain[:6] + value.to_bytes(2, "big") + plain[8:]


def message(
    source=STRANGER, destination=GROUP, form="rfc9568", chksum=None, trailing=b"", cut=None,
    spoil=None, **fields,
):
    """A VRRP message; `fields` are scapy's: vrid, priority, ipcount, res, adv, version, type.

    `spoil` changes the bytes before the sum is made, `cut` keeps so many of them.
    """
    is_ipv6 = ":" in source
    addresses = fields.pop("addrlist", [LINK_LOCAL, VIP6] if is_ipv6 else [VIP])
    fields = {"vrid": 51, "priority": 254, "adv": 1} | fields
    carrier = (IPv6 if is_ipv6 else IP)(src=source, dst=destination)
    header_bytes = 40 if is_ipv6 else 20
    data = bytes(carrier / VRRPv3(addrlist=addresses, chksum=0, **fields))[header_bytes:]
    data += trailing
    if spoil:
        data = spoil(bytearray(data))
    data = bytes(data)[:cut]
    if chksum is not None:
        return data[:6] + chksum.to_bytes(2, "big") + data[8:]
    return summed(data, source, destination, form)


def frame(data, source=STRANGER, destination=GROUP, ttl=255, to=None, **header):
    """The Ethernet frame around a message, from the client's station."""
    if ":" in source:
        carrier = IPv6(src=source, dst=destination, hlim=ttl, nh=112, **header)
        station = to or GROUP6_MAC
    else:
        carrier = IP(src=source, dst=destination, ttl=ttl, proto=112, **header)
        station = to or GROUP_MAC
    return bytes(Ether(src=mac("client"), dst=station) / carrier / data)


def advert(source=STRANGER, destination=GROUP, ttl=255, to=None, header=None, **fields):
    """A whole frame; over IPv6 when the source is."""
    if ":" in source and destination == GROUP:
        destination = GROUP6
    data = message(source, destination, **fields)
    return frame(data, source, destination, ttl, to, **(header or {}))


def forged_trailer(key_id, generator):
    """A trailer of the right form without the key: the costliest forgery there is."""
    nonce, sequence = (1 << 62).to_bytes(8, "big"), generator.randrange(1 << 62)
    return (b"T\x01" + bytes([key_id]) + b"\x01" + nonce + sequence.to_bytes(8, "big")
            + generator.randbytes(16))


def garbage(seed, count):
    """Frames of protocol 112 with random messages."""
    generator = random.Random(seed)
    return [frame(generator.randbytes(generator.randrange(0, 80))) for _ in range(count)]


class Flood:
    """Frames at a rate from the client's interface, bounded in count."""

    def __init__(self, process, started):
        self.process = process
        self.started = started

    @property
    def is_over(self):
        return self.process.poll() is not None

    def end(self):
        """Waits; returns how many frames were sent, and how many a second."""
        output, _ = self.process.communicate(timeout=70)
        sent, nanoseconds = map(int, output.split())
        return sent, sent / max(nanoseconds / 1e9, 1e-9)


@contextlib.contextmanager
def flood(frames, per_second, count):
    """Starts a flood; it ends with the block at the latest."""
    program, file = RUNTIME / "flood", RUNTIME / "flood.frames"
    if not program.exists():
        subprocess.run(
            ["gcc", "-O2", "-Wall", "-o", program, HERE / "flood.c"], check=True, timeout=60)
    file.write_bytes(b"".join(len(item).to_bytes(2, "big") + item for item in frames))
    process = subprocess.Popen(
        ["nsenter", f"--net=/run/netns/{PREFIX}client", program, "eth0", file, str(per_second),
         str(count)], stdout=subprocess.PIPE, text=True)
    try:
        yield Flood(process, time.monotonic())
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)


class ThreadTime:
    """The processor time of one thread of a node, by the thread's name."""

    TICKS_PER_SECOND = 100

    def __init__(self, lab, node, name):
        self.file = next(
            task / "stat" for task in Path(f"/proc/{lab.process_id(node)}/task").iterdir()
            if (task / "comm").read_text().strip() == name)
        self.began, self.before = time.monotonic(), self._seconds()

    def _seconds(self):
        fields = self.file.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / self.TICKS_PER_SECOND

    def share(self):
        """Of one processor, since this object was made."""
        return (self._seconds() - self.before) / (time.monotonic() - self.began)
