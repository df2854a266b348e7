# SPDX-License-Identifier: Apache-2.0
#
# SIGHUP: a good file takes force without touching a connection, a bad one is refused with its
# place in the file, and a change that needs a restart is named.

import signal
import threading

from client import Connection, get
from configuration import configuration
from lab import NODES, expect, poll

CONFIGURATION = configuration(backends=("be1", "be2"))


def _reload(lab, text, outcome, node="lb1"):
    """Sends SIGHUP and waits until the reload was counted; returns what was logged."""
    counted = lab.status(node)["reloads"][outcome]
    since = lab.log_size(node)
    lab.write_configuration(text)
    lab.signal(node, signal.SIGHUP)
    poll(3, f"a reload was {outcome}: {lab.status(node)['reloads']}",
         lambda: lab.status(node)["reloads"][outcome] == counted + 1)
    poll(2, "the reload was logged", lambda: "reload" in lab.log(node, since))
    return lab.log(node, since)


def a_changed_pool_takes_force_without_touching_a_connection(lab):
    results = []
    with Connection() as kept, Connection(timeout_seconds=10) as slow:
        expect(kept.request().response().status == 200, "not served")
        slow.request("/delay/1200")
        waiter = threading.Thread(target=lambda: results.append(slow.response()))
        poll(2, "the long request is in flight", lambda: any(
            lab.backend("lb1", "web", name)["requests_in_flight"] for name in ("be1", "be2")))
        waiter.start()
        log = _reload(lab, configuration(backends=("be3",)), "applied")
        poll(3, "be3 serves the kept connection",
             lambda: kept.request().response().text.strip() == "be3")
        for _ in range(20):
            expect(kept.request().response().text.strip() == "be3", "a removed backend serves")
        expect(not results, "the long request ended before the reload")
        waiter.join(5)
        expect(results and results[0].status == 200, f"the long request: {results}")
        expect(results[0].text.strip() in ("be1", "be2"), f"by {results[0].text}")
    expect("be3: added" in log and "be1: removed" in log, log)
    lab.expect_one_holder("lb1", 0.1)


def a_changed_route_takes_force(lab):
    expect("be1" in get(path="/only3/").text or "be2" in get(path="/only3/").text, "another route")
    _reload(lab, configuration(
        backends=("be1", "be2"), pools={"only3": ["10.77.0.23:8080"]}), "applied")
    for _ in range(10):
        expect(get(path="/only3/").text.split()[0] == "be3", "the old route is in force")


def the_same_file_changes_nothing(lab):
    log = _reload(lab, lab.configuration, "unchanged")
    expect("nothing changed" in log, log)


def a_bad_file_is_refused_with_its_place_and_the_old_one_stays(lab):
    before = lab.status("lb1")["configuration_hash"]
    bad = lab.configuration.replace("balance: round_robin", "balanse: round_robin", 1)
    log = _reload(lab, bad, "refused")
    row = next(index for index, line in enumerate(bad.splitlines(), 1) if "balanse" in line)
    expect(f"tandem.yaml:{row}:5: error" in log, f"no place: {log}")
    expect("balanse: round_robin" in log and "^~" in log, f"no line with a caret: {log}")
    expect("balance" in log.replace("balanse", ""), f"no suggestion: {log}")
    expect(lab.status("lb1")["configuration_hash"] == before, "another file is in force")
    expect(get().status == 200, "not served")


def every_error_of_a_bad_file_is_reported(lab):
    bad = lab.configuration.replace("10.77.0.21:8080", "10.77.0.421:8080").replace(
        "interval: 300ms, timeout", "interval: 300, timeout").replace(
        "- pool: web", "- pool: wep")
    log = _reload(lab, bad, "refused")
    for word in ("10.77.0.421", "interval: 300,", "wep"):
        expect(word in log, f"{word} is not reported: {log}")


def a_missing_file_is_refused(lab):
    refused = lab.status("lb1")["reloads"]["refused"]
    lab.config_file().rename(lab.config_file("away.yaml"))
    try:
        lab.signal("lb1", signal.SIGHUP)
        poll(3, "it was refused", lambda: lab.status("lb1")["reloads"]["refused"] == refused + 1)
    finally:
        lab.config_file("away.yaml").rename(lab.config_file())
    expect(get().status == 200, "not served")


def a_change_that_needs_a_restart_is_refused_and_named(lab):
    for old, new, key in [
        ("port: 7946", "port: 7947", "pair.link.port"),
        ("priority: 200", "priority: 201", "priority"),
        ("advertise_interval: 100ms", "advertise_interval: 200ms", "advertise_interval"),
        ("127.0.0.1:9900", "127.0.0.1:9901", "admin.http"),
    ]:
        expect(old in lab.configuration, f"{old} is not in the file")
        log = _reload(lab, lab.configuration.replace(old, new), "refused")
        expect(key in log, f"{key} is not named: {log}")
    lab.expect_one_holder("lb1", 0.1)


def a_reload_storm_loses_no_request(lab):
    first = configuration(backends=("be1", "be2"))
    second = configuration(backends=("be2", "be3"))
    with Connection() as kept:
        for index in range(30):
            lab.write_configuration(second if index % 2 == 0 else first)
            lab.signal("lb1", signal.SIGHUP)
            for _ in range(3):
                expect(kept.request().response().status == 200, "a kept connection broke")
                response = get()
                expect(response.status == 200, f"reload {index}: status {response.status}")
    expect(lab.status("lb1")["reloads"]["applied"] >= 1, "nothing was applied")


def a_reload_on_one_node_shows_as_drift(lab):
    _reload(lab, configuration(backends=("be1", "be2", "be3")), "applied")
    for node in NODES:
        poll(3, f"{node} sees the drift",
             lambda: lab.status(node)["peer"]["configuration_equal"] is False)
    lab.signal("lb2", signal.SIGHUP)
    for node in NODES:
        poll(3, f"{node} sees equal files",
             lambda: lab.status(node)["peer"]["configuration_equal"] is True)


def the_runtime_socket_reloads_too(lab):
    lab.write_configuration(configuration(backends=("be1", "be3")))
    done = lab.tandem("lb1", "ctl", "reload")
    expect(done.returncode == 0 and "be3" in done.stdout, f"{done.returncode}: {done.stdout}")
    lab.write_configuration(lab.configuration.replace("web:", "web", 1))
    # The runtime socket reads the file in force, so it must be found by name.
    refused = lab.tandem("lb1", "ctl", "--socket", "/run/tandem/admin.sock", "reload")
    expect("refused" in refused.stdout, f"{refused.returncode}: {refused.stdout}")
    expect(refused.returncode == 1, f"exit {refused.returncode} although it was refused")
