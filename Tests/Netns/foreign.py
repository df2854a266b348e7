# SPDX-License-Identifier: Apache-2.0
#
# Other VRRP speakers on a member of the lab: Debian's keepalived and FRR, each with one instance
# per profile. Starts and ends them, and says for which profiles they are active; judges nothing.

import json
import os
import shutil
import signal
import subprocess

from lab import PREFIX, RUNTIME, poll

FRR = "/usr/lib/frr"


def shell(member, *command, check=True):
    """A command in a member's network; what it prints."""
    done = subprocess.run(
        ["nsenter", f"--net=/run/netns/{PREFIX}{member}", *map(str, command)],
        capture_output=True, text=True, timeout=20, check=False)
    if check and done.returncode:
        raise OSError(f"{' '.join(map(str, command))} on {member}: {done.stderr}")
    return done.stdout


def held_addresses(member):
    """Every address of both families on an interface that is up, in a member's namespace."""
    return {
        address["local"]
        for link in json.loads(shell(member, "ip", "-j", "address"))
        if link.get("operstate") != "DOWN"
        for address in link["addr_info"] if "local" in address}


class Profile:
    """One way to speak VRRP, on both sides: a VRID and an address of its own."""

    def __init__(self, name, vrid, daemon, address, interval="100ms", ours="", theirs="",
                 missing=None):
        self.name = name
        self.vrid = vrid
        self.daemon = daemon
        self.address = address
        self.interval = interval
        self.ours = ours
        self.theirs = theirs
        self.missing = missing

    @property
    def is_ipv6(self):
        return ":" in self.address

    @property
    def link_local(self):
        """The virtual router's own, which RFC 9568 section 5.2.9 wants first: both daemons have no
        other to put there, and keepalived drops adverts whose list is not its own."""
        return [f"fe80::{self.vrid}"] if self.is_ipv6 else []

    @property
    def addresses(self):
        """With prefix lengths."""
        bits = 128 if self.is_ipv6 else 32
        return [f"{each}/{bits}" for each in (*self.link_local, self.address)]

    @property
    def interval_seconds(self):
        number = self.interval.removesuffix("ms").removesuffix("s")
        return int(number) / (1000 if self.interval.endswith("ms") else 1)

    def entry(self):
        """The virtual router in our configuration."""
        addresses = ", ".join(
            f'"{each}"' if ":" in each else each for each in (*self.link_local, self.address))
        return (
            f"    - {{ id: {self.vrid}, addresses: [{addresses}], advertise_interval: "
            f"{self.interval}, preempt: true{', ' if self.ours else ''}{self.ours} }}\n")


class Daemon:
    """A program with a process id file."""

    def __init__(self, member, profiles):
        self.member = member
        self.profiles = profiles
        self.directory = RUNTIME / member
        self.children = []

    def spawn(self, *words):
        log = open(self.directory / f"{os.path.basename(words[0])}.log", "ab")
        child = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{PREFIX}{self.member}", *map(str, words)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        self.children.append(child)
        return child

    def stop(self):
        """An orderly end: priority 0 on the wire."""
        self.signal(signal.SIGTERM)
        for child in self.children:
            child.wait(10)
        self.children = []

    def die(self):
        """What is left when the host dies: nothing."""
        self.kill()
        self.children = []
        self.clear()


class Keepalived(Daemon):
    """keepalived; the address is on eth0 while it is active."""

    INSTANCE = """\
vrrp_instance {name} {{
    interface eth0
    state BACKUP
    version {version}
    virtual_router_id {vrid}
    priority {priority}
    advert_int {interval:g}
{theirs}    virtual_ipaddress {{
{addresses}    }}
}}
"""

    def start(self, priority):
        text = "global_defs {\n    router_id other\n    vrrp_garp_master_repeat 1\n}\n"
        for profile in self.profiles:
            text += self.INSTANCE.format(
                name=f"v{profile.vrid}", vrid=profile.vrid, priority=priority,
                version=2 if "version: 2" in profile.ours else 3,
                interval=profile.interval_seconds,
                addresses="".join(f"        {each}\n" for each in profile.addresses),
                theirs="".join(f"    {line}\n" for line in profile.theirs.splitlines()))
        file = self.directory / "keepalived.conf"
        file.write_text(text)
        self.pids = [self.directory / name for name in ("keepalived.parent", "keepalived.vrrp")]
        self.spawn(
            "keepalived", "--dont-fork", "--log-console", "--log-detail", "--vrrp", "--use-file",
            file, "--pid", self.pids[0], "--vrrp_pid", self.pids[1])
        poll(5, "keepalived runs", lambda: all(pid.exists() for pid in self.pids))

    def signal(self, number):
        os.kill(int(self.pids[0].read_text()), number)

    def kill(self):
        # The child first: it says goodbye when its parent dies, and no crashing host does.
        for pid in reversed(self.pids):
            os.kill(int(pid.read_text()), signal.SIGKILL)
        for child in self.children:
            child.wait(10)
        for pid in self.pids:
            pid.unlink(missing_ok=True)

    def clear(self):
        for profile in self.profiles:
            for address in profile.addresses:
                shell(self.member, "ip", "address", "del", address, "dev", "eth0", check=False)


