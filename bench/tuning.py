#!/usr/bin/env python3
"""tuning.py [SECONDS [ROUNDS]]: the figures of docs/tuning.md about processes, threads, gevent, memory and connections.

All are measured in turns on this machine.
Needs wrk, and gevent in VENV (.venv). Other programs on the machine disturb rates; memory they do not.
"""
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from hello import ENVOXYD, cpu_seconds, free_port, stop, wait_open

VENV = os.environ.get("VENV", str(ENVOXYD.parent.parent / ".venv"))
APP = """
import time
data = list(range(%d))  # what an application imports

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/wait":  # another server's answer
        time.sleep(0.02)
    elif path == "/compute":  # some milliseconds of Python
        sum(n * n for n in range(20000))
    elif path == "/touch":
        sum(data)
    body = b"Hello, World!"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""
ENGINES = {
    "1 process": ["--processes", "1"],
    "2 processes": ["--processes", "2"],
    "4 processes": ["--processes", "4"],
    "1 process, 8 threads": ["--processes", "1", "--threads", "8"],
    "2 processes, 8 threads": ["--processes", "2", "--threads", "8"],
    "2 processes, 32 threads": ["--processes", "2", "--threads", "32"],
    "2 processes, gevent = 400": ["--processes", "2", "--gevent", "400", "--gevent-early-monkey-patch"],
}
ITEMS = 2_000_000  # some 80 MB


class Running:
    """A server in a session of its own."""

    def __init__(self, directory, options, items=1):
        (directory / "app.py").write_text(APP % items)
        self.port = free_port()
        self.log = directory / "log"
        argv = [ENVOXYD, "--virtualenv", VENV, "--http-socket", f"127.0.0.1:{self.port}", "--disable-logging", "--master",
                "--wsgi-file", "app.py", *options]
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(argv, cwd=directory, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)

    def __enter__(self):
        wait_open(self.port, self.process)
        self.get("/")
        return self

    def __exit__(self, *_):
        stop(self.process, 20)

    def get(self, path, connection=None):
        """One request; the connection stays open."""
        connection = connection or socket.create_connection(("127.0.0.1", self.port), 30)
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        reply = b""
        while b"Hello, World!" not in reply:
            more = connection.recv(4096)
            if not more:
                raise RuntimeError(reply)
            reply += more
        return connection

    def load(self, path, connections, seconds):
        """(requests a second, p99 in ms, milliseconds of CPU for each request)"""
        before = cpu_seconds(self.process.pid)
        out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", f"http://127.0.0.1:{self.port}{path}"],
                             capture_output=True, text=True, check=True).stdout
        number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", out).groups()
        requests = int(re.search(r"(\d+) requests in", out).group(1))
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
        cpu = (cpu_seconds(self.process.pid) - before) * 1e3 / max(requests, 1)
        return rate, float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit], cpu

    def pss(self):
        """MB of memory of all processes, shared pages counted in parts."""
        total = 0
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[3]) == self.process.pid:
                        total += int(re.search(r"^Pss:\s+(\d+)", (entry / "smaps_rollup").read_text(), re.MULTILINE).group(1))
                except (OSError, AttributeError):
                    continue
        return total / 1024


def engines(directory, seconds, rounds):
    print(f"64 clients, medians of {rounds} rounds in turn: requests/s, p99, CPU a request")
    found = {}
    for _ in range(rounds):
        for name, options in ENGINES.items():
            for path in ("/wait", "/compute"):
                with Running(directory, options) as server:  # anew: what clients have left behind is served first
                    found.setdefault((path, name), []).append(server.load(path, 64, seconds))
    for path in ("/wait", "/compute"):
        first = statistics.median(one[0] for one in found[path, "1 process"])
        for name in ENGINES:
            rate, p99, cpu = (statistics.median(values) for values in zip(*found[path, name]))
            print(f"{path:9} {name:27} {rate:8.0f}/s  x{rate / first:5.1f}  p99 {p99:7.1f} ms  {cpu:6.2f} ms")


def memory(directory):
    print(f"\nPSS of all processes with {ITEMS} numbers imported, MB")
    for processes in (1, 4, 8):
        row = []
        for options in ([], ["--lazy-apps"]):
            with Running(directory, ["--processes", str(processes), *options], ITEMS) as server:
                start = server.pss()
                kept = [server.get("/touch") for _ in range(processes * 8)]
                row += [start, server.pss()]
                for connection in kept:
                    connection.close()
        print(f"{processes} workers: forked {row[0]:.0f}, after requests that read all {row[1]:.0f}; lazy-apps {row[2]:.0f}, {row[3]:.0f}")


def connections(directory, number=1000):
    with Running(directory, ["--processes", "1"]) as server:
        before = server.pss()
        kept = [server.get("/") for _ in range(number)]
        print(f"\n{number} kept connections that are idle: {(server.pss() - before) * 1024 / number:.1f} KB each")
        for connection in kept:
            connection.close()


def threads(directory):
    with Running(directory, ["--processes", "1"]) as one, Running(directory, ["--processes", "1", "--threads", "64"]) as many:
        print(f"63 threads more of one worker: {(many.pss() - one.pss()) * 1024 / 63:.0f} KB each")


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        memory(directory)
        connections(directory)
        threads(directory)
        engines(directory, seconds, rounds)


if __name__ == "__main__":
    main()
