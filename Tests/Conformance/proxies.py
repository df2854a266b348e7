# SPDX-License-Identifier: Apache-2.0
#
# Starts tandem, nginx and HAProxy with equal settings in front of one backend on loopback, and
# ends them by process id whatever happens.

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 10
STOP_SECONDS = 10

TANDEM = """workers: {workers}
listeners:
  web:
    bind: 127.0.0.1:{port}
    routes:
      - pool: web
pools:
  web:
    balance: round_robin
    backends:
      be1: {{ address: 127.0.0.1:{backend} }}
timeouts:
  {timeouts}
{more}"""

NGINX = """daemon off;
worker_processes 1;
error_log {directory}/nginx.log;
pid {directory}/nginx.pid;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    client_max_body_size 0;
    upstream web {{ server 127.0.0.1:{backend} max_fails=0; keepalive 16; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://web;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $remote_addr;
        }}
    }}
}}
"""

HAPROXY = """global
    nbthread 1
defaults
    mode http
    timeout connect 3s
    timeout client 20s
    timeout server 20s
    timeout http-request 10s
frontend web
    bind 127.0.0.1:{port}
    http-request set-header X-Forwarded-For %[src]
    default_backend web
backend web
    server be1 127.0.0.1:{backend}
"""


def binary():
    return os.environ.get("TANDEM_BINARY", str(ROOT / ".build" / "release" / "tandem"))


def free_port():
    """A port below the ephemeral range, so that no client takes it meanwhile."""
    for port in range(19100 + os.getpid() % 500, 32000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")


def wait_until_it_serves(port, is_alive=lambda: True):
    """False when nothing accepts on the port in time."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and is_alive():
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.02)
    return False


class Proxy:
    """One running product."""

    def __init__(self, name, backend, workers=1, timeouts="request_head: 10s", more=""):
        if name == "tandem" and not Path(binary()).exists():
            raise SystemExit(f"{binary()} is not there: Tests/run build, or set TANDEM_BINARY")
        self.name = name
        self.directory = tempfile.mkdtemp(prefix="tandem-conformance-")
        self.process = None
        atexit.register(self.stop)
        self.port = free_port()
        self.log = open(f"{self.directory}/output.log", "wb")
        settings = {
            "port": self.port, "backend": backend, "directory": self.directory,
            "workers": workers, "timeouts": timeouts, "more": more,
        }
        self.process = subprocess.Popen(
            getattr(self, f"_{name}")(settings), stdout=self.log, stderr=self.log,
            stdin=subprocess.DEVNULL)
        self._wait()

    def _file(self, name, text):
        path = f"{self.directory}/{name}"
        Path(path).write_text(text)
        return path

    def _tandem(self, settings):
        self.configuration = self._file("tandem.yaml", TANDEM.format(**settings))
        return [binary(), "run", "--config", self.configuration]

    def _nginx(self, settings):
        path = self._file("nginx.conf", NGINX.format(**settings))
        return [find("nginx"), "-c", path, "-p", self.directory]

    def _haproxy(self, settings):
        return [find("haproxy"), "-db", "-f", self._file("haproxy.cfg", HAPROXY.format(**settings))]

    def _wait(self):
        if not wait_until_it_serves(self.port, self.is_alive):
            raise RuntimeError(f"{self.name} does not serve:\n{self.output()}")

    def output(self):
        self.log.flush()
        return Path(f"{self.directory}/output.log").read_text(errors="replace")[-4000:]

    def is_alive(self):
        return self.process.poll() is None

    def stop(self):
        if self.process and self.is_alive():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def find(program):
    return shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


def version(program):
    """The version as the product prints it, or None when it is not installed."""
    path = find(program)
    if not path:
        return None
    result = subprocess.run([path, "-v"], capture_output=True, text=True, check=False)
    text = (result.stdout or result.stderr).strip().split("\n")[0]
    return text.split("nginx/")[-1].split("version ")[-1].split("-")[0].split(" ")[0]
