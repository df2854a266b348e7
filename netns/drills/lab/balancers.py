# SPDX-License-Identifier: Apache-2.0
#
# The balancers that drills compare: tandem, and HAProxy and nginx as Debian has them, each with two
# threads, connections to backends kept, and no access log.

import calendar
import re
import time

from .names import ADDRESSES, BACKEND_PORT, BINARY
from .process import Program, ask, wait_until

FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')


class Event:
    """One line of tandem's log."""

    def __init__(self, line, wall_offset_ns):
        fields = {key: value.strip('"') for key, value in FIELD.findall(line)}
        self.text = fields.get("msg", line)
        self.level = fields.get("level", "")
        self.part = fields.get("part", "")
        self.fields = fields
        stamp = fields.get("time", "1970-01-01T00:00:00.0Z").rstrip("Z")
        seconds, _, fraction = stamp.partition(".")
        wall = calendar.timegm(time.strptime(seconds, "%Y-%m-%dT%H:%M:%S")) * 10**9
        wall += int((fraction or "0").ljust(9, "0")[:9])
        # When it happened on the clock that everybody here uses.
        self.ns = wall - wall_offset_ns

    def __repr__(self):
        return self.text


class Tandem(Program):
    """A node that is alone; `configuration` is the text of its file without `admin`."""

    def __init__(self, lab, member, configuration, name=None, node=None):
        self.socket = lab.directory / f"{name or member}.sock"
        self.path = lab.directory / f"{name or member}.yaml"
        self.port = 8000
        self._write(configuration)
        words = [BINARY, "run", "--config", self.path]
        super().__init__(
            lab, member, name or member, words + (["--node", node] if node else []))

    def _write(self, configuration):
        text = configuration.rstrip("\n") + (
            f"\nadmin:\n  socket: {self.socket}\n  http: 127.0.0.1:9900\n")
        new = self.path.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        new.rename(self.path)

    def start(self):
        super().start()
        self.await_port("0.0.0.0", self.port)
        wait_until(f"{self.name} takes commands", 5, self.socket.exists)
        return self

    def tell(self, line):
        """A command of the runtime socket; raises when it was refused."""
        answer = ask(self.socket, line)
        if answer.startswith("failed:") or "unknown command" in answer.lower():
            raise RuntimeError(f"{self.name}: {line}: {answer.strip()}")
        return answer

    def reload(self, configuration):
        """Another file; returns when it is in force."""
        self._write(configuration)
        answer = self.tell("reload")
        if "refused" in answer:
            raise RuntimeError(f"{self.name}: {answer.strip()}")

    def stat(self):
        """`show stat` as a list of dictionaries."""
        lines = [line for line in self.tell("show stat").splitlines() if line.strip()]
        header = lines[0].lstrip("# ").rstrip(",").split(",")
        return [dict(zip(header, line.split(","))) for line in lines[1:]]

    def servers(self, pool):
        """The rows of `show stat` for the backends of a pool, by name."""
        return {
            row["svname"]: row for row in self.stat()
            if row["pxname"] == pool and row["svname"] not in ("BACKEND", "FRONTEND")}

    def set_state(self, pool, backend, state):
        """ready, drain or maint."""
        self.tell(f"set server {pool}/{backend} state {state}")

    def await_status(self, pool, backend, status, seconds=10):
        """Waits until `show stat` says UP, DOWN, DRAIN, MAINT or NOLB."""
        wait_until(
            f"{pool}/{backend} is {status}", seconds,
            lambda: self.servers(pool)[backend]["status"].startswith(status))

    def await_all_up(self, pool, seconds=10):
        wait_until(f"all of {pool} are up", seconds, lambda: all(
            row["status"].startswith("UP") for row in self.servers(pool).values()))

    def await_drained(self, pool, backend, seconds=10):
        """Waits until a backend has no request and no connection; returns how long that took."""
        begun = time.monotonic()

        def is_drained():
            row = self.servers(pool)[backend]
            return row["scur"] == "0" and row.get("srv_icur", "0") in ("0", "")
        wait_until(f"{pool}/{backend} is drained", seconds, is_drained)
        return time.monotonic() - begun

    def metrics(self):
        """Samples of the metrics page by name with labels."""
        samples = {}
        for line in self.tell("show metrics").splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                samples[name] = float(value)
        return samples

    def events(self, since_ns=0):
        """Lines of its log, oldest first."""
        offset = time.time_ns() - time.monotonic_ns()
        lines = self.log.read_text(errors="replace").splitlines()
        events = [Event(line, offset) for line in lines if line.startswith("time=")]
        return [event for event in events if event.ns >= since_ns]


def tandem_pool(backends, settings="", name="web"):
    """A pool in the configuration's words; `backends` maps names to further keys."""
    lines = [f"  {name}:"]
    lines += ["    " + line.strip("\n") for line in settings.strip("\n").splitlines() if line]
    lines.append("    backends:")
    for backend, more in backends.items():
        more = f", {more}" if more else ""
        lines.append(f"      {backend}: {{ address: {ADDRESSES[backend]}:{BACKEND_PORT}{more} }}")
    return "\n".join(lines) + "\n"


def tandem_file(*pools, route="      - pool: web\n", top="", listener=""):
    """A whole file: one listener on port 8000."""
    return (
        f"workers: 2\n{top}listeners:\n  web:\n    bind: 0.0.0.0:8000\n{listener}"
        f"    routes:\n{route}pools:\n" + "".join(pools))


def haproxy(lab, member, backends, balance):
    """HAProxy on port 8000."""
    servers = "".join(
        f"    server {name} {ADDRESSES[name]}:{BACKEND_PORT} pool-max-conn 2000\n"
        for name in backends)
    path = lab.directory / "haproxy.cfg"
    path.write_text(f"""
global
    nbthread 2
    maxconn 10000
    no strict-limits
defaults
    mode http
    timeout connect 3s
    timeout client 60s
    timeout server 60s
    http-reuse always
    option forwardfor
frontend web
    bind 0.0.0.0:8000
    default_backend web
backend web
    balance {balance}
{servers}""", encoding="utf-8")
    balancer = Program(lab, member, "haproxy", ["haproxy", "-db", "-f", path])
    balancer.port = 8000
    return balancer


def nginx(lab, member, backends, balance):
    """nginx on port 8000; `balance` is a directive such as `least_conn`."""
    servers = "".join(
        f"        server {ADDRESSES[name]}:{BACKEND_PORT} max_fails=0;\n" for name in backends)
    where = lab.directory
    kinds = "".join(
        f"    {kind}_temp_path {where}/nginx-{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    path = where / "nginx.conf"
    # `zone` shares the counts between the workers.
    path.write_text(f"""
daemon off;
user root;
worker_processes 2;
pid {where}/nginx.pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    tcp_nodelay on;
{kinds}    upstream web {{
        zone web 256k;
        {balance};
{servers}        keepalive 256;
        keepalive_requests 1000000;
    }}
    server {{
        listen 0.0.0.0:8000 backlog=4096 reuseport;
        keepalive_requests 1000000;
        location / {{
            proxy_pass http://web;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $remote_addr;
        }}
    }}
}}
""", encoding="utf-8")
    balancer = Program(lab, member, "nginx", ["nginx", "-c", path, "-e", "stderr"])
    balancer.port = 8000
    return balancer
