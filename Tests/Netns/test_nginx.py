# SPDX-License-Identifier: Apache-2.0
#
# Debian's nginx behind the pair in place of the project's own test backend.

import shutil

from client import Connection, get, try_get
from configuration import configuration
from lab import expect, poll

CONFIGURATION = configuration(advertise_interval="1s")
UP = {"backends": "nginx"}
MISSING = None if shutil.which("nginx") else "nginx is not installed"


def nginx_serves_behind_the_pair_before_and_after_a_crash(lab):
    with Connection() as connection:
        names = {connection.request().response().text.strip() for _ in range(30)}
    expect(names == {"be1", "be2", "be3"}, f"served by {names}")
    expect(get(path="/healthz").text == "ok\n", "another answer")
    lab.kill("crash", "lb1")
    poll(1, "lb2 serves", try_get)
    for _ in range(20):
        expect(get().status == 200, "lb2 fails a request")
