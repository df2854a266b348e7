# SPDX-License-Identifier: Apache-2.0
#
# Wireshark's tshark reads what a pair sends, in every form, without a warning: adverts, gratuitous
# ARP, neighbour advertisements and solicitations.

import json
import re
import shutil
import signal
import subprocess
import time

from configuration import configuration
from lab import NODES, RUNTIME, VIP, expect, pause, poll
from namespace import PREFIX

MISSING = None if shutil.which("tshark") else "tshark is not installed"
VIP6 = "fd00:77::100"
PLAIN = "addresses: [10.77.0.100]"
DUAL = f'addresses: [10.77.0.100, "{VIP6}"]'
CONFIGURATION = configuration(advertise_interval="1s").replace(PLAIN, DUAL)
FILTER = "ip proto 112 or ip6 proto 112 or arp or icmp6"
# That an address has a new station is what a takeover means.
OTHER_STATION = "arp.detect_duplicate_ips:FALSE"
# Beside these only notes are let pass: tshark's own opinion of LAN habits.
BAD_WORDS = ("Malformed", "Warning", "Error", "incorrect", "[Bad", "should be")


class _Capture:
    """tshark on the client while the block runs."""

    def __init__(self):
        self.file = RUNTIME / "client" / "adverts.pcap"

    def __enter__(self):
        self.file.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{PREFIX}client", "tshark", "-q", "-n", "-i", "eth0",
             "-f", FILTER, "-F", "pcap", "-w", self.file],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        line = ""
        deadline = time.monotonic() + 10
        while "Capturing on" not in line and time.monotonic() < deadline:
            line = self.process.stderr.readline()
        expect("Capturing on" in line, f"tshark does not capture: {line}")
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=20)

    @property
    def byte_count(self):
        return self.file.stat().st_size if self.file.exists() else 0

    def read(self, *arguments):
        result = subprocess.run(
            ["tshark", "-n", "-o", OTHER_STATION, "-r", self.file, *arguments], capture_output=True, text=True,
            timeout=60)
        expect(result.returncode == 0, f"tshark {arguments}: {result.stderr}")
        return result.stdout


def _captured(lab, text, sums_alone, seconds=4):
    """Runs the pair with a configuration; what tshark says of a takeover and some adverts."""
    if lab.config_file().read_text() != text:
        lab.write_configuration(text)
        for node in NODES:
            lab.stop(node)
    with _Capture() as capture:
        for node in NODES:
            if not lab.process_id(node):
                lab.start_ready(node)
        poll(15, "one node is active", lab.active)
        poll(15, "adverts are captured", lambda: capture.byte_count > 500)
        # Once more with a takeover by switchover, priority 0 and announcements.
        poll(10, "the link is up", lambda: lab.link(lab.active())["state"] == "up")
        lab.ctl(lab.active(), "switchover")
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            pause(0.1)
    preference = f"vrrp.v3_checksum_as_in_v2:{'TRUE' if sums_alone else 'FALSE'}"
    verbose = capture.read("-V", "-o", preference)
    bad = [line for line in verbose.splitlines() if any(word in line for word in BAD_WORDS)]
    expect(not bad, f"tshark says: {bad[:5]}")
    expert = capture.read("-o", preference, "-T", "fields", "-e", "_ws.expert.message")
    found = [line for line in expert.split("\n") if line.strip()]
    expect(not found, f"tshark's experts say: {found[:5]}")
    return json.loads(capture.read("-o", preference, "-T", "json")), verbose


def _adverts(packets, family):
    return [
        packet["_source"]["layers"]["vrrp"] for packet in packets
        if "vrrp" in packet["_source"]["layers"] and family in packet["_source"]["layers"]]


def _expect_good(found, count=3):
    expect(len(found) >= count, f"{len(found)} adverts were captured")
    sums = {advert.get("vrrp.checksum.status") for advert in found}
    expect(sums == {"1"}, f"checksums: {sums}")


def version_3_over_both_families_is_read(lab):
    packets, verbose = _captured(lab, CONFIGURATION, sums_alone=True)
    ipv4, ipv6 = _adverts(packets, "ip"), _adverts(packets, "ipv6")
    _expect_good(ipv4)
    _expect_good(ipv6)
    priorities = {advert["vrrp.prio"] for advert in ipv4}
    expect("0" in priorities, f"no priority 0 was captured: {priorities}")
    for needed in ("VRRP protocol version: 3", f"IP Address: {VIP}", f"IPv6 Address: {VIP6}",
                   "Hop Limit: 255", "Time to Live: 255", "Neighbor Advertisement",
                   "Is gratuitous: True"):
        expect(needed in verbose, f"tshark does not show: {needed}")
    flags = set(re.findall(r"Flags: (0x\w+), Router, Override", verbose))
    expect(flags == {"0xa0000000"}, f"neighbour advertisements have flags {flags}")


def the_older_checksum_is_read(lab):
    packets, _ = _captured(
        lab, CONFIGURATION.replace(DUAL, PLAIN + "\n      checksum: rfc5798"), sums_alone=False)
    _expect_good(_adverts(packets, "ip"))


def version_2_is_read(lab):
    packets, verbose = _captured(
        lab, CONFIGURATION.replace(DUAL, PLAIN + "\n      version: 2"), sums_alone=False)
    _expect_good(_adverts(packets, "ip"))
    expect("VRRP protocol version: 2" in verbose and "Auth Type: No Authentication" in verbose,
           "tshark does not show version 2")


def adverts_with_a_trailer_are_read(lab):
    """The trailer is none of tshark's business; the sum covers it, and is right."""
    packets, _ = _captured(
        lab, CONFIGURATION.replace(DUAL, DUAL + "\n      authentication: hmac"), sums_alone=True)
    _expect_good(_adverts(packets, "ip"))
    _expect_good(_adverts(packets, "ipv6"))