class FRRouting(Daemon):
    """FRR's zebra and vrrpd; the address is on a macvlan that is up while it is active."""

    def device(self, profile):
        return f"vrrp{'6' if profile.is_ipv6 else '4'}-{profile.vrid}"

    def prepare(self):
        """The operator's part: a macvlan with the virtual MAC for each router."""
        def ip(*words):
            shell(self.member, "ip", *words)
        # Or the kernel answers on eth0 for the addresses of a macvlan that is down.
        shell(self.member, "sysctl", "-q", "-w", "net.ipv4.conf.eth0.arp_ignore=1")
        for profile in self.profiles:
            device = self.device(profile)
            ip("link", "add", device, "link", "eth0", "type", "macvlan", "mode", "bridge")
            ip("link", "set", device, "addrgenmode", "random")
            family = 2 if profile.is_ipv6 else 1
            ip("link", "set", device, "address", f"00:00:5e:00:0{family}:{profile.vrid:02x}")
            for address in profile.addresses:
                ip("address", "add", address, "dev", device,
                   *(["nodad"] if profile.is_ipv6 else []))
            ip("link", "set", device, "up")
            ip("link", "set", device, "protodown", "on")

    def start(self, priority):
        text = "log stdout\ninterface eth0\n"
        for profile in self.profiles:
            vrrp = f" vrrp {profile.vrid}"
            version = 2 if "version: 2" in profile.ours else 3
            text += f"{vrrp} version {version}\n{vrrp} priority {priority}\n"
            text += f"{vrrp} advertisement-interval {int(profile.interval_seconds * 1000)}\n"
            for address in (*profile.link_local, profile.address):
                text += f"{vrrp} {'ipv6' if profile.is_ipv6 else 'ip'} {address}\n"
            for line in profile.theirs.splitlines():
                text += f"{vrrp} {line}\n"
        # The daemons give up root for the user frr.
        place = self.directory / "frr"
        place.mkdir(exist_ok=True)
        shutil.chown(place, "frr", "frr")
        self.directory.chmod(0o755)
        (place / "frr.conf").write_text(text)
        self.pids = [place / "vrrpd.pid", place / "zebra.pid"]
        common = ["-z", place / "zserv.api", "--vty_socket", place, "-P", "0", "--log", "stdout"]
        for name, file in (("zebra", "/dev/null"), ("vrrpd", place / "frr.conf")):
            self.spawn(f"{FRR}/{name}", "-f", file, "-i", place / f"{name}.pid", *common)
            poll(5, f"{name} runs", lambda name=name: (place / f"{name}.pid").exists()
                 and (place / "zserv.api").exists())

    def signal(self, number):
        for pid in self.pids:
            os.kill(int(pid.read_text()), number)
            # vrrpd says goodbye while zebra still listens to it.
            poll(5, "it ended", lambda pid=pid: any(
                child.poll() is not None for child in self.children
                if child.pid == int(pid.read_text())) or not _lives(int(pid.read_text())))
        for pid in self.pids:
            pid.unlink(missing_ok=True)

    def kill(self):
        for pid in self.pids:
            os.kill(int(pid.read_text()), signal.SIGKILL)
            pid.unlink(missing_ok=True)
        for child in self.children:
            child.wait(10)

    def clear(self):
        for profile in self.profiles:
            shell(self.member, "ip", "link", "set", self.device(profile), "protodown", "on",
                  check=False)


def _lives(pid):
    try:
        return "State:\tZ" not in open(f"/proc/{pid}/status", encoding="ascii").read()
    except OSError:
        return False


def speaks(binary, option):
    """Whether this version of a program knows an option."""
    try:
        with open(binary, "rb") as file:
            return option.encode() in file.read()
    except OSError:
        return False
