"""Jobs of journals become files: which ones, when, and whatever the process is killed in."""
import os
import random
import signal
import time

import pytest
from envoxyd_worker.spooling import journal, reading, settling
from spoolers import fork, until
from test_spool_journal import FIRST, content_of, hidden, jobs, journals, kept, put, reader

__all__ = ["journals", "reader"]


@pytest.fixture
def settle(tmp_path):
    """Settles the journals, and notes what it says and how often others are told to look."""
    class Noting(settling.Settling):
        def __init__(self):
            self.said, self.rung = [], 0
            super().__init__(str(tmp_path), self.said.append, self.ring)

        def ring(self):
            self.rung += 1

    return Noting()


def test_what_waits_becomes_files_as_if_they_had_been_written_at_once(tmp_path, journals, settle):
    made = journals()
    want = {put(made, n, b"3" if n % 2 else None, 12345 if n % 3 else None): n for n in range(200)}
    written = {one.path: one.written for one in kept(tmp_path)}
    settle.settle(0)
    assert jobs(tmp_path) == {path: content_of(n) for path, n in want.items()}
    for path, n in want.items():
        state = os.stat(path)
        assert state.st_mode & 0o7777 == 0o600
        assert state.st_mtime_ns == (12345 * 10**9 if n % 3 else written[os.path.relpath(path, tmp_path)])
    assert hidden(tmp_path) == [FIRST] and settle.rung == 1 and settle.said == [] and settle.waiting() == []
    settle.settle(0, remove=True)
    assert hidden(tmp_path) == hidden(tmp_path / "3") == [] and settle.rung == 1
    assert os.fstat(made.opened[0].fd).st_blocks == 0  # though a writer has it open


def test_what_is_young_or_in_hand_stays(tmp_path, journals, reader, settle):
    now = [time.time_ns() - 5 * 10**9]
    made = journals(clock=lambda: now[0])
    old = [put(made, n) for n in range(3)]
    now[0] += 4 * 10**9
    young = put(made, 4)
    one = reader()
    one.look()
    held = one.take(old[1])
    settle.settle(2, remove=True, most=1)
    assert list(jobs(tmp_path)) == [old[0]] and len(settle.waiting()) == 3
    settle.settle(2, remove=True)
    assert sorted(jobs(tmp_path)) == [old[0], old[2]] and [record.path for record in settle.waiting()] == [
        os.path.basename(old[1]), os.path.basename(young)]
    assert one.take(old[0]) is None and old[0] not in one.waiting
    held.remove()
    held.release()
    settle.settle(0, remove=True)
    assert sorted(jobs(tmp_path)) == [old[0], old[2], young] and hidden(tmp_path) == []


def test_a_journal_that_is_written_is_passed_over_or_waited_for(tmp_path, journals, settle):
    path = put(journals(), 1)
    locked, go = os.pipe(), os.pipe()

    def write():
        one = journal.Journal(str(tmp_path), 1)
        assert one.lock()
        os.write(locked[1], b"!")
        os.close(go[1])
        os.read(go[0], 1)

    pid = fork(write)
    os.read(locked[0], 1)
    settle.settle(0)
    assert jobs(tmp_path) == {}
    os.close(go[1])
    settle.settle(0, remove=True, patience=10)
    assert list(jobs(tmp_path)) == [path] and hidden(tmp_path) == []
    os.waitpid(pid, 0)


@pytest.mark.parametrize("path", ["../uwsgi_spoolfile_on_x", "/tmp/uwsgi_spoolfile_on_x", "a", "x/uwsgi_spoolfile_on_x"])
def test_nothing_is_written_elsewhere(tmp_path, journals, settle, path):
    assert journals().add(path, content_of(1), None)
    settle.settle(0, remove=True)
    assert list(tmp_path.rglob("*")) == []


def test_an_error_is_told_once_and_loses_nothing(tmp_path, journals, settle, monkeypatch):
    paths = [put(journals(), n) for n in range(3)]
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", lambda fd: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        for _ in range(3):
            settle.settle(0, remove=True)
    assert len(settle.said) == 1 and FIRST in settle.said[0] and jobs(tmp_path) == {} and settle.rung == 0
    settle.settle(0, remove=True)
    assert sorted(jobs(tmp_path)) == sorted(paths) and hidden(tmp_path) == []


CALLS = "open", "write", "utime", "fsync", "pwrite", "fdatasync", "rename", "unlink", "close"


def test_whatever_it_is_killed_in_each_job_is_there_once(tmp_path, journals, settle):
    """Each job is either waiting in the journal or a file that consumers see, and after another attempt all are files."""
    for last in range(1000):
        made = journals()
        want = {put(made, n, b"3" if n % 2 else None): content_of(n) for n in range(4)}
        pid = fork(lambda last=last: settle_until_killed(settle, last))
        killed = os.waitpid(pid, 0)[1] == signal.SIGKILL
        seen = jobs(tmp_path)
        waiting = {f"{tmp_path}/{record.path}" for record in settle.waiting()}
        assert not waiting & seen.keys()
        settle.settle(0, remove=True)
        assert jobs(tmp_path) == want
        assert hidden(tmp_path) == [] and hidden(tmp_path / "3") == []
        for path in want:
            os.remove(path)
        if not killed:
            break
    assert 30 < last < 1000 and settle.said == []


