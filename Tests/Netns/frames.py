# SPDX-License-Identifier: Apache-2.0
#
# Frames on the wire of the lab: a sniffer with the kernel's own time stamps, and the frames that
# hostile tests send. Knows the formats, not what they should cause.

import dataclasses
import socket
import struct

from namespace import hardware_address, inside

ETH_P_ALL = 3
ETH_P_IP = 0x0800
ETH_P_ARP = 0x0806
SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
PACKET_OUTGOING = 4
FIN, SYN, RST, ACK = 1, 2, 4, 16
VRRP_GROUP = "224.0.0.18"
VRRP_PROTOCOL = 112


@dataclasses.dataclass
class Frame:
    """A frame as it passed; `wall_ns` is the kernel's time stamp."""

    wall_ns: int
    data: bytes
    is_outgoing: bool

    @property
    def source_mac(self):
        return self.data[6:12]

    @property
    def protocol(self):
        return struct.unpack_from("!H", self.data, 12)[0]

    @property
    def is_gratuitous_arp(self):
        return self.protocol == ETH_P_ARP and self.data[28:32] == self.data[38:42]

    @property
    def arp_sender(self):
        return socket.inet_ntoa(self.data[28:32])

    @property
    def is_tcp(self):
        return self.protocol == ETH_P_IP and self.data[23] == socket.IPPROTO_TCP

    @property
    def source(self):
        return socket.inet_ntoa(self.data[26:30])

    @property
    def _tcp(self):
        return 14 + (self.data[14] & 15) * 4

    @property
    def ports(self):
        return struct.unpack_from("!HH", self.data, self._tcp)

    @property
    def flags(self):
        return self.data[self._tcp + 13]

    def __str__(self):
        text = f"{self.wall_ns} {self.source_mac.hex(':')} "
        if self.is_tcp:
            return text + f"{self.source} {self.ports} flags {self.flags:#04x}"
        return text + f"protocol {self.protocol:#06x}"


class Sniffer:
    """Sees every frame that a member's interface sends and receives."""

    BUFFER_BYTES = 32 << 20

    def __init__(self, member, interface="eth0"):
        with inside(member):
            self.socket = socket.socket(
                socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
            self.socket.bind((interface, ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, self.BUFFER_BYTES)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.setblocking(False)
        self.frames = []

    def drain(self):
        """Everything seen so far."""
        while True:
            try:
                data, ancillary, _, address = self.socket.recvmsg(2048, 256)
            except BlockingIOError:
                return self.frames
            seconds, nanoseconds = struct.unpack("=qq", ancillary[0][2][:16])
            self.frames.append(
                Frame(seconds * 10**9 + nanoseconds, data, address[2] == PACKET_OUTGOING))

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def internet_checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def advertisement(
    source, priority=50, vrid=51, interval_centiseconds=1, addresses=("10.77.0.100",), version=3,
    kind=1, count=None, checksum=None, trailing=b"",
):
    """A VRRP message (RFC 9568 section 5); every field may be a lie."""
    count = len(addresses) if count is None else count
    body = b"".join(socket.inet_aton(address) for address in addresses) + trailing
    head = struct.pack(
        "!BBBBH", version << 4 | kind, vrid, priority, count, interval_centiseconds)
    if checksum is None:
        length = len(head) + 2 + len(body)
        pseudo = socket.inet_aton(source) + socket.inet_aton(VRRP_GROUP) + struct.pack(
            "!BBH", 0, VRRP_PROTOCOL, length)
        checksum = internet_checksum(pseudo + head + b"\0\0" + body)
    return head + struct.pack("!H", checksum) + body


def vrrp_packet(source, message, ttl=255):
    """The IPv4 packet around a message."""
    header = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0xC0, 20 + len(message), 0, 0, ttl, VRRP_PROTOCOL, 0,
        socket.inet_aton(source), socket.inet_aton(VRRP_GROUP))
    return header[:10] + struct.pack("!H", internet_checksum(header)) + header[12:] + message


class FrameSender:
    """Sends Ethernet frames from a member."""

    def __init__(self, member, interface="eth0"):
        self.mac = hardware_address(member, interface)
        with inside(member):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            self.socket.bind((interface, 0))

    def multicast(self, packet):
        """To 01:00:5e:00:00:12, the group of all VRRP routers."""
        self.socket.send(b"\x01\x00\x5e\x00\x00\x12" + self.mac + b"\x08\x00" + packet)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
