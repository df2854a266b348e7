# SPDX-License-Identifier: Apache-2.0
#
# What the benchmark scripts of this folder share: the programs they need, the three proxies and
# their backend with equal settings, CPU time and memory of a process, and cleaning up by process
# id whatever happens.

import atexit
import glob
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACKAGES = {
    "haproxy": "haproxy", "nginx": "nginx", "wrk": "wrk", "valgrind": "valgrind",
    "h2load": "nghttp2-client", "cc": "gcc",
}
# The kernel lists ephemeral ports from 32768 on; these are below.
PORTS = {"backend": 18101, "haproxy": 18102, "nginx": 18103, "tandem": 18104, "admin": 18105}
HEAD = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.5",
    "Accept-Encoding": "gzip, deflate",
    "Cookie": "session=0123456789abcdef0123456789abcdef; theme=dark",
    "Cache-Control": "max-age=0",
}


def require(*programs):
    """Installs what is missing; needs root for that."""
    missing = [p for p in programs if not shutil.which(p, path=os.environ["PATH"] + ":/usr/sbin")]
    if not missing:
        return
    if os.geteuid() != 0:
        sys.exit(f"missing: {', '.join(missing)}; run as root once, or install them")
    packages = [PACKAGES[program] for program in missing]
    subprocess.run(["apt-get", "install", "-y", "-q", *packages], check=True)


def program(name):
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")


class Lab:
    """A directory, the processes started from it, and their end."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="tandem-bench-")
        self.processes = []
        self.is_closed = False
        atexit.register(self.close)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: sys.exit(130))

    def close(self):
        if self.is_closed:
            return
        self.is_closed = True
        for process in list(self.processes):
            self.stop(process)
        shutil.rmtree(self.directory, ignore_errors=True)

    def stop(self, process):
        """Ends one process that was started here, and its children with it."""
        children = descendants(process.pid)
        for pid in [process.pid, *children]:
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        try:
            process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            for pid in [process.pid, *children]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            process.wait()
        if process in self.processes:
            self.processes.remove(process)

    def file(self, name, text):
        path = os.path.join(self.directory, name)
        with open(path, "w") as out:
            out.write(text)
        return path

    def start(self, name, command, cpu=None, port=None, prefix=()):
        """Starts a program, pinned to one CPU, and waits until its port answers."""
        if port is not None and answers(port):
            sys.exit(f"port {port} is in use by another program")
        pin = ["taskset", "-c", str(cpu)] if cpu is not None else []
        log = open(os.path.join(self.directory, name + ".log"), "a")
        process = subprocess.Popen(
            [*pin, *prefix, *command], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            cwd=self.directory)
        self.processes.append(process)
        deadline = time.monotonic() + 30
        while port is not None:
            if process.poll() is not None or time.monotonic() > deadline:
                log.flush()
                with open(log.name) as text:
                    sys.exit(f"{name} does not start:\n{text.read()[-2000:]}")
            if answers(port):
                break
            time.sleep(0.05)
        return process

    # The three proxies. Each: one worker, keep-alive on both sides, and an access log in its
    # cheapest form: nginx's lines are buffered, HAProxy's go to a file without a log server.

    def load_program(self):
        """The light clients and backend, compiled once."""
        binary = os.path.join(self.directory, "load")
        if not os.path.exists(binary):
            source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "load.c")
            subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-o", binary, source], check=True)
        return binary

    def light_backend(self, cpu):
        command = [self.load_program(), "serve", str(PORTS["backend"])]
        return self.start("backend", command, cpu, PORTS["backend"])

    def ask(self, name, path, connections, seconds, closes=False, pinned=True):
        """Asks a proxy without pause; returns requests answered, and p50 and p99 in us."""
        fields = "".join(f"{key}: {value}\r\n" for key, value in HEAD.items())
        close = "Connection: close\r\n" if closes else ""
        file = self.file("request", (
            f"GET /{path} HTTP/1.1\r\nHost: 127.0.0.1:{PORTS[name]}\r\n{fields}{close}\r\n"))
        command = [
            *(["taskset", "-c", "0"] if pinned else []), self.load_program(), "ask",
            str(PORTS[name]), str(connections), f"{seconds:g}", file, *(["close"] if closes else [])]
        text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        return [int(part) for part in text.split()]

    def backend(self, cpu):
        self.make_directory("www")
        self.file("www/small", "ok")
        with open(self.file("www/1g", ""), "w") as hole:
            hole.truncate(1 << 30)
        conf = self.file("backend.conf", nginx_conf(self.directory, "backend", f"""
            server {{
                listen 127.0.0.1:{PORTS["backend"]} backlog=4096 reuseport;
                keepalive_requests 1000000000;
                location = /small {{ return 200 "ok"; }}
                location / {{ root {self.directory}/www; }}
            }}"""))
        return self.start("backend", nginx_command(conf), cpu, PORTS["backend"])

    def make_directory(self, name):
        os.makedirs(os.path.join(self.directory, name), exist_ok=True)

    def proxy(self, name, cpu=None, prefix=(), tandem=None, workers=1):
        command = getattr(self, f"_{name}")(tandem, workers)
        return self.start(name, command, cpu, PORTS[name], prefix)

    def _haproxy(self, _, workers):
        conf = self.file("haproxy.cfg", f"""
