# SPDX-License-Identifier: Apache-2.0
#
# One drill: its arguments, its tables and bars, its report files, its exit code.

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

from . import plot
from .load import Load
from .names import BINARY, RESULTS

TOOLS = ("ip", "nsenter", "setpriv", "chrt", "gcc")


class Drill:
    """Collects what a drill finds. `Drill.main` runs one and ends the process: 0 when every bar
    holds, 1 when one is missed or the drill broke, 2 for arguments that make no sense."""

    def __init__(self, name, title, arguments):
        self.name = name
        self.title = title
        self.is_quick = arguments.quick
        self.seed = arguments.seed
        self.started = time.monotonic()
        self.data = {}
        self.tables = []
        self.bars = []
        self.panels = []

    @classmethod
    def main(cls, file, words, measure, tools=()):
        """Runs `measure(drill)`; `words` is what --help says, its first line the title."""
        name = Path(file).name
        words = words.strip()
        parser = argparse.ArgumentParser(
            prog=name, description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument(
            "--quick", action="store_true",
            help="a short run; bars that need many requests are looser")
        parser.add_argument("--seed", type=int, default=1, help="of arrivals and costs (1)")
        arguments = parser.parse_args()
        os.environ["PATH"] += ":/usr/sbin:/sbin"
        if os.geteuid() != 0:
            sys.exit(f"{name}: network namespaces need root: run it with sudo")
        for tool in (*TOOLS, *tools):
            if not shutil.which(tool):
                sys.exit(f"{name}: {tool} is missing: see netns/packages")
        if not os.access(BINARY, os.X_OK):
            sys.exit(f"{name}: {BINARY} is missing: "
                     "swift build -c release --static-swift-stdlib --product tandem")
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, cls._leave)
        drill = cls(name, words.splitlines()[0].rstrip("."), arguments)
        print(f"== {name}: {drill.title}", flush=True)
        try:
            measure(drill)
        except Exception:
            traceback.print_exc()
            print(f"{name}: broke after {drill.elapsed:.0f} s", file=sys.stderr, flush=True)
            sys.exit(1)
        sys.exit(drill._finish())

    @staticmethod
    def _leave(number, _):
        # A second signal must not leave half a lab behind.
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)

    @property
    def elapsed(self):
        return time.monotonic() - self.started

    def pick(self, usual, quick):
        """A number of the full drill or of the short one."""
        return quick if self.is_quick else usual

    def say(self, words):
        print(f"[{self.elapsed:5.1f} s] {words}", flush=True)

    def table(self, title, header, rows):
        rows = [[self._cell(value) for value in row] for row in rows]
        self.tables.append({"title": title, "header": list(header), "rows": rows})
        widths = [
            max(len(row[column]) for row in [list(header), *rows])
            for column in range(len(header))]
        print(f"\n{title}")
        for row in [list(header), *rows]:
            cells = [
                cell.ljust(width) if column == 0 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths))]
            print("  " + "  ".join(cells).rstrip())
        print(flush=True)

    @staticmethod
    def _cell(value):
        if isinstance(value, float):
            return f"{value:.1f}" if abs(value) >= 1 or value == 0 else f"{value:.3f}"
        return "-" if value is None else str(value)

    def bar(self, words, measured, holds):
        """What must hold, and what was measured."""
        self.bars.append({"bar": words, "measured": str(measured), "holds": bool(holds)})

    def draw(self, panel):
        self.panels.append(panel)

    def _finish(self):
        missed = [bar for bar in self.bars if not bar["holds"]]
        print("bars")
        for bar in self.bars:
            word = "held  " if bar["holds"] else "MISSED"
            print(f"  {word}  {bar['bar']}: {bar['measured']}")
        print(f"  the clients' own timers were at most {Load.late_ms_max:.1f} ms late")
        RESULTS.mkdir(exist_ok=True)
        document = {
            "drill": self.name, "title": self.title, "quick": self.is_quick, "seed": self.seed,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "seconds": round(self.elapsed, 1), "cpus": os.cpu_count(),
            "kernel": platform.release(), "clients_late_ms_max": Load.late_ms_max,
            "holds": not missed, "bars": self.bars,
            "tables": self.tables, "data": self.data}
        path = RESULTS / f"{self.name}.json"
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        verdicts = [(f"{bar['bar']}: {bar['measured']}", bar["holds"]) for bar in self.bars]
        path.with_suffix(".svg").write_text(
            plot.page(self.title, verdicts, self.panels), encoding="utf-8")
        print(f"\n{self.name}: {'MISSED' if missed else 'held'} in {self.elapsed:.0f} s; "
              f"results/{self.name}.json, results/{self.name}.svg", flush=True)
        return 1 if missed else 0
