# SPDX-License-Identifier: Apache-2.0
#
# The command line and the start: what is refused, in which words and with which exit code.

import json
import re
import socket

from client import get, try_get
from configuration import configuration
from lab import NODES, VIP, expect, poll
from namespace import inside

# Every listener on the VIP itself: a backup must be able to bind it (IP_FREEBIND).
CONFIGURATION = configuration(bind=f"{VIP}:80")


def a_listener_on_the_vip_serves_on_whoever_holds_it(lab):
    expect(get().status == 200, "lb1 does not serve")
    expect(lab.tandem("lb1", "switchover").returncode == 0, "no switchover")
    lab.expect_one_holder("lb2", 1, 0.1)
    expect(try_get(timeout_seconds=1), "lb2 does not serve")
    lab.kill("crash", "lb2")
    poll(2, "lb1 serves again", try_get)


def a_listener_on_the_vip_does_not_answer_elsewhere(lab):
    try:
        get("10.77.0.11")
    except ConnectionRefusedError:
        return
    expect(False, "the node's own address serves")


def status_is_for_people_and_machines(lab):
    for node in NODES:
        text = lab.tandem(node, "status")
        expect(text.returncode == 0, f"exit {text.returncode}: {text.stderr}")
        for word in (f"node {node}", "virtual router 51", VIP, "pair link", "pool web", "be3"):
            expect(word in text.stdout, f"{word} is missing: {text.stdout}")
        data = lab.tandem(node, "status", "--json")
        expect('"virtual_routers"' in data.stdout, data.stdout)
    lab.stop("lb2")
    silent = lab.tandem("lb2", "status")
    expect(silent.returncode == 1, f"without a node: exit {silent.returncode}")
    expect("is tandem running" in silent.stderr, silent.stderr)


def check_says_yes_or_every_error(lab):
    good = lab.tandem("lb1", "check", "/etc/tandem/tandem.yaml")
    expect(good.returncode == 0, f"a good file: {good.returncode} {good.stderr}")
    lab.write_configuration(
        configuration(bind="0.0.0.0:99999").replace("preempt:", "prempt:"), "bad.yaml")
    bad = lab.tandem("lb1", "check", "/etc/tandem/bad.yaml")
    expect(bad.returncode == 1, f"a bad file: {bad.returncode}")
    said = bad.stdout + bad.stderr
    expect("99999" in said and "prempt" in said and "^" in said, said)
    expect("preempt" in said, f"no suggestion: {said}")
    expect(lab.tandem("lb1", "check", "/etc/tandem/none.yaml").returncode == 1, "no file")
    expect(lab.tandem("lb1", "check").returncode == 2, "no argument")
    expect(lab.tandem("lb1", "chekc").returncode == 2, "no such command")


def a_bad_file_does_not_start(lab):
    lab.write_configuration(configuration().replace("pools:", "polls:"), "bad.yaml")
    result = lab.tandem("lb1", "run", "--config", "/etc/tandem/bad.yaml", "--node", "lb1")
    expect(result.returncode == 1, f"exit {result.returncode}")
    expect("bad.yaml:" in result.stderr and "pools" in result.stderr, result.stderr)


def an_unknown_node_is_told_which_ones_there_are(lab):
    result = lab.tandem(
        "lb1", "run", "--config", "/etc/tandem/tandem.yaml", "--node", "lb11")
    expect(result.returncode == 1, f"exit {result.returncode}: {result.stderr}")
    expect("lb11" in result.stderr and "lb2" in result.stderr, result.stderr)
    expect("did you mean" in result.stderr, result.stderr)


def a_port_in_use_names_its_listener(lab):
    lab.stop("lb2")
    with inside("lb2"):
        squatter = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("0.0.0.0", 80))
        squatter.listen()
    with squatter:
        result = lab.tandem(
            "lb2", "run", "--config", "/etc/tandem/tandem.yaml", "--node", "lb2")
    expect(result.returncode == 1, f"exit {result.returncode}: {result.stderr}")
    expect("web" in result.stderr and f"{VIP}:80" in result.stderr, result.stderr)
    expect("uses this port" in result.stderr, result.stderr)


def a_link_port_in_use_is_named(lab):
    lab.stop("lb2")
    with inside("lb2"):
        squatter = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        squatter.bind(("10.77.0.12", 7946))
        squatter.listen()
    with squatter:
        result = lab.tandem(
            "lb2", "run", "--config", "/etc/tandem/tandem.yaml", "--node", "lb2")
    expect(result.returncode == 1, f"exit {result.returncode}: {result.stderr}")
    expect("7946" in result.stderr, result.stderr)


def a_second_process_of_a_node_is_refused(lab):
    result = lab.tandem("lb2", "run", "--config", "/etc/tandem/tandem.yaml", "--node", "lb2")
    expect(result.returncode == 1, f"exit {result.returncode}: {result.stderr}")
    expect(lab.try_status("lb2"), "the first one no longer answers")
    lab.expect_one_holder("lb1", 0.1)
    expect(get().status == 200, "not served")


def a_missing_secret_does_not_start(lab):
    lab.write_configuration(configuration(secret_file="/etc/tandem/none.key"), "bad.yaml")
    result = lab.tandem("lb2", "run", "--config", "/etc/tandem/bad.yaml", "--node", "lb2")
    expect(result.returncode == 1, f"exit {result.returncode}: {result.stderr}")
    expect("none.key" in result.stderr, result.stderr)


def a_host_that_would_break_the_vip_is_told_so(lab):
    lab.stop("lb2")
    lab.shell("lb2", "sysctl", "-q", "-w", "net.ipv4.conf.all.arp_ignore=1")
    since = lab.log_size("lb2")
    try:
        lab.start("lb2")
        poll(5, "lb2 names the setting", lambda: "arp_ignore" in lab.log("lb2", since))
    finally:
        lab.shell("lb2", "sysctl", "-q", "-w", "net.ipv4.conf.all.arp_ignore=0")
        lab.stop("lb2")


def logs_in_json_are_one_object_a_line(lab):
    lab.stop("lb2")
    since = lab.log_size("lb2")
    lab.start_ready("lb2", "--log-format", "json")
    poll(5, "lb2 is ready", lambda: "ready" in lab.log("lb2", since))
    lines = [line for line in lab.log("lb2", since).splitlines() if line.startswith("{")]
    events = [json.loads(line) for line in lines]
    expect(len(events) >= 3, lab.log("lb2", since))
    for event in events:
        expect({"time", "level", "part", "msg"} <= set(event), f"{event}")


def metrics_are_what_prometheus_takes(lab):
    """Every series once, every family in one piece behind its HELP and TYPE."""
    expect(get().status == 200, "not served")
    text = get("127.0.0.1", "/metrics", member="lb1", port=9900).text
    families, series, current = set(), set(), None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current = line.split()[2]
            expect(current not in families, f"{current} is in two pieces")
            families.add(current)
        elif line.startswith("# TYPE "):
            expect(line.split()[2] == current, f"TYPE without HELP: {line}")
        else:
            match = re.fullmatch(r'(\w+)(\{[^{}]*\})? (-?[0-9.e+-]+|NaN|[+-]Inf)', line)
            expect(match, f"no sample: {line}")
            expect(match[1].startswith(current), f"{line} is not of {current}")
            expect((match[1], match[2]) not in series, f"twice: {line}")
            series.add((match[1], match[2]))
    expect(len(families) > 30, f"only {len(families)} families")
