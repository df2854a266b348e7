# SPDX-License-Identifier: Apache-2.0
#
# A name server from somewhere else: dnsmasq on the client's address, with a file of hosts that it
# reads again at SIGHUP.

import contextlib
import shutil
import signal
from collections import Counter

from client import get
from configuration import configuration
from lab import ADDRESS, NODES, RUNTIME, expect, poll

MISSING = None if shutil.which("dnsmasq") else "dnsmasq is not installed"
PORT = 5353
SERVICE = "_http._tcp.app.test"
CONFIGURATION = configuration(pools={
    "app": ["app.test:8080"],
    "service": [f"srv:{SERVICE}"],
}) + f"""
dns:
  servers: [{ADDRESS["client"]}:{PORT}]
  timeout: 500ms
  ttl_min: 100ms
"""


class _Dnsmasq:
    def __init__(self, lab):
        self.lab = lab
        self.hosts = RUNTIME / "client" / "hosts"
        self.pid_file = RUNTIME / "client" / "dnsmasq.pid"
        self.process = None

    def host(self, name, *addresses):
        self.hosts.write_text("".join(f"{address} {name}\n" for address in addresses))
        if self.process:
            self.lab.signal_pid_file(self.pid_file, signal.SIGHUP)

    def start(self):
        self.process = self.lab.spawn(
            "client", "dnsmasq", "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts",
            "--conf-file=/dev/null", f"--pid-file={self.pid_file}",
            "--user=root", "--log-facility=-",
            "--bind-interfaces", f"--listen-address={ADDRESS['client']}", f"--port={PORT}",
            f"--addn-hosts={self.hosts}", "--local=/test/",
            f"--host-record=three.test,{ADDRESS['be3']}",
            f"--srv-host={SERVICE},three.test,8080,0,5")
        poll(5, "dnsmasq runs", lambda: self.pid_file.exists() and self.pid_file.read_text())

    def stop(self):
        # The process of ours is the one that entered the namespace.
        self.lab.signal_pid_file(self.pid_file, signal.SIGTERM)
        self.process.wait(5)
        self.pid_file.unlink(missing_ok=True)


@contextlib.contextmanager
def _server(lab, *addresses):
    server = _Dnsmasq(lab)
    server.host("app.test", *addresses)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _served(path, count=12):
    found = Counter()
    for index in range(count):
        response = get(path=path)
        expect(response.status == 200, f"request {index} of {path}: status {response.status}")
        found[response.text.split()[0]] += 1
    return found


def _becomes(lab, path, *backends):
    def is_so():
        for node in NODES:
            lab.ctl(node, "refresh names")
        return get(path=path).status == 200 and set(_served(path)) == set(backends)
    poll(10, f"{path} is served by {backends}", is_so, every=0.1)


def an_address_that_is_added_gets_traffic(lab):
    with _server(lab, ADDRESS["be1"]) as server:
        _becomes(lab, "/app/", "be1")
        server.host("app.test", ADDRESS["be1"], ADDRESS["be2"])
        _becomes(lab, "/app/", "be1", "be2")
    # It is dead now, and missed by nobody.
    expect(set(_served("/app/", 40)) == {"be1", "be2"}, "the addresses died with the server")


def services_and_many_addresses_are_answered(lab):
    with _server(lab, *(f"10.77.1.{index}" for index in range(1, 101))):
        _becomes(lab, "/service/", "be3")

        def count():
            lab.ctl("lb1", "refresh names")
            names = lab.status("lb1")["names"]
            return len(next(row for row in names if row["name"] == "app.test")["targets"])
        # A hundred addresses do not fit a datagram; 64 are taken.
        poll(10, lambda: f"64 of 100 addresses are taken: {count()}", lambda: count() == 64)
        expect("36 left out" in lab.log("lb1"), "the limit is not logged")
