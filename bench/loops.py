#!/usr/bin/env python3
"""loops.py [SECONDS [ROUNDS]]: gevent by envoxyd and by uWSGI, in turns on this machine: hello, and 1000 requests of 100 ms at once.

Wants gevent in .venv (or VENV=path), wrk, and uWSGI with its gevent plugin as UWSGI, on PATH, or where the tests have built it.
"""
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from hello import ENVOXYD, cpu_seconds, free_port, wait_open

ROOT = ENVOXYD.parent.parent
BUILT = ROOT / ".cache/uwsgi-2.0.31/bin/uwsgi"
APP = """
import gevent
def application(environ, start_response):
    if environ["PATH_INFO"] == "/waits":
        gevent.sleep(0.1)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, World!"]
"""
KINDS = {"hello": ("/", 32), "1000 that wait": ("/waits", 1000)}


def measure(binary, kind, directory, seconds):
    """(requests per second, CPU microseconds per request, p99 in ms); connections are there before the clock starts."""
    port = free_port()
    venv = Path(os.environ.get("VENV", ROOT / ".venv")).resolve()
    argv = [binary, "--master", "--disable-logging", "--listen", "1024", "--gevent", "1100", "--socket-timeout", "30", "-H", venv,
            "--wsgi-file", "app.py", "--http-keepalive=30", "--http", f"127.0.0.1:{port}"]
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen(argv, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_open(port, process)
        path, connections = KINDS[kind]
        wrk = ["wrk", "-t1", f"-c{connections}", "--latency", f"http://127.0.0.1:{port}{path}"]
        subprocess.run([*wrk, "-d1s"], capture_output=True, check=True)
        before = cpu_seconds(process.pid)
        out = subprocess.run([*wrk, f"-d{seconds}s"], capture_output=True, text=True, check=True).stdout
        if "Non-2xx" in out:
            raise SystemExit(f"loops.py: {binary} fails:\n{out}")
        done = int(re.search(r"(\d+) requests in", out)[1])
        value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", out).groups()
        return done / seconds, (cpu_seconds(process.pid) - before) / done * 1e6, float(value) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main():
    seconds, rounds = ([int(argument) for argument in sys.argv[1:]] + [10, 3][len(sys.argv) - 1:])[:2]
    uwsgi = os.environ.get("UWSGI") or shutil.which("uwsgi") or (str(BUILT) if BUILT.exists() else None)
    peers = [str(ENVOXYD), *([uwsgi] if uwsgi else [])]
    with tempfile.TemporaryDirectory(prefix="envoxyd-bench-") as directory:
        Path(directory, "app.py").write_text(APP)
        for kind in KINDS:
            found = {binary: [] for binary in peers}
            for _ in range(rounds):
                for binary in peers:
                    found[binary].append(measure(binary, kind, Path(directory), seconds))
            for binary, each in found.items():
                rps, cpu, p99 = map(statistics.median, zip(*each))
                print(f"{kind:15} {Path(binary).name:8} {rps:8.0f} requests/s {cpu:6.1f} us CPU  p99 {p99:7.2f} ms", flush=True)


if __name__ == "__main__":
    main()
