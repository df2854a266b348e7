# SPDX-License-Identifier: Apache-2.0
#
# The pair in network namespaces as the tests see it: up and down, faults, what each node says and
# what each kernel says. Decides nothing about what is right.

import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from client import get
from namespace import PREFIX, addresses, inside

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "netns"
RUNTIME = Path(os.environ.setdefault("TANDEM_RUNTIME", "/run/t-net"))
VIP = "10.77.0.100"
NODES = ("lb1", "lb2")
MEMBERS = ("lb1", "lb2", "be1", "be2", "be3", "client")
ADDRESS = {
    "lb1": "10.77.0.11", "lb2": "10.77.0.12", "be1": "10.77.0.21", "be2": "10.77.0.22",
    "be3": "10.77.0.23", "client": "10.77.0.200",
}
LINK_PORT = 7946
POLL_INTERVAL_SECONDS = 0.005
METRIC = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")


class Failure(AssertionError):
    """What a test found; the text says it all."""


def expect(condition, text):
    if not condition:
        raise Failure(text)


def pause(seconds):
    """Gives the processor away between two looks; never the thing that a test waits for."""
    select.select([], [], [], seconds)


def poll(seconds, what, condition, every=POLL_INTERVAL_SECONDS):
    """Waits until `condition()` is true and returns its value; fails with `what` at the end."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            what = what() if callable(what) else what
            raise Failure(f"after {seconds} s still not: {what}")
        pause(every)


def throughout(seconds, what, condition, every=POLL_INTERVAL_SECONDS):
    """Looks again and again for so long; fails when `condition()` is false once."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        expect(condition(), what() if callable(what) else what)
        pause(every)


