# SPDX-License-Identifier: Apache-2.0
#
# Nodes whose files differ: a secret that is wrong or on one side only, and drift that is harmless
# enough to run with but must be seen.

from client import try_get
from configuration import configuration
from lab import LINK_PORT, expect, poll, throughout

CONFIGURATION = configuration(advertise_interval="100ms")
REFUSALS_MIN = 3
# Per direction a burst of five lines, and one more every ten seconds.
REFUSAL_LINES_MAX = 22


def _start_second_with(lab, text):
    lab.stop("lb2")
    lab.write_configuration(text, "second.yaml")
    since = lab.log_size("lb1"), lab.log_size("lb2")
    lab.start_ready("lb2", file="second.yaml")
    return since


def _expect_refused_link_and_vrrp_failover(lab, since, counters):
    def refusals():
        return [lab.link_event(node, event) for node, event in counters]

    poll(12, lambda: f"refusals counted: {counters} {refusals()}",
         lambda: sum(refusals()) >= REFUSALS_MIN)
    for node in ("lb1", "lb2"):
        # The state of the dial changes with every attempt.
        poll(5, lambda: f"{node} names the secret: {lab.link(node)}",
             lambda: "secret" in "{dial} {refused_inbound}".format(**lab.link(node)))
        expect(lab.link(node)["state"] == "down", f"the link is up on {node}")
    lines = [
        line for node, start in zip(("lb1", "lb2"), since)
        for line in lab.log(node, start).splitlines()
        if "part=link" in line and "secret" in line]
    expect(lines, "no log line names the secret")
    expect(len(lines) <= REFUSAL_LINES_MAX, f"{len(lines)} lines about the secret")
    throughout(0.5, lambda: f"the VIP is on {lab.holders()}", lambda: lab.holders() == ["lb1"])
    lab.kill("crash", "lb1")
    poll(2, "lb2 serves", try_get)
    because = lab.failover("lb2")["because"]
    expect(because == "active_down_timer", f"lb2 took over because of {because}")


def a_wrong_secret_is_refused_and_vrrp_still_fails_over(lab):
    key = lab.config_file("wrong.key")
    key.write_text("0123456789abcdef0123456789abcdef")
    key.chmod(0o600)
    since = _start_second_with(
        lab, configuration(advertise_interval="100ms", secret_file="/etc/tandem/wrong.key"))
    _expect_refused_link_and_vrrp_failover(
        lab, since, [("lb1", "refused_secret"), ("lb2", "refused_secret")])


def a_one_sided_secret_is_refused_and_vrrp_still_fails_over(lab):
    since = _start_second_with(
        lab, configuration(advertise_interval="100ms", secret_file=None))
    _expect_refused_link_and_vrrp_failover(
        lab, since, [("lb1", "refused_one_sided_secret"), ("lb2", "refused_one_sided_secret"),
                     ("lb1", "refused_by_peer"), ("lb2", "refused_by_peer")])


def different_files_show_as_drift(lab):
    expect(lab.status("lb1")["peer"]["configuration_equal"] is True, "not equal to begin with")
    _start_second_with(
        lab, configuration(advertise_interval="100ms", pools={"new": ["10.77.0.21:8080"]}))
    for node in ("lb1", "lb2"):
        poll(6, f"{node} sees the drift",
             lambda: lab.status(node)["peer"].get("configuration_equal") is False)
        text = lab.tandem(node, "status").stdout
        expect("different configurations" in text, f"{node}: {text}")
        expect(
            lab.metric(node, "tandem_pair_configuration_equal") == 0, f"{node}: metric says equal")
    status = lab.status("lb1")
    expect(
        status["peer"]["configuration_hash"] != status["configuration_hash"], "equal hashes")
    lab.expect_one_holder("lb1", 0.1)


def another_link_port_means_no_link(lab):
    _start_second_with(
        lab, configuration(advertise_interval="100ms", link_port=LINK_PORT + 1))
    throughout(1.5, lambda: f"the VIP is on {lab.holders()}", lambda: lab.holders() == ["lb1"])
    expect(lab.link("lb1")["state"] == "down", "the link is up")
    expect(lab.link_event("lb1", "dials_failed") >= 1, "no failed dial was counted")
