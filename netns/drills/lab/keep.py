# SPDX-License-Identifier: Apache-2.0
#
# Thousands of keep-alive clients (keep.c) and the backends they check every byte of (mirror.c), as
# drills of a pair use them.

import json
import os
import resource
import signal
import subprocess
import tempfile
from pathlib import Path

from .names import HERE, ROOT

SOURCES = {"keep": ("keep.c", "keep_report.c"), "mirror": ("mirror.c",)}


class Programs:
    """The two programs, compiled into a directory that goes with `with`."""

    def __enter__(self):
        self._directory = tempfile.TemporaryDirectory(prefix="tandem-drill-")
        folder = Path(self._directory.name)
        # The backends are started by others, by name.
        folder.chmod(0o755)
        try:
            for name, files in SOURCES.items():
                subprocess.run(
                    ["gcc", "-O2", "-Wall", "-Wextra", "-o", folder / name,
                     *[HERE / file for file in files]], check=True)
                setattr(self, name, folder / name)
        except BaseException:
            self._directory.cleanup()
            raise
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        return self

    def __exit__(self, *_):
        self._directory.cleanup()


class KeepAliveClients:
    """Clients in a namespace; load flows from the start. Use it in `with`."""

    def __init__(self, programs, namespace, to, clients, rate, **options):
        self.words = [
            "nsenter", f"--net=/run/netns/{namespace}", programs.keep, "--to", to,
            "--clients", clients, "--rate", rate]
        for name, value in options.items():
            self.words += [f"--{name}", value]

    def __enter__(self):
        self.process = subprocess.Popen(
            [str(word) for word in self.words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True)
        return self

    def _ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the clients ended with {self.process.wait()}")
        return json.loads(answer)

    def open(self):
        """Waits until every client has been answered on its connection; a window begins.

        Returns what happened since the last judgement.
        """
        return self._ask("open")

    def judge(self, fault_wall_ns):
        """What became of everybody since the fault; see keep_report.c."""
        return self._ask(f"judge {fault_wall_ns}")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdin = None


def pair_file(programs, level):
    """The lab's file with this `carry_over` of its listener; without the key when it is off."""
    lines = (ROOT / "netns" / "pair.yaml").read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if not line.startswith("    carry_over:")]
    at = next(index for index, line in enumerate(lines) if line.startswith("    bind: "))
    if level != "off":
        lines.insert(at, f"    carry_over: {level}")
    file = programs.keep.parent / "pair.yaml"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def run_first():
    """This process and all that it starts run before what else the machine has to do: a build
    beside the drill must not be what is measured."""
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
