# SPDX-License-Identifier: Apache-2.0
#
# The failover timer end to end, briefly: it injects, restores, measures and reports. How fast the
# pair is belongs to netns/drills.

import json
import tempfile
from pathlib import Path

from configuration import configuration
from lab import SCRIPTS, VIP, expect

CONFIGURATION = configuration(advertise_interval="1s")
RUNS = 2
GAP_MAX_NANOSECONDS = 1_000_000_000


def _drill(lab, *arguments):
    with tempfile.TemporaryDirectory() as folder:
        report, page = Path(folder) / "report.json", Path(folder) / "report.html"
        result = lab.run(
            "client", lab.binary, "drill", "--vip", f"http://{VIP}/",
            "--status", f"{SCRIPTS}/status --json", "--json", report, "--html", page,
            "--advert-interval", "1s", "--timeout", "1s", "--restore", f"{SCRIPTS}/heal",
            *arguments, timeout_seconds=60)
        expect(report.exists(), f"exit {result.returncode}: {result.stdout}{result.stderr}")
        expect("<svg" in page.read_text(), "the page has no plot")
        return result, json.loads(report.read_text())


def a_crash_drill_measures_a_gap_and_exits_with_zero(lab):
    result, report = _drill(
        lab, "--fault", f"{SCRIPTS}/kill crash active", "--runs", RUNS)
    expect(result.returncode == 0, f"exit {result.returncode}: {result.stdout}{result.stderr}")
    expect(report["holds"] is True, f"{report['verdicts']}")
    expect(len(report["runs"]) == RUNS, f"{len(report['runs'])} runs")
    for run in report["runs"]:
        expect(run["gap_ns"], f"run {run['run']} has no gap")
        expect(run["gap_ns"] < GAP_MAX_NANOSECONDS, f"gap {run['gap_ns'] / 1e6} ms")
        expect(run["because"] == "peer_process_dead", f"because {run['because']}")
        expect(run["probes"]["ok"] > 100, f"probes {run['probes']}")
    lab.expect_one_holder(lab.active(), 0.1)


def a_drill_without_a_fault_finds_no_gap(lab):
    result, report = _drill(lab, "--fault", "true", "--runs", 1)
    expect(result.returncode == 0, f"exit {result.returncode}: {result.stdout}{result.stderr}")
    probes = report["runs"][0]["probes"]
    failed = {name: count for name, count in probes.items()
              if name not in ("ok", "slow") and count}
    expect(probes["ok"] > 100 and not failed, f"{probes}")


def a_bar_that_does_not_hold_exits_with_one(lab):
    result, report = _drill(
        lab, "--fault", f"{SCRIPTS}/kill crash active", "--runs", 1, "--bar-median", "0")
    expect(result.returncode == 1, f"exit {result.returncode}: {result.stdout}")
    expect(report["holds"] is False, f"{report['verdicts']}")