def has_ended(pid):
    """Whether the process has closed everything: gone, or a zombie without other threads."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
    return "State:\tZ" in status and "Threads:\t1\n" in status


def other(node):
    return "lb2" if node == "lb1" else "lb1"


class Lab:
    """One lab; up to one runs at a time."""

    def __init__(self, binary):
        self.binary = str(binary)
        self.is_up = False
        self.configuration = ""
        self._children = {}
        self._nft = set()

    # Up and down

    def up(self, configuration, backends="tandem"):
        """Starts everything and waits until the pair serves."""
        self.down()
        self.configuration = configuration
        file = Path(f"/tmp/{PREFIX}configuration.yaml")
        file.write_text(configuration)
        self.is_up = True
        self.script("up", "--binary", self.binary, "--config", file, "--backends", backends)
        file.unlink()
        self._make_lb1_active()
        self._await_health()

    def _make_lb1_active(self):
        """The better node may have come second: its link-local address is ready when it is."""
        if self.active() in (None, "lb1"):
            return
        poll(10, "the link is up on lb2", lambda: self.link(self.active())["state"] == "up")
        poll(10, "lb1 is in service", lambda: self.is_backup("lb1"))
        self.ctl(self.active(), "switchover")
        poll(10, "lb1 is active", lambda: self.active() == "lb1")

    def is_backup(self, node):
        """Whether a node could take every virtual router over."""
        routers = (self.try_status(node) or {}).get("virtual_routers")
        return bool(routers) and all(router["state"] == "backup" for router in routers)

    def down(self):
        for child in self._children.values():
            if child.poll() is None:
                child.kill()
        self._children = {}
        self._nft = set()
        self.script("down")
        self.is_up = False

    def _await_health(self):
        def all_verified():
            return all(
                backend["state"] not in ("unverified", "down")
                for node in NODES
                for pool in self.status(node)["pools"]
                for backend in pool["backends"])
        poll(10, "every check on both nodes passed", all_verified)

    def restore(self):
        """Undoes what a test did: rules, faults, files; both nodes run and lb1 is active."""
        for member in tuple(self._nft):
            self.unfilter(member)
        if self.config_file().read_text() != self.configuration:
            self.write_configuration(self.configuration)
            for node in NODES:
                self.stop(node)
        for node in NODES:
            # A node of our own start may run from another file.
            if node in self._children:
                self.stop(node)
        self.script("heal")
        self._make_lb1_active()
        self._await_health()

    # Commands

    def script(self, name, *arguments, check=True):
        """One of the lab's scripts."""
        result = subprocess.run(
            [SCRIPTS / name, *map(str, arguments)], capture_output=True, text=True, timeout=60)
        if check:
            expect(
                result.returncode == 0,
                f"netns/{name} {arguments}: exit {result.returncode}\n{result.stdout}"
                f"{result.stderr}")
        return result

    def run(self, member, *command, timeout_seconds=20):
        """A command on a member that sees its own /run/tandem and /etc/tandem."""
        return subprocess.run(
            [SCRIPTS / "exec", member, *map(str, command)], capture_output=True, text=True,
            timeout=timeout_seconds)

    def tandem(self, member, *arguments):
        return self.run(member, self.binary, *arguments)

    def shell(self, member, *command):
        """A command in a member's network; it must succeed."""
        result = subprocess.run(
            ["nsenter", f"--net=/run/netns/{PREFIX}{member}", *map(str, command)],
            capture_output=True, text=True, timeout=20)
        expect(result.returncode == 0, f"{command} on {member}: {result.stderr}")
        return result.stdout

    def filter(self, member, *rules):
        """Adds nftables rules to a member's input and output."""
        self._nft.add(member)
        text = "table inet faults {\n"
        for hook in ("input", "output"):
            lines = [rule for direction, rule in rules if direction == hook]
            text += f"chain {hook} {{ type filter hook {hook} priority 0;\n"
            text += "\n".join(lines) + "\n}\n"
        result = subprocess.run(
            ["nsenter", f"--net=/run/netns/{PREFIX}{member}", "nft", "-f", "-"],
            input=text + "}\n", capture_output=True, text=True, timeout=20)
        expect(result.returncode == 0, f"nft on {member}: {result.stderr}")

    def unfilter(self, member):
        self._nft.discard(member)
        self.shell(member, "nft", "delete", "table", "inet", "faults")

    # Processes

    def process_id(self, node, name="tandem"):
        """The process of a node, or None when it does not live."""
        try:
            pid = int((RUNTIME / node / f"{name}.pid").read_text())
            alive = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return None
        return pid if alive else None

    def start(self, node, *arguments, file="tandem.yaml"):
        """Starts a node as a child, so that its exit code can be read."""
        command = [
            self.binary, "run", "--config", f"/etc/tandem/{file}", "--node", node, *arguments]
        pid_file = RUNTIME / node / "tandem.pid"
        pid_file.unlink(missing_ok=True)
        with open(RUNTIME / node / "tandem.log", "ab") as log:
            self._children[node] = subprocess.Popen(
                [SCRIPTS / "exec", node, "setsid", "bash", "-c",
                 'echo $$ >"$1.new" && mv "$1.new" "$1"; shift; exec "$@"', "start", pid_file,
                 *command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        poll(10, f"a process on {node}", lambda: self.process_id(node))

    def spawn(self, member, name, *command):
        """Another program on a member, with a log of its own; the caller ends it."""
        with open(RUNTIME / member / f"{name}.log", "ab") as log:
            return subprocess.Popen(
                [SCRIPTS / "exec", member, *map(str, command)], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)

    def signal_pid_file(self, file, number):
        os.kill(int(file.read_text()), number)

    def start_ready(self, node, *arguments, file="tandem.yaml"):
        """Starts a node and waits until it answers its operator."""
        self.start(node, *arguments, file=file)
        poll(10, f"{node} runs its part of the pair",
             lambda: (self.try_status(node) or {}).get("virtual_routers"))

    def wait(self, node, timeout_seconds=10):
        """The exit code of a node that `start` started."""
        return self._children.pop(node).wait(timeout_seconds)

    def stop(self, node):
        """Ends a node without a farewell."""
        pid = self.process_id(node)
        if pid:
            os.kill(pid, signal.SIGKILL)
            poll(10, f"{node} has ended", lambda: has_ended(pid))
        child = self._children.pop(node, None)
        if child:
            child.wait(10)

    def kill(self, fault, node="active"):
        """Injects a fault; returns its wall clock in seconds and the node."""
        output = self.script("kill", fault, node).stdout.split()
        return int(output[2].split("=")[1]) / 1e9, output[1]

    def signal(self, node, number):
        os.kill(self.process_id(node), number)

    def memory_bytes(self, node):
        for line in Path(f"/proc/{self.process_id(node)}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise Failure(f"{node} has no memory")

    # What the kernels say

    def holders(self):
        """Every member whose namespace has the VIP."""
        return [member for member in MEMBERS if VIP in addresses(member)]

    def holds(self, member):
        return VIP in addresses(member)

    def expect_one_holder(self, node, seconds, steady_seconds=0.5):
        """Within `seconds` the node alone holds the VIP, and then goes on."""
        poll(seconds, lambda: f"{node} alone holds the VIP, now {self.holders()}",
             lambda: self.holders() == [node])
        throughout(steady_seconds, lambda: f"the VIP moved on to {self.holders()}",
                   lambda: self.holders() == [node])

    # What the nodes say

    def try_status(self, node):
        """A node's document, or None when it does not answer."""
        try:
            return self.status(node)
        except (OSError, ValueError):
            return None

    def status(self, node):
        response = get("127.0.0.1", "/status", member=node, port=9900, timeout_seconds=2)
        return json.loads(response.body)

    def router(self, node):
        return self.status(node)["virtual_routers"][0]

    def link(self, node):
        return self.status(node)["link"] or {"state": "down", "down_reason": "not started"}

    def active(self):
        """The node that says it is active, or None."""
        for node in NODES:
            status = self.try_status(node)
            if status and status["role"] == "active":
                return node
        return None

    def failover(self, node):
        return self.router(node)["last_failover"]

    def metric(self, node, name, /, **labels):
        """The sum of a metric's samples that have these labels."""
        response = get("127.0.0.1", "/metrics", member=node, port=9900, timeout_seconds=2)
        total = None
        for line in response.body.decode().splitlines():
            match = METRIC.match(line)
            if not match or match[1] != name:
                continue
            found = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
            if all(found.get(key) == value for key, value in labels.items()):
                total = (total or 0) + float(match[3])
        expect(total is not None, f"{node} has no metric {name} {labels}")
        return total

    def link_event(self, node, event):
        return self.metric(node, "tandem_pair_link_events_total", event=event)

    def transitions(self):
        return [self.metric(node, "tandem_vrrp_transitions_total") for node in NODES]

    def ctl(self, node, command):
        """One command to the runtime socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(5)
            connection.connect(str(RUNTIME / node / "run" / "admin.sock"))
            connection.sendall(command.encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n\n"):
                chunk = connection.recv(65536)
                if not chunk:
                    break
                answer += chunk
        return answer.decode()

    def backend(self, node, pool, name):
        for candidate in self.status(node)["pools"]:
            if candidate["name"] == pool:
                return next(row for row in candidate["backends"] if row["name"] == name)
        raise Failure(f"{node} has no pool {pool}")

    # Files

    def config_file(self, name="tandem.yaml"):
        return RUNTIME / "etc" / name

    def write_configuration(self, text, name="tandem.yaml"):
        new = self.config_file(name + ".new")
        new.write_text(text)
        new.rename(self.config_file(name))

    def log(self, node, since=0):
        with open(RUNTIME / node / "tandem.log", errors="replace") as file:
            file.seek(since)
            return file.read()

    def log_size(self, node):
        return (RUNTIME / node / "tandem.log").stat().st_size

    def save_logs(self, folder):
        """Keeps every log of the lab; returns the files."""
        folder.mkdir(parents=True, exist_ok=True)
        kept = []
        for file in sorted(RUNTIME.glob("*/*.log")):
            kept.append(folder / f"{file.parent.name}-{file.name}")
            shutil.copyfile(file, kept[-1])
        return kept


__all__ = [name for name in dir() if not name.startswith("_")] + ["inside"]
