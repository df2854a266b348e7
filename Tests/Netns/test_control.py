# SPDX-License-Identifier: Apache-2.0
#
# The runtime socket as scripts written for HAProxy use it, through socat and through `tandem ctl`:
# states, weights, addresses, tables; what a reload keeps; metrics that promtool accepts.

import csv
import json
import shutil
import subprocess
import threading

from client import Connection, get
from configuration import configuration
from lab import NODES, RUNTIME, expect, poll

CONFIGURATION = configuration()
MISSING = next(
    (f"{tool} is missing" for tool in ("socat", "promtool") if not shutil.which(tool)), None)


def _socat(command, node="lb1"):
    """What `echo COMMAND | socat stdio SOCKET` prints."""
    done = subprocess.run(
        ["socat", "-t5", "stdio", str(RUNTIME / node / "run" / "admin.sock")],
        input=command + "\n", capture_output=True, text=True, timeout=10)
    expect(done.returncode == 0, f"socat: {done.stderr}")
    return done.stdout


def _done(command):
    """A command that has nothing to say when it worked."""
    answer = _socat(command)
    expect(answer.strip() == "", f"{command}: {answer}")


def _rows(pool="web"):
    table = _socat("show stat").strip()
    expect(table.startswith("# pxname,svname,qcur,"), table[:80])
    rows = csv.DictReader(table[2:].splitlines())
    return {row["svname"]: row for row in rows if row["pxname"] == pool}


def _names(count=12):
    return {get().text.split()[0] for _ in range(count)}


def _all_ready():
    for name in ("be1", "be2", "be3"):
        _done(f"set server web/{name} state ready")
        _done(f"set server web/{name} weight 100%")
    poll(5, "every backend serves", lambda: _names() == {"be1", "be2", "be3"})


def show_stat_has_a_row_for_everything(lab):
    get()
    rows = _rows()
    expect(set(rows) == {"FRONTEND", "be1", "be2", "be3", "BACKEND"}
           or set(rows) == {"be1", "be2", "be3", "BACKEND"}, f"{set(rows)}")
    expect(all(rows[name]["status"] == "UP" for name in ("be1", "be2", "be3")), f"{rows}")
    expect(int(rows["be1"]["stot"]) + int(rows["be2"]["stot"]) + int(rows["be3"]["stot"])
           == int(rows["BACKEND"]["stot"]), "the pool is not the sum of its backends")
    expect(rows["be1"]["addr"] == "10.77.0.21:8080", rows["be1"]["addr"])
    expect(rows["be1"]["check_status"] == "L7OK", rows["be1"]["check_status"])
    expect(rows["BACKEND"]["algo"] == "round_robin", rows["BACKEND"]["algo"])


def show_stat_json_is_typed(lab):
    objects = json.loads(_socat("show stat json"))
    names = {
        field["value"]["value"] for fields in objects for field in fields
        if field["field"]["name"] == "svname"}
    expect({"be1", "be2", "be3", "BACKEND", "FRONTEND"} <= names, f"{names}")


def drain_sends_nothing_new_and_ready_brings_it_back(lab):
    _done("set server web/be1 state drain")
    expect("be1" not in _names(30), "a draining backend got a request")
    expect(_rows()["be1"]["status"].startswith("DRAIN"), _rows()["be1"]["status"])
    expect(lab.backend("lb1", "web", "be1")["state"] == "drain", "status does not say so")
    _done("set server web/be1 state ready")
    poll(5, "be1 serves again", lambda: "be1" in _names())


def maintenance_is_disable_and_enable(lab):
    _done("disable server web/be2")
    expect("be2" not in _names(30), "a backend in maintenance got a request")
    expect(_rows()["be2"]["status"] == "MAINT", _rows()["be2"]["status"])
    _done("enable server web/be2")
    poll(5, "be2 serves again", lambda: "be2" in _names())


def the_last_backend_may_be_taken_out_by_the_operator(lab):
    for name in ("be1", "be2", "be3"):
        _done(f"disable server web/{name}")
    response = get()
    expect(response.status == 503, f"status {response.status}")
    _all_ready()


def weights_are_kept_to(lab):
    _done("set server web/be1 weight 2")
    _done("set weight web/be2 0")
    names = [get().text.split()[0] for _ in range(60)]
    expect(names.count("be2") == 0, f"weight 0 got {names.count('be2')}")
    # Each of the two workers takes turns of its own.
    expect(38 <= names.count("be1") <= 42, f"weight 2 of 3 got {names.count('be1')} of 60")
    expect(_socat("get weight web/be1").strip() == "2 (initial 1)", _socat("get weight web/be1"))
    _all_ready()


def forced_health_holds_until_it_is_lifted(lab):
    _done("set server web/be3 health down")
    expect("be3" not in _names(30), "a backend that is down by order got a request")
    _done("set server web/be3 health up")
    poll(5, "be3 serves again", lambda: "be3" in _names())


def an_address_can_be_changed(lab):
    answer = _socat("set server web/be1 addr 10.77.0.22")
    expect("10.77.0.21" in answer and "10.77.0.22" in answer, answer)
    poll(5, "be1's requests reach the other host", lambda: _names(30) == {"be2", "be3"})
    answer = _socat("set server web/be1 addr 10.77.0.21 port 8080")
    poll(5, "be1 is itself again", lambda: "be1" in _names())