global
    nbthread {workers}
    maxconn 10000
    no strict-limits
defaults
    mode http
    timeout connect 3s
    timeout client 60s
    timeout server 60s
    timeout http-request 10s
    timeout http-keep-alive 60s
    option forwardfor
    option httplog
    log stdout format raw local0
    http-reuse always
frontend web
    bind 127.0.0.1:{PORTS["haproxy"]} backlog 4096
    default_backend web
backend web
    balance leastconn
    server be1 127.0.0.1:{PORTS["backend"]} pool-max-conn 2000
""")
        return [program("haproxy"), "-db", "-f", conf]

    def _nginx(self, _, workers):
        conf = self.file("nginx.conf", nginx_conf(self.directory, "nginx", f"""
            upstream web {{
                server 127.0.0.1:{PORTS["backend"]};
                keepalive 1024;
                keepalive_requests 1000000000;
            }}
            server {{
                access_log {self.directory}/nginx-access.log combined buffer=64k flush=1s;
                listen 127.0.0.1:{PORTS["nginx"]} backlog=4096 reuseport;
                keepalive_requests 1000000000;
                keepalive_timeout 60s;
                location / {{
                    proxy_pass http://web;
                    proxy_http_version 1.1;
                    proxy_set_header Connection "";
                    proxy_set_header Host $host;
                    proxy_set_header X-Forwarded-For $remote_addr;
                    proxy_max_temp_file_size 0;
                }}
            }}"""))
        return nginx_command(conf)

    def _tandem(self, tandem, workers):
        conf = self.file("tandem.yaml", f"""workers: {workers}
access_log: {{ file: {self.directory}/access.log, format: combined }}
listeners:
  web:
    bind: 127.0.0.1:{PORTS["tandem"]}
    routes:
      - pool: web
pools:
  web:
    balance: least_requests
    backends:
      be1: {{ address: 127.0.0.1:{PORTS["backend"]} }}
admin:
  http: 127.0.0.1:{PORTS["admin"]}
""")
        return [part.format(config=conf) for part in tandem]


def answers(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def nginx_conf(directory, name, http):
    return f"""daemon off;
master_process off;
worker_processes 1;
pid {directory}/{name}.pid;
error_log {directory}/{name}-error.log crit;
events {{ worker_connections 16000; multi_accept on; }}
http {{
    access_log off;
    tcp_nodelay on;
    client_body_temp_path {directory}/{name}-1;
    proxy_temp_path {directory}/{name}-2;
    fastcgi_temp_path {directory}/{name}-3;
    uwsgi_temp_path {directory}/{name}-4;
    scgi_temp_path {directory}/{name}-5;
    {http}
}}
"""


def nginx_command(conf):
    return [program("nginx"), "-c", conf, "-e", "stderr"]


def descendants(pid):
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            with open(path) as text:
                children = [int(child) for child in text.read().split()]
        except FileNotFoundError:
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found


def cpu_nanoseconds(pid):
    """CPU time of all threads of a process and its children, from the scheduler."""
    total = 0
    for each in [pid, *descendants(pid)]:
        for path in glob.glob(f"/proc/{each}/task/*/schedstat"):
            try:
                with open(path) as text:
                    total += int(text.read().split()[0])
            except FileNotFoundError:
                pass
    return total


def resident_kilobytes(pid):
    """Resident memory of a process and its children."""
    total = 0
    for each in [pid, *descendants(pid)]:
        with open(f"/proc/{each}/status") as text:
            for line in text:
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1])
    return total


def tandem_command(argument):
    """The command that serves: given, or the release build of this repository."""
    if argument:
        return argument.split()
    binary = os.path.join(REPOSITORY, ".build", "release", "tandem")
    if not os.path.exists(binary):
        print("building tandem (release)...", flush=True)
        subprocess.run(
            ["swift", "build", "-c", "release", "--product", "tandem", "--static-swift-stdlib"],
            cwd=REPOSITORY, check=True)
    return [binary, "run", "--config", "{config}"]


def head_arguments(flag="-H"):
    """The browser-like head as arguments of a load generator."""
    return [part for key, value in HEAD.items() for part in (flag, f"{key}: {value}")]


def raise_descriptor_limit(needed):
    """Raises our own limit of open files; exits when that is not allowed."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if needed > limit:
        sys.exit(f"this needs {needed} open files; the limit here is {limit} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def percentile(values, share):
    """The value that so large a share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def median(values):
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2
