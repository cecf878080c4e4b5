#!/usr/bin/env python3
"""observe.py [SECONDS [ROUNDS [VARIANT…]]]: what it costs to watch an instance: hello by one worker, in turns on this machine.

Variants are those of WATCHED (all of them by default); each turn of one is compared with the turn of the first one beside it. In each
round all are started anew and have TURNS turns (2). TREE=dir1,dir2 has each of them run by the builds in those trees. Needs wrk.
"""
import os
import re
import resource
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

from hello import APP, free_port, stop, wait_open

TREES = os.environ.get("TREE", str(Path(__file__).resolve().parent.parent)).split(",")
TURNS = int(os.environ.get("TURNS", "2"))
DISTURBED = 0.05  # part of a processor that others may use
SCRAPE = float(os.environ.get("SCRAPE", "1"))  # seconds between scrapes
METRICS = ["--prometheus", "{metrics}", "--status-page", "{page}"]
TRACED = ["--otlp-endpoint=http://127.0.0.1:{collector}", "--otlp-sample"]
WATCHED = {
    "off": [],
    "metrics": METRICS,
    "traced 0 %": [*TRACED, "0"],
    "traced 1 %": [*TRACED, "0.01"],
    "traced": [*TRACED, "1"],
    "all": [*METRICS, *TRACED, "0.01"],
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


def busy():
    """(seconds that all processors were busy so far, those of this program and of what it has waited for)"""
    ticks = [int(n) for n in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    own = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK"), own


class Result:
    """Of one turn."""

    def __init__(self, rate, requests, used, others):
        self.others = others  # part of a processor that other programs have had
        self.rate, self.used = rate, {role: ns / 1000 / max(requests, 1) for role, ns in used.items()}
        self.total = sum(self.used.values())


class Watched:
    """A server with one worker, and those who watch it while it is measured."""

    def __init__(self, tree, options, collector, directory):
        self.ports = {"metrics": free_port(), "page": free_port(), "collector": collector.port, "http": free_port()}
        argv = [f"{tree}/bin/envoxyd", "--master", "--processes", "1", "--disable-logging", "--wsgi-file", "app.py", "--http-keepalive=30",
                "--http-socket", "127.0.0.1:{http}", *options]
        self.seen = "--prometheus" in options
        with open(directory / "log", "ab") as log:
            self.process = subprocess.Popen([word.format(**self.ports) for word in argv], cwd=directory, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)

    def __enter__(self):
        for name in ("http", *(("metrics", "page") if self.seen else ())):
            wait_open(self.ports[name], self.process)
        self.wrk(1)
        return self

    def __exit__(self, *_):
        stop(self.process, 10)

    def wrk(self, seconds):
        return subprocess.run(["wrk", "-t1", "-c32", f"-d{seconds}s", f"http://127.0.0.1:{self.ports['http']}/"],
                              capture_output=True, text=True, check=True).stdout

    def measure(self, seconds):
        with ExitStack() as watchers:
            if self.seen:
                watchers.enter_context(scraped(self.ports["metrics"]))
                watchers.enter_context(viewed(self.ports["page"]))
            (machine, own), before = busy(), roles(self.process.pid)
            out = self.wrk(seconds)
            after, (machine_after, own_after) = roles(self.process.pid), busy()
        requests = int(re.search(r"(\d+) requests in", out).group(1))
        rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1))
        used = {role: used - before.get(role, 0) for role, used in after.items()}
        others = machine_after - machine - (own_after - own) - sum(used.values()) / 1e9
        return Result(rate, requests, used, others / seconds)

    def measure_undisturbed(self, seconds):
        """The turn is taken again while other programs use the machine; after some times the best of them counts."""
        tries = []
        while not tries or tries[-1].others > DISTURBED and len(tries) < 5:
            tries.append(self.measure(seconds))
        return min(tries, key=lambda one: one.others)


def report(found):
    base = next(iter(found.values()))

    def median(results, value):
        return statistics.median(map(value, results))

    for (tree, name), results in found.items():
        rate = statistics.median(one.rate / first.rate for one, first in zip(results, base))
        cost = statistics.median(one.total / first.total for one, first in zip(results, base))
        parts = [f"{role} {statistics.median(one.used.get(role, 0) for one in results):.3f}" for role in ("worker", "master", "exporter")]
        print(f"{Path(tree).name:10} {name:11} {median(results, lambda one: one.rate):8.0f}/s x{rate:.3f}  "
              f"{median(results, lambda one: one.total):6.3f} us/request x{cost:.3f} ({', '.join(parts)}); "
              f"others had {median(results, lambda one: one.others):.0%} of a processor", flush=True)


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    names = sys.argv[3:] or list(WATCHED)
    print("load", os.getloadavg()[0], time.strftime("%H:%M:%S"))
    collector, found = Collector(), {}
    order = [(tree, name) for name in names for tree in TREES]
    with tempfile.TemporaryDirectory(prefix="envoxyd-bench-") as directory:
        Path(directory, "app.py").write_text(APP)
        for _ in range(rounds):
            with ExitStack() as stack:
                servers = {key: stack.enter_context(Watched(key[0], WATCHED[key[1]], collector, Path(directory))) for key in order}
                for turn in range(TURNS):
                    for key in order if turn % 2 == 0 else reversed(order):
                        found.setdefault(key, []).append(servers[key].measure_undisturbed(seconds))
    report({key: found[key] for key in order})
    print("load", os.getloadavg()[0], f"{collector.posts} posts of {collector.size // max(collector.posts, 1)} bytes")


if __name__ == "__main__":
    main()
