"""Cache operations of several processes, envoxyd and uWSGI in turn, the same application in both.

    bench/shared.py [OPERATIONS [ROUNDS]]

Four processes share a cache of 10,000 items and do 2,000,000 operations in all: seven of ten read, one stores anew, one replaces,
one counts. UWSGI names uWSGI's executable, and PYTHON_HOME the environment that both run in, if not uWSGI's own.
"""
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UWSGI = Path(os.environ.get("UWSGI") or shutil.which("uwsgi") or ROOT / ".cache/uwsgi-2.0.31/bin/uwsgi")
PYTHON_HOME = os.environ.get("PYTHON_HOME") or UWSGI.resolve().parent.parent
PROCESSES = 4

APPLICATION = '''
import os, time, uwsgi

KEYS = [f"user:{n}:session" for n in range(8000)]
VALUE = b"v" * 200

def work(process, operations):
    get, set, update, inc, keys, value = uwsgi.cache_get, uwsgi.cache_set, uwsgi.cache_update, uwsgi.cache_inc, KEYS, VALUE
    at, size = process * 1999, len(KEYS)
    for _ in range(operations // 10):
        at = (at + 4099) % size
        key, other = keys[at], keys[(at + 17) % size]
        set(key, value)
        get(key); get(other); get(key); get(other); get(key); get(other); get(key)
        update(other, value)
        inc("counter")

def application(environ, start_response):
    operations = int(environ["QUERY_STRING"])
    uwsgi.cache_clear()
    ready, go = os.pipe()
    children = []
    for process in range(PROCESSES):
        pid = os.fork()
        if pid == 0:
            try:
                os.close(go)
                os.read(ready, 1)
                work(process, operations // PROCESSES)
            finally:
                os._exit(0)
        children.append(pid)
    os.close(ready)
    time.sleep(0.2)
    began = time.monotonic()
    os.close(go)
    cpu = 0
    for pid in children:
        used = os.wait4(pid, 0)[2]
        cpu += used.ru_utime + used.ru_stime
    took = time.monotonic() - began
    start_response("200 OK", [])
    return [f"{took} {cpu} {uwsgi.cache_num('counter')}".encode()]
'''.replace("PROCESSES", str(PROCESSES))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def measure(binary, operations):
    """Operations per second, and CPU time of each in ns, by a server of its own."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "app.py").write_text(APPLICATION)
        with open(Path(folder, "log"), "w") as log:
            server = subprocess.Popen(
                [binary, "--master", "--http-socket", f"127.0.0.1:{port}", "--wsgi-file", "app.py", "--cache2",
                 "name=c,items=10000,blocksize=1024", "--virtualenv", PYTHON_HOME,
                 "--disable-logging"], cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            for _ in range(100):
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.1)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/?{operations}", timeout=300) as reply:
                took, cpu, counted = reply.read().split()
        finally:
            server.send_signal(2)
            server.wait(20)
    if int(counted) != operations // 10 // PROCESSES * PROCESSES:
        sys.exit(f"{binary} has counted {int(counted)}")
    return operations / float(took), float(cpu) / operations * 1e9


def main():
    operations = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    rates = {"envoxyd": [], "uWSGI": []}
    for _ in range(rounds):
        for name, binary in (("envoxyd", ROOT / "bin/envoxyd"), ("uWSGI", UWSGI)):
            rates[name].append(measure(binary, operations))
    for name, measured in rates.items():
        each, cpu = zip(*measured)
        print(f"{name}: {statistics.median(each):,.0f} cache operations/s (of {', '.join(f'{rate:,.0f}' for rate in each)}),"
              f" {statistics.median(cpu):.0f} ns of CPU for each, {min(cpu):.0f} at best")


main()
