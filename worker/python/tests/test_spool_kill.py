"""Spooler processes that are killed, and several that share a directory: no job is lost, none runs twice at the same time."""
import fcntl
import os
import random
import select
import signal
import subprocess
import sys
import time

import pytest
from envoxyd_worker.spooling import files
from spoolers import Spoolers, fork, until


@pytest.fixture
def spoolers(tmp_path):
    (tmp_path / "jobs").mkdir()
    made = Spoolers(tmp_path / "jobs", processes=3)
    yield made
    made.close()


class Harness:
    """Spooler processes of one directory. What their jobs note is in a file, a line each."""

    def __init__(self, spoolers, notes):
        self.spoolers, self.notes, self.pids = spoolers, notes, {}
        notes.touch()

    def start(self, number, function):
        """A process that works until it is killed."""
        process = self.spoolers.process(lambda job: function(self, job), number, patience=3600)
        self.pids[number] = fork(process.run)

    def kill(self, number):
        pid = self.pids.pop(number)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    def note(self, *words):
        fd = os.open(self.notes, os.O_WRONLY | os.O_APPEND)
        os.write(fd, (" ".join(map(str, words)) + "\n").encode())
        os.close(fd)

    def lines(self):
        return self.notes.read_text().splitlines()


@pytest.fixture
def harness(spoolers, tmp_path):
    made = Harness(spoolers, tmp_path / "notes")
    yield made
    for number in list(made.pids):
        made.kill(number)


def stuck(harness, job):
    """A job that never ends the first time."""
    first = job[b"n"].decode() not in harness.lines()
    harness.note(job[b"n"].decode())
    if first and job[b"n"] == b"stuck":
        signal.pause()
    return -2


def test_a_job_whose_process_is_killed_runs_again_after_the_others(harness):
    path = harness.spoolers.put(n=b"stuck", at=1)
    harness.start(1, stuck)
    until(lambda: harness.lines() == ["stuck"])
    assert files.take(path) is None  # a uWSGI would pass it over as well
    harness.spoolers.put(n=b"other", at=2)
    harness.kill(1)
    harness.start(1, stuck)
    until(lambda: not os.listdir(os.path.dirname(path)))
    assert harness.lines() == ["stuck", "other", "stuck"]


def with_child(harness, job):
    """A job that leaves a child behind which outlives it, with all of its descriptors."""
    if not harness.lines():
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
        harness.note(child)
        signal.pause()
    harness.note("done")
    return -2


def test_what_a_job_has_forked_does_not_keep_it(harness):
    harness.spoolers.put(n=b"1")
    harness.start(1, with_child)
    child = int(until(harness.lines)[0])
    harness.kill(1)
    try:
        harness.start(1, with_child)
        until(lambda: harness.lines()[1:] == ["done"])
    finally:
        os.kill(child, signal.SIGKILL)


def falls_out(harness, job):
    harness.note(job[b"n"].decode())
    os.fork()
    return -2


def test_a_child_that_returns_from_the_job_is_no_second_spooler(harness):
    for n in range(3):
        harness.spoolers.put(n=b"%d" % n, at=n)
    harness.start(1, falls_out)
    until(lambda: not harness.spoolers.uwsgi.spooler_jobs())
    assert harness.lines() == ["0", "1", "2"]


def alone(harness, job):
    """Holds a lock of the job, which ends with the process; somebody else's would be a second run at the same time."""
    name = job[b"n"].decode()
    with open(harness.notes.with_name(f"lock{name}"), "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            harness.note("twice", name)
        path = os.path.join(harness.spoolers.spoolers[0]["dir"], job["spooler_task_name"].decode())
        assert harness.spoolers.uwsgi.spooler_get_task(path)[b"n"] == job[b"n"]  # opens and closes the file, or the journal
        select.select([], [], [], 0.002)
        harness.note("done", name)
    return -2


def test_no_job_is_lost_and_none_runs_twice_at_the_same_time(harness):
    chance = random.Random(4)
    for number in (1, 2, 3):
        harness.start(number, alone)
    for n in range(150):
        harness.spoolers.uwsgi.spool({b"n": b"%d" % n})
        if n % 3 == 0:
            number = chance.randint(1, 3)
            select.select([], [], [], chance.random() * 0.004)  # any point of a job
            harness.kill(number)
            harness.start(number, alone)
    until(lambda: not harness.spoolers.uwsgi.spooler_jobs(), 30)
    done = harness.lines()
    assert not [line for line in done if line.startswith("twice")]
    assert {line for line in done} == {f"done {n}" for n in range(150)}
    assert len(done) < 150 + 60  # what was killed between its end and the removal of its file


def idle(harness, job):
    harness.note("begin", job[b"n"].decode(), os.getpid())
    if job[b"n"] == b"long":
        until(lambda: [line for line in harness.lines() if line.startswith("begin short")])
    harness.note("end", job[b"n"].decode(), os.getpid())
    return -2


def test_a_long_job_does_not_keep_those_that_were_woken_along_with_it(harness):
    """One process takes the wake-up of both jobs, and the first one lasts until the second one runs elsewhere."""
    harness.start(1, idle)
    harness.start(2, idle)
    until(lambda: all(sleeping(pid) for pid in harness.pids.values()))
    harness.spoolers.put(n=b"long", at=1)
    harness.spoolers.put(n=b"short", at=2)
    harness.spoolers.state.spooling.bells[0].ring()
    until(lambda: len(harness.lines()) == 4)
    ran = {tuple(line.split()[:2]): int(line.split()[2]) for line in harness.lines()}
    assert ran["begin", "long"] == ran["end", "long"] != ran["begin", "short"] == ran["end", "short"]
    assert {ran["begin", "long"], ran["begin", "short"]} == set(harness.pids.values())


def sleeping(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "S"


def test_real_uwsgi_locks_exclude_ours(tmp_path, spoolers):
    """F_SETLK, as uWSGI locks: a job that it has in hand is passed over."""
    path = spoolers.put(n=b"1")
    source = ("import fcntl, sys\nfile = open(sys.argv[1], 'r+b')\nfcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
              "print('locked', flush=True)\nsys.stdin.read()")
    with subprocess.Popen([sys.executable, "-c", source, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"locked\n"
        assert files.take(path) is None
        other.stdin.close()
    taken = files.take(path)
    attempt = subprocess.run([sys.executable, "-c", source, path], stdin=subprocess.DEVNULL, capture_output=True, timeout=10)
    assert b"Error" in attempt.stderr
    taken.release()


def test_ten_thousand_waiting_jobs_do_not_make_each_wake_up_slow(spoolers):
    """Files of the future are looked at once, until the next complete look."""
    directory, handler = spoolers.spoolers[0]["dir"], []
    path = spoolers.put(n=b"1", at=9999999999)
    for n in range(2000):
        os.link(path, f"{directory}/{files.PREFIX}{n}")
    looks = []
    process = spoolers.process(lambda job: (handler.append(job), -2)[1], patience=0)
    made = process.run()
    examine = made.examine
    made.examine = lambda entry, now: (looks.append(entry.name), examine(entry, now))[1]
    assert len(made.future) == 2001
    spoolers.put(n=b"2")
    made.work()
    assert len(looks) == 1 and time.time() < min(made.future.values())
