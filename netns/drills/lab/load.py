# SPDX-License-Identifier: Apache-2.0
#
# The open-loop clients (load.c) and what they measured.

import array
import bisect

from .names import ADDRESSES
from .process import Program

OUTCOMES = {
    -1: "no connection", -2: "reset", -3: "timeout", -4: "cut short", -5: "no descriptor"}


def percentile(ordered, share):
    """Of sorted values; 0 when there are none."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Result:
    """What became of each request; latencies in milliseconds count from when it was due."""

    def __init__(self, lines):
        start, late_us, _ = next(lines).split()
        self.start_ns = int(start)
        self.late_ms = int(late_us) / 1000
        self.due_us = array.array("q")
        self.latency_ms = array.array("d")
        self.outcome = array.array("h")
        self.session = array.array("l")
        self.backend = []
        self.word = []
        for line in lines:
            due, latency, outcome, session, _, backend, word = line.split()
            self.due_us.append(int(due))
            self.latency_ms.append(int(latency) / 1000)
            self.outcome.append(int(outcome))
            self.session.append(int(session))
            self.backend.append(backend)
            self.word.append(word)
        self._sort()

    def _sort(self):
        """Requests are written as they end; here they are in the order in which they were due."""
        order = sorted(range(len(self.due_us)), key=self.due_us.__getitem__)
        for name in ("due_us", "latency_ms", "outcome", "session", "backend", "word"):
            values = getattr(self, name)
            ordered = [values[index] for index in order]
            kind = getattr(values, "typecode", None)
            setattr(self, name, array.array(kind, ordered) if kind else ordered)

    def all(self):
        return View(self, range(len(self.due_us)))

    def between(self, from_ns, to_ns):
        """Requests that were due between two moments of the monotonic clock."""
        low = bisect.bisect_left(self.due_us, (from_ns - self.start_ns) // 1000)
        high = bisect.bisect_left(self.due_us, (to_ns - self.start_ns) // 1000)
        return View(self, range(low, high))

    def seconds(self, from_s, to_s=1e9):
        """Requests that were due between two times after the start."""
        return self.between(
            self.start_ns + int(from_s * 1e9), self.start_ns + int(min(to_s, 1e6) * 1e9))


class View:
    """Some requests of a result."""

    def __init__(self, result, indexes):
        self.result = result
        self.indexes = indexes

    @property
    def count(self):
        return len(self.indexes)

    def where(self, backend=None, word=None, sessions=None):
        result = self.result
        return View(result, [
            index for index in self.indexes
            if (backend is None or result.backend[index] == backend)
            and (word is None or result.word[index] == word)
            and (sessions is None or result.session[index] in sessions)])

    def latencies(self):
        """Of answered requests, sorted."""
        result = self.result
        return sorted(
            result.latency_ms[index] for index in self.indexes if result.outcome[index] > 0)

    def p(self, *shares):
        ordered = self.latencies()
        values = [percentile(ordered, share / 100) for share in shares]
        return values[0] if len(values) == 1 else values

    @property
    def mean(self):
        ordered = self.latencies()
        return sum(ordered) / len(ordered) if ordered else 0.0

    def errors(self):
        """How many of each kind of failure: 5xx by code, or what broke."""
        found = {}
        for index in self.indexes:
            outcome = self.result.outcome[index]
            if 0 < outcome < 500:
                continue
            name = OUTCOMES.get(outcome, str(outcome))
            found[name] = found.get(name, 0) + 1
        return found

    @property
    def failed(self):
        return sum(self.errors().values())

    @property
    def error_rate(self):
        return self.failed / self.count if self.count else 0.0

    def count_of(self, *kinds):
        errors = self.errors()
        return sum(errors.get(kind, 0) for kind in kinds)

    @property
    def server_errors(self):
        return sum(1 for index in self.indexes if self.result.outcome[index] >= 500)

    @property
    def broken(self):
        """Requests without an answer: no connection, reset, timeout, cut short."""
        return sum(1 for index in self.indexes if self.result.outcome[index] < 0)

    def by_backend(self, names=()):
        """Requests that each backend answered."""
        found = dict.fromkeys(names, 0)
        for index in self.indexes:
            name = self.result.backend[index]
            if name != "-":
                found[name] = found.get(name, 0) + 1
        return found

    def shares(self, names):
        """The same as parts of all answers."""
        counts = self.by_backend(names)
        total = sum(counts.values()) or 1
        return {name: counts[name] / total for name in names}

    def by_time(self, step_s=1.0):
        """(seconds after the start, view) for each step that has requests."""
        groups = {}
        for index in self.indexes:
            groups.setdefault(int(self.result.due_us[index] / 1e6 / step_s), []).append(index)
        return [(step * step_s, View(self.result, groups[step])) for step in sorted(groups)]


class Load(Program):
    """One run of load.c in the client's namespace."""

    serial = 0
    # How late the clients themselves were, at worst, in any run: what a busy machine adds.
    late_ms_max = 0.0

    def __init__(self, lab, to, **options):
        Load.serial += 1
        self.out = lab.directory / f"load-{Load.serial}.txt"
        self.seconds = options.get("seconds", 10)
        words = [lab.program("load"), "--to", f"{ADDRESSES[to.member]}:{to.port}",
                 "--out", self.out]
        for key, value in options.items():
            words += [f"--{key}", value]
        super().__init__(lab, "client", f"load-{Load.serial}", words)

    def result(self):
        """Waits for its end."""
        status = self.process.wait(self.seconds + 60)
        if status:
            raise RuntimeError(f"load ended with {status}: {self.tail()}")
        with open(self.out, encoding="ascii") as file:
            result = Result(iter(file))
        self.out.unlink()
        Load.late_ms_max = max(Load.late_ms_max, result.late_ms)
        return result
