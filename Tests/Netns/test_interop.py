# SPDX-License-Identifier: Apache-2.0
#
# Debian's keepalived 2.2.7 as the other router. Its adverts are understood. Ours it drops: it
# wants the checksum of RFC 5798 with a pseudo-header, which RFC 9568 section 5.2.8 took out, and
# has no setting for that; the log must say so, because both then hold the addresses.

import contextlib
import shutil
import signal

from configuration import configuration
from lab import ADDRESS, RUNTIME, expect, poll, throughout

CONFIGURATION = configuration(advertise_interval="100ms")
MISSING = None if shutil.which("keepalived") else "keepalived is not installed"
KEEPALIVED = """\
global_defs {
    router_id lb2
    vrrp_version 3
}
vrrp_instance vip {
    interface eth0
    state BACKUP
    nopreempt
    virtual_router_id 51
    priority 100
    advert_int 0.1
    virtual_ipaddress { 10.77.0.100/32 }
}
"""


@contextlib.contextmanager
def _keepalived(lab):
    """keepalived instead of Tandem on lb2; yields a way to end it."""
    lab.stop("lb2")
    file = RUNTIME / "lb2" / "keepalived.conf"
    file.write_text(KEEPALIVED)
    pids = [RUNTIME / "lb2" / name for name in ("keepalived.parent", "keepalived.vrrp")]
    process = lab.spawn(
        "lb2", "keepalived", "keepalived", "--dont-fork", "--log-console", "--vrrp", "--use-file",
        file, "--pid", pids[0], "--vrrp_pid", pids[1])

    def end(number):
        lab.signal_pid_file(pids[0], number)
        process.wait(10)

    try:
        poll(5, "keepalived runs", lambda: all(pid.exists() for pid in pids))
        yield end
    finally:
        if process.poll() is None:
            end(signal.SIGTERM)
        poll(5, "keepalived is gone", lambda: not pids[1].exists())


def keepalived_is_heard_and_followed(lab):
    with _keepalived(lab) as end:
        lab.stop("lb1")
        poll(3, "keepalived holds the VIP", lambda: lab.holders() == ["lb2"])
        lab.start_ready("lb1")
        poll(3, "lb1 hears keepalived", lambda: lab.router("lb1")["heard_active"])
        heard = lab.router("lb1")["heard_active"]
        expect(heard["address"] == ADDRESS["lb2"] and heard["priority"] == 100, f"{heard}")
        throughout(1, lambda: f"lb1 preempted: {lab.holders()}",
                   lambda: lab.holders() == ["lb2"], every=0.02)
        dropped = lab.metric("lb1", "tandem_vrrp_adverts_dropped_total")
        expect(dropped == 0, f"{dropped} adverts of keepalived were dropped")
        counted = lab.metric("lb1", "tandem_vrrp_adverts_received_rfc5798_checksum_total")
        expect(counted >= 10, f"{counted} adverts with its checksum were counted")
        end(signal.SIGTERM)
        poll(3, "lb1 holds the VIP", lambda: lab.holders() == ["lb1"])
        because = lab.failover("lb1")["because"]
        expect(because == "priority_zero", f"lb1 took over because of {because}")


def a_keepalived_that_cannot_hear_us_is_reported(lab):
    since = lab.log_size("lb1")
    with _keepalived(lab):
        poll(3, "lb1 names the checksum",
             lambda: "checksum_form_differs" in lab.log("lb1", since))
        notices = lab.metric(
            "lb1", "tandem_vrrp_notices_total", kind="lower_priority_active")
        expect(notices >= 1, "a second Active was not noticed")
        expect(lab.holds("lb1"), "lb1 gave way to a lower priority")
    lab.expect_one_holder("lb1", 3)
