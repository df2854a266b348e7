# SPDX-License-Identifier: Apache-2.0
#
# One lab from start to end: a directory, a network, programs, and their end however it comes.

import json
import os
import resource
import shutil
import subprocess

from .load import Load
from .names import ADDRESSES, BACKEND_PORT, DIRECTORY, HERE
from .network import Network
from .process import Backend, Program, wait_until

SOURCES = {
    "backend": (["backend.c", "sessions.c"], ["-lhiredis", "-lm"]), "load": (["load.c"], ["-lm"])}


class Laboratory:
    """Use it in `with`: it leaves nothing behind."""

    def __init__(self, backends, balancers=("lb",), more=()):
        self.names = backends
        self.directory = None
        self.network = Network()
        self.members = ["client", *balancers, *backends, *more]
        self.programs = []
        self.compiled = {}
        self.backends = {}

    def __enter__(self):
        try:
            limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            self.network.lock()
            self.network.up(self.members)
            self.make_directory()
            for name in self.names:
                self.backends[name] = Backend(self, name, ADDRESSES[name], BACKEND_PORT)
                self.run(self.backends[name])
            # What we do at a moment must happen then; see `inside` for the programs.
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def make_directory(self):
        """One place for logs and sockets; what a killed drill left there goes."""
        shutil.rmtree(DIRECTORY, ignore_errors=True)
        DIRECTORY.mkdir(mode=0o700)
        self.directory = DIRECTORY

    def program(self, name):
        """A program of this folder, compiled once."""
        if name not in self.compiled:
            files, libraries = SOURCES[name]
            binary = self.directory / name
            compiler = subprocess.Popen(
                ["gcc", "-O2", "-Wall", "-Wextra", "-o", binary, *[HERE / file for file in files],
                 *libraries])
            try:
                status = compiler.wait()
            finally:
                # Whoever interrupts us must not leave a compiler that writes into what is gone.
                compiler.wait()
            if status:
                raise RuntimeError(f"{name} does not compile: see netns/packages")
            self.compiled[name] = binary
        return self.compiled[name]

    def run(self, program):
        """Starts a program that ends with the lab."""
        if program not in self.programs:
            self.programs.append(program)
        program.start()
        if hasattr(program, "port") and not isinstance(program, Backend):
            program.await_port("", program.port)
        return program

    def stop(self, program):
        program.stop()
        if program in self.programs:
            self.programs.remove(program)

    def load(self, to, **options):
        """Starts clients; ask for `.result()`."""
        return self.run(Load(self, to, **options))

    def redis(self):
        """A Redis in a namespace of its own; returns its address and port."""
        words = ["redis-server", "--port", 6379, "--save", "", "--appendonly", "no",
                 "--protected-mode", "no", "--dir", self.directory]
        program = self.run(Program(self, "redis", "redis", words))
        wait_until("redis runs", 5, lambda: "Ready to accept" in program.tail())
        return ADDRESSES["redis"], 6379

    def set_all(self, *lines):
        """Settings for all backends."""
        for backend in self.backends.values():
            backend.keep(*lines)

    def stats(self):
        """What the backends counted, by name."""
        return {
            name: json.loads(backend.tell("stats"))
            for name, backend in self.backends.items() if backend.is_running}

    def attempts(self):
        """Requests that reached any backend."""
        return sum(stats["traffic"] for stats in self.stats().values())

    def close(self):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        for program in self.programs:
            if program.is_running:
                program.process.kill()
        for program in self.programs:
            program.wait()
        # Before we hold the lock the lab is another drill's.
        if self.network.is_ours:
            self.network.down()
        if self.directory:
            shutil.rmtree(self.directory, ignore_errors=True)
        self.network.unlock()
