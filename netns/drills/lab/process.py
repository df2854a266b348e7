# SPDX-License-Identifier: Apache-2.0
#
# Programs that a drill runs in its namespaces, and talk with them over unix sockets, which need no
# network.

import signal
import socket
import subprocess
import time

from .network import inside


def wait_until(what, seconds, holds):
    """Polls until `holds()`; raises with the words `what` when it takes too long."""
    deadline = time.monotonic() + seconds
    while True:
        value = holds()
        if value:
            return value
        if time.monotonic() > deadline:
            raise RuntimeError(f"after {seconds} s still not: {what}")
        time.sleep(0.005)


def ask(path, line, seconds=5, is_one_line=False):
    """One line to a unix socket; its answer, of one line or up to the end."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(seconds)
        peer.connect(str(path))
        peer.sendall(line.encode() + b"\n")
        answer = b""
        while not (is_one_line and answer.endswith(b"\n")):
            part = peer.recv(1 << 16)
            if not part:
                break
            answer += part
        return answer.decode()


class Program:
    """One process in a namespace."""

    def __init__(self, lab, member, name, words):
        self.lab = lab
        self.member = member
        self.name = name
        self.words = [str(word) for word in words]
        self.log = lab.directory / f"{name}.log"
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                inside(self.member, *self.words), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.lab.directory)
        return self

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def send(self, number):
        if self.is_running:
            self.process.send_signal(number)

    def kill(self):
        """What a crash is: no goodbye."""
        self.send(signal.SIGKILL)
        self.wait()

    def wait(self):
        if self.process is not None:
            self.process.wait()

    def stop(self, seconds=3):
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        try:
            if self.process is not None:
                self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def tail(self, lines=20):
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def await_port(self, address, port):
        """Waits until it accepts connections; asked from its own namespace."""
        def answers():
            if not self.is_running:
                raise RuntimeError(f"{self.name} does not start:\n{self.tail()}")
            # The kernel's table of listening sockets, without a connection that it would see.
            table = open(f"/proc/{self.process.pid}/net/tcp", encoding="ascii").read()
            return any(
                line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
                for line in table.splitlines()[1:])
        wait_until(f"{self.name} listens on {address}:{port}", 10, answers)
        return self


class Backend(Program):
    """A backend that can be told what to be (backend.c)."""

    def __init__(self, lab, name, address, port):
        self.control_path = lab.directory / f"{name}.control"
        self.address = address
        self.port = port
        self.settings = []
        super().__init__(lab, name, name, [
            lab.program("backend"), "--name", name, "--listen", f"{address}:{port}",
            "--control", self.control_path])

    def start(self):
        """Starts it, or starts it again with the settings it was given to keep."""
        self.control_path.unlink(missing_ok=True)
        super().start()
        self.await_port(self.address, self.port)
        wait_until(f"{self.name} takes commands", 5, self.control_path.exists)
        for line in self.settings:
            self.tell(line)
        return self

    def keep(self, *lines):
        """Settings that it has after each start."""
        self.settings = list(lines)
        if self.is_running:
            for line in lines:
                self.tell(line)

    def tell(self, line):
        answer = ask(self.control_path, line, is_one_line=True).strip()
        if answer.startswith("failed"):
            raise RuntimeError(f"{self.name}: {line}: {answer}")
        return answer

    def series(self):
        """When its log of arrivals starts (monotonic, ns), and requests in each 10 ms."""
        words = self.tell("series").split()
        return int(words[0]), [int(word) for word in words[1:]]