def settle_until_killed(settle, last):
    """Settles, and kills this process instead of the system call of that number."""
    count = [0]

    def counting(call):
        def counted(*args, **kwargs):
            count[0] += 1
            if count[0] > last:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)
        return counted

    for name in CALLS:
        setattr(os, name, counting(getattr(os, name)))
    settle.settle(0, remove=True)


def test_what_is_run_after_a_full_disk_is_no_file_later(tmp_path, journals, reader, settle, monkeypatch):
    """Hidden files that could not be finished are left by a disk that is full."""
    path = put(journals(), 1)
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", lambda fd: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        settle.settle(0)
    one = reader()
    assert one.look() == [path]
    run(one, path)
    settle.settle(0, remove=True)
    assert jobs(tmp_path) == {} and hidden(tmp_path) == []


def run(one, path):
    """Whether the job was there to be run."""
    held = one.take(path)
    if not held:
        return False
    held.remove()
    held.release()
    return True


def test_whatever_it_is_killed_in_each_job_runs_once(tmp_path, journals, reader, settle):
    """Readers run what waits in the journal before anybody comes to what the killed process has left."""
    for last in range(1000):
        made = journals()
        want = [put(made, n, b"3" if n % 2 else None) for n in range(4)]
        pid = fork(lambda last=last: settle_until_killed(settle, last))
        killed = os.waitpid(pid, 0)[1] == signal.SIGKILL
        one = reader()
        ran = [path for path in one.look() if run(one, path)]
        if last % 2:  # it begins anew before that, if it may
            with pytest.MonkeyPatch.context() as small:
                small.setattr(journal, "SIZE", made.opened[0].end)
                want.append(put(journals(), 4))
        settle.settle(0, remove=True)
        assert sorted([*ran, *jobs(tmp_path)]) == sorted(want)
        assert hidden(tmp_path) == []
        for path in jobs(tmp_path):
            os.remove(path)
        if not killed:
            break
    assert 30 < last < 1000 and settle.said == []


def test_the_directory_of_a_priority_that_has_gone_is_made_again(tmp_path, journals, settle, monkeypatch):
    path = put(journals(), 1, b"5")
    with monkeypatch.context() as broken:
        broken.setattr(os, "rename", lambda *args, **kwargs: (_ for _ in ()).throw(OSError(5, "Input/output error")))
        settle.settle(0)
    (tmp_path / "5").rmdir()
    settle.settle(0, remove=True)
    assert list(jobs(tmp_path)) == [path] and hidden(tmp_path) == []


def test_all_jobs_are_all_jobs_whatever_the_clock_says(tmp_path, journals, settle):
    """It may have been set back since a job was written."""
    path = put(journals(clock=lambda: time.time_ns() + 3600 * 10**9), 1)
    settle.settle(0, remove=True)
    assert list(jobs(tmp_path)) == [path]


def test_writers_readers_and_settlers_at_once(tmp_path, journals, monkeypatch):
    """Journals so small that they begin anew all the time; each job is done once."""
    monkeypatch.setattr(journal, "SIZE", 2 * journal.PAGE)
    notes = tmp_path / "notes"
    notes.touch()
    (tmp_path / "jobs").mkdir()
    directory = str(tmp_path / "jobs")

    def write():
        made = journal.Journals(directory, lambda: True, lambda seconds: None)
        made.local, made.burst = True, lambda second: True
        for n in range(150):
            note(notes, "put", os.path.basename(put(made, n)))

    def read():
        one = reading.Reader(directory)
        while True:
            one.look([entry for entry in os.scandir(directory) if entry.name.startswith(journal.NAME)])
            for path in list(one.waiting):
                held = one.take(path)
                if held:
                    if int(held.read()[0][b"n"]) % 10:  # the others are to be tried again later, so they become files
                        note(notes, "done", held.name)
                        held.remove()
                    held.release()

    def settle(seed):
        chance = random.Random(seed)
        one = settling.Settling(directory, print, lambda: None)
        while True:
            one.settle(0, remove=chance.random() < 0.5)
            time.sleep(chance.random() / 100)  # not to wait for anything: to come at any moment

    others = [fork(read), fork(read), fork(lambda: settle(1)), fork(lambda: settle(2))]
    writers = [fork(write) for _ in range(3)]
    try:
        assert [os.waitpid(pid, 0)[1] for pid in writers] == [0, 0, 0]
    finally:
        for pid in others:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    settling.Settling(directory, print, lambda: None).settle(0, remove=True)
    lines = [line.split() for line in notes.read_text().splitlines()]
    written = [name for what, name in lines if what == "put"]
    done = [name for what, name in lines if what == "done"]
    left = [os.path.basename(path) for path in jobs(tmp_path / "jobs")]
    assert len(written) == 450 and len(done) > 0 and len(left) > 0
    assert len(done + left) - len(set(done + left)) <= 2  # what a reader had just done when it was killed
    assert set(done + left) == set(written)


def note(notes, *words):
    fd = os.open(notes, os.O_WRONLY | os.O_APPEND)
    os.write(fd, (" ".join(words) + "\n").encode())
    os.close(fd)


def test_the_last_process_that_leaves_makes_files(tmp_path, journals, reader, settle):
    """served() is asked with the journal locked, so no job is written behind its back."""
    serving = [True]
    made = journals(serving=lambda: serving[0])
    path = put(made, 1)
    serving[0] = False
    settle.settle(0, remove=True, patience=1)
    after = put(made, 2)
    assert sorted(jobs(tmp_path)) == sorted([path, after])
    until(lambda: reader().look() == [])
