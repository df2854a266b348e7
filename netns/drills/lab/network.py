# SPDX-License-Identifier: Apache-2.0
#
# The network of a drill: one bridge, and a namespace for each member. Nothing of the host's own.

import fcntl
import os
import signal
import subprocess
import time

from .names import ADDRESSES, PREFIX, SOURCES

LAN = PREFIX + "lan"
LOCK = f"/run/{PREFIX}lock"


def run(*words, check=True):
    """Runs a command of the host and returns what it prints."""
    done = subprocess.run(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def inside(member, *words):
    """The words that run a command in the network of a member.

    It ends with us, even when we are killed, and it runs before what else this machine has to do:
    a build beside the drill must not be what is measured. All of a lab need less than a core.
    """
    return [
        "chrt", "--rr", "1", "setpriv", "--pdeathsig", "KILL", "nsenter", f"--net=/run/netns/{PREFIX}{member}", *words]


class Network:
    """Namespaces by name; `down` removes what is there, whoever made it."""

    def __init__(self):
        self._lock = None

    def lock(self):
        """One drill at a time: measurements next to each other measure each other."""
        while not self._lock:
            file = open(LOCK, "w", encoding="utf-8")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                print("another drill runs; waiting for its end", flush=True)
                fcntl.flock(file, fcntl.LOCK_EX)
            # The holder before us may have removed the file that we waited for.
            if os.path.exists(LOCK) and os.path.samestat(os.stat(LOCK), os.fstat(file.fileno())):
                self._lock = file

    @property
    def is_ours(self):
        return self._lock is not None

    def up(self, members):
        self.down()
        run("ip", "netns", "add", LAN)
        run("ip", "-n", LAN, "link", "add", "lan", "type", "bridge", "forward_delay", "0",
            "mcast_snooping", "0")
        run("ip", "-n", LAN, "link", "set", "lan", "up")
        for member in members:
            self._add(member)

    def _add(self, member):
        namespace = PREFIX + member
        run("ip", "netns", "add", namespace)
        run("ip", "-n", namespace, "link", "set", "lo", "up")
        run("ip", "-n", LAN, "link", "add", member, "type", "veth", "peer", "name", "eth0",
            "netns", namespace)
        run("ip", "-n", LAN, "link", "set", member, "master", "lan", "up")
        run("ip", "-n", namespace, "address", "add", f"{ADDRESSES[member]}/16", "dev", "eth0")
        run("ip", "-n", namespace, "link", "set", "eth0", "up")

    def add_sources(self, count):
        """Gives the client as many further addresses."""
        first = [int(part) for part in SOURCES.split(".")]
        commands = "".join(
            f"address add {first[0]}.{first[1]}.{first[2] + index // 256}.{index % 256}/16 "
            "dev eth0\n" for index in range(count))
        subprocess.run(
            ["ip", "-n", PREFIX + "client", "-batch", "-"], input=commands, text=True, check=True)

    def unplug(self, member):
        run("ip", "-n", LAN, "link", "set", member, "down")

    def plug(self, member):
        run("ip", "-n", LAN, "link", "set", member, "up")

    def down(self):
        names = [line.split()[0] for line in run("ip", "netns", "list").splitlines()]
        names = [name for name in names if name.startswith(PREFIX)]
        # Whoever lives in a namespace of the lab belongs to the lab.
        for name in names:
            for _ in range(100):
                pids = run("ip", "netns", "pids", name, check=False).split()
                if not pids:
                    break
                for pid in pids:
                    try:
                        os.kill(int(pid), signal.SIGKILL)
                    except ProcessLookupError:
                        pass
                time.sleep(0.02)
            run("ip", "netns", "delete", name)

    def unlock(self):
        if self._lock:
            os.unlink(LOCK)
            self._lock.close()
            self._lock = None
