# SPDX-License-Identifier: Apache-2.0
#
# The access log of a real node: a line for every request, rotation, a file that cannot be opened,
# a reader that stalls, and the last lines of a node that leaves.

import json
import os
import signal

from client import Connection, get
from configuration import configuration
from lab import RUNTIME, expect, has_ended, poll

FILE = "/run/tandem/access.log"
LOG = f"access_log:\n  file: {FILE}\n"
CONFIGURATION = configuration(backends=("be1", "be2")) + LOG


def _file(node="lb1", name="access.log"):
    return RUNTIME / node / "run" / name


def _lines(node="lb1", name="access.log"):
    """Every line as an object; a line that is no JSON fails the test."""
    text = _file(node, name).read_bytes()
    expect(not text or text.endswith(b"\n"), f"a torn line: {text[-200:]!r}")
    return [json.loads(line) for line in text.splitlines()]


def _find(target, node="lb1", name="access.log"):
    return [line for line in _lines(node, name) if line.get("target") == target]


def _await(target, name="access.log", node="lb1"):
    poll(3, f"{target} is logged", lambda: _find(target, node, name))
    return _find(target, node, name)[0]


def _reload(lab, outcome, text=None):
    counted = lab.status("lb1")["reloads"][outcome]
    if text is not None:
        lab.write_configuration(text)
    lab.signal("lb1", signal.SIGHUP)
    poll(3, f"a reload was {outcome}",
         lambda: lab.status("lb1")["reloads"][outcome] == counted + 1)


def a_line_says_what_happened(lab):
    with Connection() as client:
        client.request("/one?x=1", fields=("User-Agent: test", "Referer: http://r/")).response()
        client.request("/two", method="POST", body=b"12345").response()
    line = _await("/one?x=1")
    expect(line["node"] == "lb1" and line["listener"] == "web", line)
    expect(line["status"] == 200 and line["termination"] == "--", line)
    expect(line["backend"] in ("be1", "be2") and line["pool"] == "web", line)
    expect(line["user_agent"] == "test" and line["referer"] == "http://r/", line)
    expect(line["client"].startswith("10.77.0.") and line["client_port"] > 0, line)
    expect(len(line["request_id"]) == 32 and len(line["trace_id"]) == 32, line)
    expect(_await("/two")["method"] == "POST", "the second request")


def what_clients_send_cannot_forge_a_line(lab):
    evil = b'GET /evil HTTP/1.1\r\nHost: lab\r\nUser-Agent: \xff\xe2\x80\xa8"}\\ {"status":1\r\n\r\n'
    with Connection() as client:
        expect(client.send(evil).response().status == 200, "not served")
    agent = _await("/evil")["user_agent"]
    expect(agent == '\\xff\u2028"}\\ {"status":1', agent)
    with Connection() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: lab\r\nX\x00: y\r\n\r\n")
        expect(client.response().status == 400, "not refused")
    poll(3, "the refusal is logged",
         lambda: any(line["termination"] == "PR" for line in _lines()))


def rotation_loses_no_line(lab):
    moved = "access.log.1"
    with Connection() as client:
        client.request("/before").response()
        _await("/before")
        os.rename(_file(), _file(name=moved))
        client.request("/between").response()
        _await("/between", moved)
        _reload(lab, "unchanged")
        poll(3, "the file is there again", lambda: _file().exists())
        client.request("/after").response()
        _await("/after")
    expect(not _find("/after", name=moved), "the moved file still grows")
    expect(_file().stat().st_mode & 0o777 == 0o640, oct(_file().stat().st_mode))


def another_form_takes_force_at_a_reload(lab):
    _reload(lab, "applied", CONFIGURATION + "  format: combined\n")
    try:
        get(path="/combined")
        poll(3, "a line in the other form",
             lambda: b'"GET /combined HTTP/1.1" 200 ' in _file().read_bytes())
    finally:
        _file().unlink()
        _reload(lab, "applied", CONFIGURATION)


def a_file_that_cannot_be_opened_is_refused(lab):
    since = lab.log_size("lb1")
    _reload(lab, "refused", CONFIGURATION.replace(FILE, "/nowhere/access.log"))
    expect("cannot open /nowhere/access.log: no such file or directory" in lab.log("lb1", since),
           lab.log("lb1", since))
    get(path="/still")
    _await("/still")
    lab.write_configuration(CONFIGURATION)
    lab.write_configuration(CONFIGURATION.replace(FILE, "/nowhere/access.log"), "bad.yaml")
    lab.stop("lb2")
    since = lab.log_size("lb2")
    lab.start("lb2", file="bad.yaml")
    expect(lab.wait("lb2") == 1, "it started")
    expect("access_log.file: cannot open" in lab.log("lb2", since), lab.log("lb2", since))
    lab.start_ready("lb2")


def a_stalled_reader_stalls_nobody(lab):
    fifo = _file(name="fifo")
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        _reload(lab, "applied", CONFIGURATION.replace(FILE, "/run/tandem/fifo"))
        dropped = lab.metric("lb1", "tandem_access_log_dropped_total")
        path = "/" + "x" * 1500
        connections = [Connection() for _ in range(8)]
        for _ in range(400):
            for client in connections:
                expect(client.request(path).response().status == 200, "not served")
        for client in connections:
            client.socket.close()
        poll(3, "lines are dropped and counted",
             lambda: lab.metric("lb1", "tandem_access_log_dropped_total") > dropped)
        expect("lines dropped" in lab.log("lb1"), "nobody is told")
        content = b""
        while True:
            try:
                piece = os.read(reader, 1 << 20)
            except BlockingIOError:
                break
            content += piece
        for line in content.split(b"\n")[:-1]:
            json.loads(line)
    finally:
        _reload(lab, "applied", CONFIGURATION)
        os.close(reader)
        fifo.unlink()


def the_last_lines_of_a_node_that_leaves_are_written(lab):
    with Connection() as client:
        client.request("/last").response()
    process = lab.process_id("lb1")
    lab.kill("term", "lb1")
    poll(10, "lb1 has left", lambda: has_ended(process))
    expect(_find("/last"), "the last line is lost")
