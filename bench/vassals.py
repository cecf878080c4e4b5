#!/usr/bin/env python3
"""Idle vassals: an emperor of envoxyd beside one of uWSGI.

usage: bench/vassals.py [VASSALS [SECONDS]]     UWSGI=path of a uwsgi, by default the one of the tests

Printed are, with VASSALS (200) instances of one worker each: how long it takes until all have answered, and the processor time of
that; then, over SECONDS (20) in which nobody asks for anything, memory (PSS), context switches a second and the share of a processor,
for each vassal with all its processes.
"""
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
UWSGI = os.environ.get("UWSGI", str(ROOT / ".cache/uwsgi-2.0.31/bin/uwsgi"))
APP = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]
"""
VASSAL = """[uwsgi]
master = true
processes = 1
disable-logging = true
harakiri = 30
http-socket = %n.sock
wsgi-file = app.py
"""


def answers(path):
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(path))
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return b"hello" in b"".join(iter(lambda: client.recv(65536), b""))
    except OSError:
        return False


def field(pid, file, name):
    """A number of a line of /proc/PID/FILE; 0 where the process has gone."""
    try:
        lines = pathlib.Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(name))


def processes(session_of):
    """All processes below one, itself too."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                pass
    found, more = {session_of}, True
    while more:
        more = {pid for pid, parent in parents.items() if parent in found} - found
        found |= more
    return found


def cpu(pids):
    """Seconds of processor time so far, with that of children that have ended."""
    total = 0
    for pid in pids:
        try:
            total += sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:15]))
        except OSError:
            pass
    return total / os.sysconf("SC_CLK_TCK")


def switches(pids):
    return sum(field(f"{pid}/task/{task}", "status", kind) for pid in pids for task in os.listdir(f"/proc/{pid}/task")
               for kind in ("voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"))


def measure(binary, vassals, seconds):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "app.py").write_text(APP)
        for number in range(vassals):
            (folder / f"v{number}.ini").write_text(VASSAL)
        began = time.monotonic()
        with open(folder / "log", "w") as log:
            emperor = subprocess.Popen([binary, "--emperor", folder], cwd=folder, stdout=log, stderr=log)
        try:
            waiting = [folder / f"v{number}.sock" for number in range(vassals)]
            while waiting := [path for path in waiting if not answers(path)]:
                if emperor.poll() is not None or time.monotonic() - began > 300:
                    raise RuntimeError((folder / "log").read_text()[-3000:])
                time.sleep(0.02)
            start = time.monotonic() - began
            pids = processes(emperor.pid)
            start_cpu = cpu(pids)
            time.sleep(5)
            before, busy = switches(pids), cpu(pids)
            time.sleep(seconds)
            idle = (switches(pids) - before) / seconds / vassals, (cpu(pids) - busy) / seconds / vassals
            pss = sum(field(pid, "smaps_rollup", "Pss:") for pid in pids) / 1024 / vassals
            print(f"{pathlib.Path(binary).name:10}{start:8.1f} s{start_cpu / vassals * 1000:9.0f} ms{pss:9.1f} MB{idle[0]:10.1f}"
                  f"{idle[1] * 100:12.3f} %", flush=True)
        finally:
            emperor.send_signal(signal.SIGINT)
            try:
                emperor.wait(60)
            except subprocess.TimeoutExpired:
                emperor.kill()


def main():
    vassals, seconds = (int(text) for text in (sys.argv[1:] + ["200", "20"][len(sys.argv) - 1:])[:2])
    print(f"{vassals} vassals\n{'':10}{'all answer':>10}{'start CPU':>12}{'PSS':>12}{'switches/s':>12}{'CPU':>12}")
    for binary in (str(ROOT / "bin/envoxyd"), UWSGI):
        if os.access(binary, os.X_OK):
            measure(binary, vassals, seconds)


if __name__ == "__main__":
    main()
