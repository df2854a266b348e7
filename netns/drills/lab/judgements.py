# SPDX-License-Identifier: Apache-2.0
#
# What the clients of keep.c said after each of many faults of one kind on one pair: sums, medians
# and spread over the runs, bars, and the tables for people.

import statistics

FATES = ("count", "kept", "reset", "closed", "hanging", "wrong", "silent")
OUTCOMES = ("answered", "reset", "closed", "timed_out", "wrong", "no_connection", "server_error")
# Connections that a crash may cost of those that were idle.
IDLE_KEPT_MIN = {"crash": 0.999, "poweroff": 1.0, "freeze": 1.0, "switchover": 1.0}
# A connection that is lost is told so within this after the address moved.
TOLD_MS_MAX = 100
LOST_SHOWN = 20


def spread(values):
    """Median, smallest and largest, or nothing."""
    values = [value for value in values if value is not None]
    if not values:
        return None
    return {
        "median": round(statistics.median(values), 3), "min": round(min(values), 3),
        "max": round(max(values), 3)}


def share(part, whole):
    return part / whole if whole else None


def percent(part, whole):
    return "-" if not whole else f"{100 * part / whole:.2f} %" if part < whole else "100 %"


class Row:
    """One fault on one pair."""

    def __init__(self, kind, fault, level):
        self.kind, self.fault, self.level = kind, fault, level
        self.runs = []
        self.outside = {}
        self.twice = []
        self.repeated = 0
        self.broken = []

    def add(self, judgement, number):
        """Takes one run; returns lines about what was lost."""
        judgement["run"] = number
        self.runs.append(judgement)
        # Where a connection is lost by design, one line for each would say nothing.
        judgement["details"] = [
            detail for detail in judgement["details"]
            if self.kind == "tandem" and (
                self.level == "requests" or detail["what"] == "wrong"
                or self.level == "idle" and detail["state"] == "idle")]
        return [self.describe(detail) for detail in judgement["details"][:LOST_SHOWN]]

    @staticmethod
    def describe(detail):
        words = (f"client {detail['client']} port {detail['port']}, {detail['state']}: "
                 f"{detail['what']} at {detail['at_ms']:+.1f} ms")
        if detail["state"] == "busy":
            words += f", asked {detail['number']} at {detail['due_ms']:+.1f} ms"
        words += f", {detail['received']} bytes received"
        if "wrong_offset" in detail:
            words += f", body wrong from byte {detail['wrong_offset']}"
        return f"{words}: {detail['bytes']!r}"

    def add_outside(self, outside):
        """What happened while the pair was healed before a run."""
        for name, count in outside.items():
            self.outside[name] = self.outside.get(name, 0) + count

    def total(self, group, name):
        return sum(run[group][name] for run in self.runs)

    def line(self):
        """The last run in one line."""
        run = self.runs[-1]
        idle, busy, gets = run["idle"], run["busy"], run["gets"]
        told = run["told_ms"].get("max")
        return (
            f"idle {idle['kept']}/{idle['count']} kept, busy {busy['kept']}/{busy['count']}, "
            f"{gets['failed']} GETs failed, slowest {gets['latency_ms'].get('max', 0):.1f} ms"
            f"{self.when(gets)}, "
            f"resumed after {run['resumed_ms']:.1f} ms"
            + (f", {run['told_ms']['count']} told within {told:.1f} ms" if told else ""))

    @staticmethod
    def when(gets):
        if "slowest" not in gets:
            return ""
        return f" (asked {gets['slowest']['sent_ms']:+.1f} ms)"

    def document(self):
        runs = self.runs
        return {
            "pair": self.kind, "level": self.level, "fault": self.fault, "runs": len(runs),
            "connections": {
                state: {name: self.total(state, name) for name in FATES}
                for state in ("idle", "busy", "posting")},
            "idle_kept_share": spread(
                share(run["idle"]["kept"], run["idle"]["count"]) for run in runs),
            "lost_before_fault": sum(run["lost_before"] for run in runs),
            "gets": {
                **{name: self.total("gets", name) for name in OUTCOMES},
                "failed": self.total("gets", "failed"),
                "failed_each_run": spread(run["gets"]["failed"] for run in runs),
                "in_flight": self.total("gets", "in_flight"),
                "in_flight_failed": self.total("gets", "in_flight_failed"),
                "repeated_at_backends": self.repeated},
            "posts": {
                **{name: self.total("posts", name) for name in OUTCOMES},
                "in_flight": self.total("posts", "in_flight"),
                "executed_twice": len(self.twice)},
            "slowest_ms": spread(run["gets"]["latency_ms"].get("max") for run in runs),
            "median_ms": spread(run["gets"]["latency_ms"].get("p50") for run in runs),
            "first_answer_ms": spread(run["resumed_ms"] for run in runs),
            "last_carried_answer_ms": spread(
                run["gets"]["carried_ms"].get("max") for run in runs),
            "gap_ms": spread(run["gap_ms"] for run in runs),
            "told_ms": {
                "median": spread(run["told_ms"].get("p50") for run in runs),
                "max": spread(run["told_ms"].get("max") for run in runs)},
            "clients_late_ms": spread(run["late_ms"] for run in runs),
            "between_faults": self.outside,
            "holds": not self.broken, "broken": self.broken, "each_run": runs}

    # Bars

    def judge(self, slowest_ms):
        """The bars are Tandem's; keepalived is there to compare with."""
        self.broken = []
        if self.kind == "tandem":
            self.broken = [words for words, holds in self.bars(slowest_ms) if not holds]

    def bars(self, slowest_ms):
        idle, busy = self.total("idle", "count"), self.total("busy", "count")
        states = ("idle", "busy", "posting")
        for name in ("hanging", "wrong", "silent"):
            count = sum(self.total(state, name) for state in states)
            yield f"{count} connections {name}", count == 0
        yield f"{self.total('gets', 'wrong')} wrong answers", self.total("gets", "wrong") == 0
        yield f"{len(self.twice)} POSTs executed twice", not self.twice
        # A request repeated on a connection that was carried over must not be lost when the pair
        # heals either.
        lost = sum(
            count for name, count in self.outside.items() if name.startswith(("lost", "failed")))
        yield f"{lost} lost while healing", lost == 0
        for run in self.runs if self.level != "off" or self.fault != "switchover" else ():
            resumed, told = run["resumed_ms"], run["told_ms"].get("max", 0)
            yield (f"run {run['run']}: told {told - resumed:.0f} ms after the first answer",
                   told - resumed <= TOLD_MS_MAX)
        if self.level == "off" and self.fault != "switchover":
            return
        kept = self.total("idle", "kept")
        needed = IDLE_KEPT_MIN[self.fault] * idle
        if self.level != "off":
            yield f"{kept} of {idle} idle connections kept", kept >= needed
        if self.level == "requests":
            kept = self.total("busy", "kept")
            yield f"{kept} of {busy} waiting connections kept", kept == busy
            failed = self.total("gets", "failed")
            yield f"{failed} GETs failed", failed == 0
            slowest = max(run["gets"]["latency_ms"].get("max", 0) for run in self.runs)
            yield f"slowest {slowest:.0f} ms", slowest < slowest_ms

    # Tables

    HEADER = ("pair", "fault", "runs", "idle kept", "waiting kept", "told at once", "silent",
              "hanging", "GETs failed", "of", "slowest ms", "told ms", "first answer ms")

    def cells(self):
        document = self.document()
        connections = [document["connections"][state] for state in ("idle", "busy")]
        told = sum(each["reset"] + each["closed"] - each["silent"] for each in connections)

        def range_of(values, key="max"):
            return "-" if not values else f"{values['median']:.0f} ({values[key]:.0f})"
        return [
            self.kind, self.fault, str(document["runs"]),
            percent(connections[0]["kept"], connections[0]["count"]),
            percent(connections[1]["kept"], connections[1]["count"]),
            str(max(told, 0)), str(sum(each["silent"] for each in connections)),
            str(sum(each["hanging"] for each in connections)),
            str(document["gets"]["failed"]),
            str(document["gets"]["failed"] + document["gets"]["answered"]),
            range_of(document["slowest_ms"]), range_of(document["told_ms"]["max"]),
            range_of(document["first_answer_ms"])]


def print_table(rows):
    table = [list(Row.HEADER), *(row.cells() for row in rows)]
    widths = [max(len(line[index]) for line in table) for index in range(len(Row.HEADER))]
    for line in table:
        print("  " + "  ".join(
            cell.ljust(width) if index < 2 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths))).rstrip(), flush=True)
    print("  times: median over the runs (worst)", flush=True)


def markdown(rows):
    """The same for a page; times are medians over the runs and, in brackets, the worst."""
    lines = [list(Row.HEADER), ["---"] * len(Row.HEADER), *(row.cells() for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
