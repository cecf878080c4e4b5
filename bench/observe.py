#!/usr/bin/env python3
"""observe.py [SECONDS [ROUNDS [VARIANT…]]]: what it costs to watch an instance: hello by one worker, in turns on this machine.

Variants are those of WATCHED (all of them by default); the first one is what the others are compared with. TREE=dir1,dir2 has each of
them run by the builds in those trees in turn. Needs wrk, and nothing else on the machine that takes its time.
"""
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hello import APP, free_port, wait_open

TREES = os.environ.get("TREE", str(Path(__file__).resolve().parent.parent)).split(",")
SCRAPE = float(os.environ.get("SCRAPE", "1"))  # seconds between scrapes
WATCHED = {
    "off": [],
    "metrics": ["--prometheus", "{metrics}", "--status-page", "{page}"],
    "traced 0 %": ["--otlp-endpoint=http://127.0.0.1:{collector}", "--otlp-sample", "0"],
    "traced 1 %": ["--otlp-endpoint=http://127.0.0.1:{collector}", "--otlp-sample", "0.01"],
    "traced": ["--otlp-endpoint=http://127.0.0.1:{collector}"],
    "all": ["--prometheus", "{metrics}", "--status-page", "{page}", "--otlp-endpoint=http://127.0.0.1:{collector}", "--otlp-sample", "0.01"],
}


class Collector:
    """Takes what is posted, and answers with nothing in it."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.posts = self.size = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.socket.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rb") as stream:
            while stream.readline():
                length = 0
                while (line := stream.readline()) not in (b"\r\n", b""):
                    name, _, value = line.partition(b":")
                    if name.lower() == b"content-length":
                        length = int(value)
                stream.read(length)
                self.posts, self.size = self.posts + 1, self.size + length
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n")


@contextmanager
def scraped(port):
    """Asks for the metrics each second, as Prometheus does."""
    over = threading.Event()

    def scrape():
        while not over.wait(SCRAPE):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read()

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def viewed(port):
    """Looks at the status page, as a browser does."""
    with socket.create_connection(("127.0.0.1", port)) as viewer:
        viewer.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")

        def look():
            while viewer.recv(65536):
                pass

        thread = threading.Thread(target=look)
        thread.start()
        yield
        viewer.shutdown(socket.SHUT_RDWR)
        thread.join()


def roles(master):
    """{role: ns of CPU} of the master and its children."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            if master not in (parent, int(entry.name)):
                continue
            name = (entry / "comm").read_text().strip()
            used = sum(int((task / "schedstat").read_text().split()[0]) for task in (entry / "task").iterdir())
        except (OSError, IndexError):
            continue
        role = "exporter" if name.startswith("envoxyd-otlp") else "master" if int(entry.name) == master else "worker"
        found[role] = found.get(role, 0) + used
    return found


class Result:
    """Of one round."""

    def __init__(self, rate, requests, used):
        self.rate, self.used = rate, {role: ns / 1000 / max(requests, 1) for role, ns in used.items()}
        self.total = sum(self.used.values())


def measure(tree, options, collector, directory, seconds):
    ports = {"metrics": free_port(), "page": free_port(), "collector": collector.port}
    port = free_port()
    argv = [f"{tree}/bin/envoxyd", "--master", "--processes", "1", "--disable-logging", "--wsgi-file", "app.py", "--http-keepalive=30",
            "--http-socket", f"127.0.0.1:{port}", *(option.format(**ports) for option in options)]
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen(argv, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_open(port, process)
        with ExitStack() as watchers:
            if "--prometheus" in options:
                wait_open(ports["metrics"], process)
                watchers.enter_context(scraped(ports["metrics"]))
                watchers.enter_context(viewed(ports["page"]))
            wrk = ["wrk", "-t1", "-c32", f"http://127.0.0.1:{port}/"]
            subprocess.run([*wrk, "-d1s"], capture_output=True, check=True)
            before = roles(process.pid)
            out = subprocess.run([*wrk, f"-d{seconds}s"], capture_output=True, text=True, check=True).stdout
            after = roles(process.pid)
        requests = int(re.search(r"(\d+) requests in", out).group(1))
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
        return Result(rate, requests, {role: used - before.get(role, 0) for role, used in after.items()})
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def median(results, value):
    return statistics.median(value(one) for one in results)


def report(found):
    base = next(iter(found.values()))
    for (tree, name), results in found.items():
        ratio = statistics.median(one.rate / first.rate for one, first in zip(results, base))
        cost = median(results, lambda one: one.total) / median(base, lambda one: one.total)
        parts = ", ".join(f"{role} {median(results, lambda one: one.used.get(role, 0)):.3f}" for role in ("worker", "master", "exporter"))  # noqa: B023
        print(f"{Path(tree).name:10} {name:11} {median(results, lambda one: one.rate):8.0f}/s x{ratio:.3f}  "
              f"{median(results, lambda one: one.total):6.3f} us/request x{cost:.3f} ({parts})", flush=True)


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    names = sys.argv[3:] or list(WATCHED)
    print("load", os.getloadavg()[0], time.strftime("%H:%M:%S"))
    collector, found = Collector(), {}
    with tempfile.TemporaryDirectory(prefix="envoxyd-bench-") as directory:
        Path(directory, "app.py").write_text(APP)
        order = [(tree, name) for name in names for tree in TREES]
        for number in range(rounds):
            for tree, name in order if number % 2 == 0 else reversed(order):
                found.setdefault((tree, name), []).append(measure(tree, WATCHED[name], collector, Path(directory), seconds))
    report({key: found[key] for key in order})
    print("load", os.getloadavg()[0], f"{collector.posts} posts of {collector.size // max(collector.posts, 1)} bytes")


if __name__ == "__main__":
    main()
