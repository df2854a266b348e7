# SPDX-License-Identifier: Apache-2.0
#
# The two-node lab of netns/ as drills use it: Tandem or keepalived with HAProxy, faults by
# netns/kill, `tandem drill` as the load. Belongs to no test of balancing.

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from .holders import HolderWatch
from .names import BINARY, RESULTS, ROOT
from .process import ask

NETNS = ROOT / "netns"
VIP = "10.77.0.100"
NODES = ("lb1", "lb2")
KINDS = ("tandem", "keepalived")


class PairLab:
    """Up in `with`, gone afterwards; several with other names may run side by side.

    `more` are further words for netns/up.
    """

    def __init__(self, kind, interval, name="tandem-drill-", more=()):
        self.kind = kind
        self.interval = interval
        self.name = name
        self.more = more
        self.runtime = f"/run/{name.rstrip('-')}-lab"
        self.environment = {
            **os.environ, "TANDEM_LAB": name, "TANDEM_RUNTIME": self.runtime,
            "TANDEM_BINARY": str(BINARY)}

    def script(self, name, *words, check=True):
        done = subprocess.run(
            [NETNS / name, *map(str, words)], env=self.environment, text=True,
            capture_output=True, check=False)
        if check and done.returncode:
            raise RuntimeError(f"{name} {words}: {done.stdout}{done.stderr}")
        return done.stdout

    def __enter__(self):
        self.script("down")
        try:
            self.script(
                "up", "--pair", self.kind, "--advert-interval", self.interval, *self.more)
        except BaseException:
            self.script("down")
            raise
        return self

    def __exit__(self, *_):
        self.script("down")

    def namespace(self, member):
        return self.name + member

    def shell(self, member, *words, text=None):
        done = subprocess.run(
            ["nsenter", f"--net=/run/netns/{self.namespace(member)}", *map(str, words)],
            input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{words} on {member}: {done.stderr}")
        return done.stdout

    def watch(self):
        return HolderWatch(self.namespace("client"), VIP)

    def takeovers(self):
        """Lines of the nodes' logs that say that one became active."""
        words = {
            "tandem": ("tandem.log", r"backup -> active|active -> backup"),
            "keepalived": ("keepalived.log", r"Entering MASTER STATE")}
        file, pattern = words[self.kind]
        found = []
        for node in NODES:
            with open(f"{self.runtime}/{node}/{file}", encoding="utf-8", errors="replace") as log:
                found += [f"{node} {line.strip()}" for line in log if re.search(pattern, line)]
        return found

    def metric(self, node, name):
        """The sum of a metric's samples on a node of Tandem; 0 when it has none."""
        text = self.shell(
            node, "curl", "--silent", "--max-time", "2", "http://127.0.0.1:9900/metrics")
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
            if re.match(name + r"[ {]", line))

    def status(self, node):
        """What a node of Tandem says of itself; nothing when it does not answer."""
        try:
            return json.loads(self.shell(
                node, "curl", "--silent", "--max-time", "2", "http://127.0.0.1:9900/status"))
        except (RuntimeError, ValueError):
            return None

    def active(self):
        """The node of Tandem that says it is active."""
        for node in NODES:
            if (self.status(node) or {}).get("role") == "active":
                return node
        raise RuntimeError("no node is active")

    def backup(self):
        """The other one."""
        active = self.active()
        return next(node for node in NODES if node != active)

    def backend(self, node, pool, name):
        pools = {each["name"]: each for each in self.status(node)["pools"]}
        return next(each for each in pools[pool]["backends"] if each["name"] == name)

    def tell(self, node, line):
        """One command to a node's runtime socket."""
        return ask(f"{self.runtime}/{node}/run/admin.sock", line)

    def start(self, node):
        """Starts what of the pair does not run on a node; does not wait for anything."""
        return subprocess.run(
            ["bash", "-c", f". {NETNS}/lab.sh; start_node {node}"], env=self.environment,
            check=True)

    def filter_link(self, rule):
        """A rule of nftables for what each node receives of the other on the pair's ports."""
        for node in NODES:
            for side in ("sport", "dport"):
                self.shell(
                    node, "nft", "-f", "-",
                    text="table inet pair_link { chain input {\n"
                    "type filter hook input priority 0;\n"
                    f"tcp {side} {{ 7946, 7947 }} {rule}\n}}\n}}\n")

    def unfilter(self):
        for node in NODES:
            self.shell(
                node, "nft", "-f", "-",
                text="table inet pair_link { }\ndelete table inet pair_link\n")

    def keep_logs(self, folder):
        """Copies every log of the lab; says where they are."""
        folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(Path(self.runtime).glob("*/*.log")):
            shutil.copyfile(file, folder / f"{file.parent.name}-{file.name}")
        return f"logs are in {folder}"

    def executed_twice(self, kind):
        """Numbers of requests that backends of mirror.c have seen more than once: P or G."""
        seen, twice = set(), []
        for ledger in Path(self.runtime).glob("*/ledger"):
            for line in ledger.read_text(encoding="ascii").splitlines():
                if line[0] != kind:
                    continue
                if line in seen:
                    twice.append(line)
                seen.add(line)
        return twice

    def drop_adverts(self, percent):
        """Loses adverts at random where each node receives them."""
        for node in NODES:
            self.shell(
                node, "nft", "-f", "-",
                text="table inet loss { chain input { type filter hook input priority 0;\n"
                f"meta l4proto 112 numgen random mod 100 < {percent} counter drop;\n"
                "meta l4proto 112 counter;\n}\n}\n")

    def lost_and_passed(self):
        lost = passed = 0
        for node in NODES:
            counts = re.findall(
                r"counter packets (\d+)", self.shell(node, "nft", "list", "table", "inet", "loss"))
            lost, passed = lost + int(counts[0]), passed + int(counts[1])
        return lost, passed

    def drill(self, fault, runs, seconds=1, rate=500, seed=1, label="drill", keep_alive=20):
        """`tandem drill` from the client; starts it, `finish` waits for its report."""
        return RunningDrill(self, fault, runs, seconds, rate, seed, label, keep_alive)


class RunningDrill:
    """One `tandem drill` with a watch over who holds the address."""

    def __init__(self, lab, fault, runs, seconds, rate, seed, label, keep_alive):
        RESULTS.mkdir(exist_ok=True)
        self.lab = lab
        self.path = RESULTS / f".{lab.name}{label}.json"
        self.watch = lab.watch()
        self.process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{lab.namespace('client')}", BINARY, "drill",
             "--vip", f"http://{VIP}/", "--fault", fault, "--restore", NETNS / "heal",
             "--status", f"{NETNS}/status --json", "--runs", str(runs), "--rate", str(rate),
             "--keep-alive-clients", str(keep_alive), "--advert-interval", lab.interval,
             "--duration", f"{seconds}s", "--seed", str(seed), "--json", self.path],
            env=lab.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def finish(self):
        output, _ = self.process.communicate()
        self.watch.stop()
        if not self.path.exists():
            raise RuntimeError(output)
        report = json.loads(self.path.read_text(encoding="utf-8"))
        self.path.unlink()
        return report, self.watch
