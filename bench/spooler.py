#!/usr/bin/env python3
"""Spooler: envoxyd beside uWSGI, on the file system of this folder or of SPOOL=path.

usage: bench/spooler.py [JOBS [ROUNDS]]     needs gcc; UWSGI=path of a uwsgi, by default the one of the tests

uWSGI does not sync its jobs to the disk, envoxyd does. So both are measured both ways: a library that is loaded before libc
takes the syncs away from one, and adds them to the other. Printed are the best of ROUNDS, in jobs per second: "spool()" is one
worker that writes while a spooler works, "done" is until the last of these jobs has run, "backlog" is what runs when all jobs
are there at the start.
"""
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
UWSGI = os.environ.get("UWSGI", str(ROOT / ".cache/uwsgi-2.0.31/bin/uwsgi"))

APP = """
import time
import uwsgi

count = 0

def spooler(job):
    global count, first
    count += 1
    if count == 1:
        first = time.time()
    if count == int(job[b"jobs"]):
        with open("../done.new", "w") as file:
            file.write("%r %r" % (first, time.time()))
        import os
        os.rename("../done.new", "../done")
        count = 0
    return uwsgi.SPOOL_OK

uwsgi.spooler = spooler

def application(environ, start_response):
    jobs = environ["QUERY_STRING"].encode()
    began = time.time()
    for n in range(int(jobs)):
        uwsgi.spool({b"number": b"%d" % n, b"jobs": jobs, b"to": b"somebody@example.com"})
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [("%r %r" % (began, time.time())).encode()]
"""

PRELOAD = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef UNSYNCED
int fsync(int fd) { (void)fd; return 0; }
int fdatasync(int fd) { (void)fd; return 0; }
#else
int close(int fd) {
	char link[64], path[4096];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = (fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY ? readlink(link, path, sizeof path - 1) : -1;
	if (n > 0) {
		path[n] = 0;
		char *name = strrchr(path, '/');
		if (name && !strncmp(name, "/uwsgi_spoolfile_on_", 20)) {
			fsync(fd);
			*name = 0;
			int dir = open(path, O_RDONLY | O_DIRECTORY);
			fsync(dir);
			syscall(SYS_close, dir);
		}
	}
	return (int)syscall(SYS_close, fd);
}
#endif
"""


def library(folder, name, *flags):
    """The library that takes syncs away, or adds them."""
    source, made = folder / "preload.c", folder / name
    source.write_text(PRELOAD)
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", *flags, "-o", made, source], check=True)
    return str(made)


@contextlib.contextmanager
def server(binary, folder, preload):
    """A server with one worker and one spooler; yields its address and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = {**os.environ, **({"LD_PRELOAD": preload} if preload else {})}
    command = [binary, "--master", "--die-on-term", "--http-socket", f"127.0.0.1:{port}", "--wsgi-file", "app.py", "--spooler", "jobs",
               "--spooler-quiet", "--disable-logging"]
    with open(folder / "log", "w") as log, subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log) as process:
        try:
            deadline = time.time() + 30
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                if process.poll() is not None or time.time() > deadline:
                    raise RuntimeError((folder / "log").read_text())
                time.sleep(0.02)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def done(folder):
    """When the first and the last job ran."""
    deadline = time.time() + 120
    while not (folder / "done").exists():
        if time.time() > deadline:
            raise RuntimeError(f"{len(os.listdir(folder / 'jobs'))} jobs are left\n" + (folder / "log").read_text())
        time.sleep(0.02)
    times = (folder / "done").read_text().split()
    (folder / "done").unlink()
    return map(float, times)


def measure(binary, preload, jobs, backlog):
    """Jobs per second: written, done, done of a backlog."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("SPOOL", ROOT / "bench")) as name:
        folder = pathlib.Path(name)
        (folder / "app.py").write_text(APP)
        (folder / "jobs").mkdir()
        with server(binary, folder, preload) as url:
            with urllib.request.urlopen(f"{url}?{jobs}", timeout=300) as reply:
                began, written = map(float, reply.read().split())
            _, last = done(folder)
        for number, content in enumerate(backlog):
            (folder / "jobs" / f"uwsgi_spoolfile_on_here_1_{number}_1_1_1").write_bytes(content)
        with server(binary, folder, preload):
            first, end = done(folder)
    return jobs / (written - began), jobs / (last - began), jobs / (end - first)


def job(number, jobs):
    pairs = b"".join(len(text).to_bytes(2, "little") + text
                     for text in (b"number", b"%d" % number, b"jobs", b"%d" % jobs, b"to", b"somebody@example.com"))
    return b"\x11" + len(pairs).to_bytes(2, "little") + b"\0" + pairs


def main():
    jobs, rounds = (int(text) for text in (sys.argv[1:] + ["10000", "3"][len(sys.argv) - 1:])[:2])
    if not shutil.which(UWSGI):
        sys.exit(f"there is no {UWSGI}")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        unsynced, synced = library(folder, "unsynced.so", "-DUNSYNCED"), library(folder, "synced.so")
        ours = str(ROOT / "bin/envoxyd")
        cases = [("synced", "envoxyd", ours, ""), ("synced", "uWSGI", UWSGI, synced),
                 ("not synced", "envoxyd", ours, unsynced), ("not synced", "uWSGI", UWSGI, "")]
        backlog = [job(number, jobs) for number in range(jobs)]
        best = {}
        for _ in range(rounds):
            for how, who, binary, preload in cases:
                found = measure(binary, preload, jobs, backlog)
                best[how, who] = [max(pair) for pair in zip(found, best.get((how, who), found))]
    print(f"{jobs} jobs, the best of {rounds} rounds, jobs/s")
    print(f"{'':24}{'spool()':>10}{'done':>10}{'backlog':>10}")
    for (how, who), found in best.items():
        print(f"{how + ', ' + who:24}" + "".join(f"{rate:10.0f}" for rate in found))


if __name__ == "__main__":
    main()