def mistakes_are_answered_and_change_nothing(lab):
    for command, part in [
        ("set server web/bee state drain", "No such server."),
        ("set server wep/be1 state drain", "No such backend."),
        ("set server web/be1 state up", "expects 'ready'"),
        ("set server web/be1 weight 257", "between 0 and 256"),
        ("set server web/be1", "usage:"),
        ("enable server web", "Require 'backend/server'."),
        ("shwo stat", "Unknown command"),
    ]:
        answer = _socat(command)
        expect(part in answer, f"{command}: {answer}")
        done = lab.tandem("lb1", "ctl", command)
        expect(done.returncode == 1, f"ctl '{command}' exits {done.returncode}")
    expect("web" in _socat("set server wep/be1 state drain"), "no suggestion")
    expect(_names() == {"be1", "be2", "be3"}, "something changed")


def ctl_does_the_same(lab):
    done = lab.tandem("lb1", "ctl", "set server web/be1 state drain")
    expect(done.returncode == 0 and done.stdout.strip() == "", f"{done}")
    expect(_rows()["be1"]["status"].startswith("DRAIN"), "ctl did nothing")
    _all_ready()


def help_lists_every_command(lab):
    text = _socat("help")
    for command in ("show stat", "show servers state", "show sess", "show table", "set server",
                    "enable server", "disable server", "show info"):
        expect(command in text, f"{command} is missing: {text}")


def every_command_says_what_it_is_for(lab):
    for words in (["help"], ["--help"], ["status", "--help"], ["run", "-h"], ["drill", "--help"],
                  ["check", "netns/pair.yaml", "--help"]):
        done = lab.tandem("lb1", *words)
        expect(done.returncode == 0 and "usage: tandem" in done.stdout, f"{words}: {done}")


def servers_state_and_sessions_are_listed(lab):
    lines = _socat("show servers state").strip().splitlines()
    expect(lines[0] == "1" and lines[1].startswith("# be_id be_name"), f"{lines[:2]}")
    columns = dict(zip(lines[1][2:].split(), lines[2].split()))
    expect(columns["be_name"] == "web" and columns["srv_name"] == "be1", f"{columns}")
    expect(columns["srv_op_state"] == "2" and columns["srv_admin_state"] == "0", f"{columns}")
    with Connection() as connection:
        connection.request().response()
        text = _socat("show sess")
        expect("fe=web" in text and "src=10.77.0.200:" in text, text)
    expect(_socat("show table").strip() == "", "a table although nothing is sticky")


def what_was_set_survives_a_reload_that_does_not_touch_it(lab):
    _done("set server web/be1 state drain")
    _done("set server web/be2 weight 7")
    changed = lab.configuration.replace("10.77.0.23:8080 }", "10.77.0.23:8080, weight: 2 }")
    lab.write_configuration(changed)
    answer = _socat("reload")
    expect("applied" in answer, answer)
    expect(_rows()["be1"]["status"].startswith("DRAIN"), "the drain is forgotten")
    expect(_rows()["be2"]["uweight"] == "7", "the weight is forgotten")
    status = lab.tandem("lb1", "status").stdout
    expect("drain" in status and "weight 7" in status, status)
    lab.write_configuration(changed.replace("10.77.0.22:8080 }", "10.77.0.22:8080, weight: 3 }"))
    answer = _socat("reload")
    expect("applied" in answer, answer)
    expect(_rows()["be2"]["uweight"] == "3", "the file's new weight is not in force")
    lab.write_configuration(lab.configuration)
    _socat("reload")
    _all_ready()


def a_drained_backend_ends_its_requests_and_its_idle_connections(lab):
    stop = threading.Event()
    failures = []

    def load():
        with Connection() as connection:
            while not stop.is_set():
                response = connection.request().response()
                if response.status != 200:
                    failures.append(response.status)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            _done("set server web/be1 state drain")
            poll(5, "be1 has nothing left", lambda: _rows()["be1"]["scur"] == "0"
                 and _rows()["be1"]["srv_icur"] == "0")
            _done("set server web/be1 state ready")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    expect(not failures, f"requests failed: {failures}")


def both_nodes_have_metrics_that_promtool_accepts(lab):
    for node in NODES:
        body = get("127.0.0.1", "/metrics", member=node, port=9900).body
        done = subprocess.run(
            ["promtool", "check", "metrics"], input=body, capture_output=True, timeout=20)
        expect(done.returncode == 0, (done.stdout + done.stderr).decode())


def metrics_tell_what_the_pool_goes_through(lab):
    get()
    _done("set server web/be1 state drain")
    poll(5, "be1 is drained", lambda: "drained" not in _rows()["be1"]["reason"]
         and _rows()["be1"]["scur"] == "0")
    _done("set server web/be1 state ready")
    for name in (
        "tandem_backend_requests_total", "tandem_backend_responses_total",
        "tandem_backend_response_seconds_count", "tandem_backend_response_seconds_bucket",
        "tandem_backend_requests_in_flight", "tandem_backend_errors_total",
        "tandem_health_checks_total", "tandem_health_transitions_total",
        "tandem_pool_ejections_total", "tandem_pool_breaker_opens_total",
        "tandem_pool_queued_requests", "tandem_pool_retries_total", "tandem_pool_retry_ratio",
        "tandem_pool_in_flight_per_weight_stddev", "tandem_backend_drain_duration_seconds",
    ):
        lab.metric("lb1", name)
