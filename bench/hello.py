#!/usr/bin/env python3
"""hello.py [SECONDS]: hello world by envoxyd, and by uWSGI if that is on PATH, in turns on this machine."""
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ENVOXYD = Path(__file__).resolve().parent.parent / "bin/envoxyd"
APP = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, World!"]
"""
PATHS = {"http keep-alive": ["--http-keepalive=30", "--http"], "http-socket": ["--http-socket"]}


def free_port():
    """A TCP port on 127.0.0.1 that was free a moment ago."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_open(port, process):
    """Until the server listens; raises if it ends instead."""
    while process.poll() is None:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args[0]} exited {process.returncode}")


def stop(process, seconds):
    """Ends a server in good order, or after so many seconds all of its session."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def cpu_seconds(session):
    """CPU time that all live processes of a session have used."""
    ticks = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[3]) == session:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(binary, options, directory, seconds):
    """(requests per second, CPU microseconds per request, p99 as wrk prints it)"""
    port = free_port()
    argv = [binary, "--master", "--processes", "2", "--disable-logging", "--wsgi-file", "app.py", *options, f"127.0.0.1:{port}"]
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen(argv, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_open(port, process)
        wrk = ["wrk", "-t1", "-c32", "--latency", f"http://127.0.0.1:{port}/"]
        subprocess.run([*wrk, "-d1s"], capture_output=True, check=True)
        before = cpu_seconds(process.pid)
        out = subprocess.run([*wrk, f"-d{seconds}s"], capture_output=True, text=True, check=True).stdout
        requests = int(re.search(r"(\d+) requests in", out).group(1))
        return requests / seconds, (cpu_seconds(process.pid) - before) * 1e6 / max(requests, 1), re.search(r"99%\s+(\S+)", out).group(1)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main():
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    peers = [binary for binary in (str(ENVOXYD), shutil.which("uwsgi")) if binary]
    with tempfile.TemporaryDirectory(prefix="envoxyd-bench-") as directory:
        Path(directory, "app.py").write_text(APP)
        for name, options in PATHS.items():
            for binary in peers:
                rps, cpu, p99 = measure(binary, options, Path(directory), seconds)
                print(f"{name:16} {Path(binary).name:8} {rps:9.0f} requests/s {cpu:7.1f} us CPU/request  p99 {p99}", flush=True)


if __name__ == "__main__":
    main()
