"""Journals of jobs: what they bring back after the machine went down, and what they leave alone."""
import os
import random
import re
import threading
import time

import pytest
from envoxyd_worker.spooling import files, journal
from spoolers import fork

HERE, THERE = b"a" * 16, b"b" * 16  # two starts of a machine


@pytest.fixture
def journals(tmp_path):
    """Makes the journals of a process on the machine's start of that name, which count every second as a part of a burst."""
    said = []

    def make(boot=HERE, clock=time.time):
        made = journal.Journals(str(tmp_path), said.append, clock)
        made.boot, made.local = boot, True
        made.burst = lambda second: True
        return made

    make.said = said
    return make


def content_of(n):
    return files.encode([(b"n", b"%d" % n)], b"body" * (n % 5))


def put(made, n, priority=None, at=None):
    return files.write(made.directory, priority, content_of(n), at, "here", made)


def add(made, path, content, at=None):
    """Whether a journal has the job."""
    record = made.begin(path, content, at)
    return record is not None and record.finish()


def hidden(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("."))


def jobs(tmp_path):
    """The content of all jobs by their paths."""
    return {str(path): path.read_bytes() for path in tmp_path.rglob(f"{files.PREFIX}*")}


def test_few_jobs_make_no_journal(tmp_path):
    made, now = journal.Journals(str(tmp_path), print, lambda: now[0]), [100]
    made.local = True
    for now[0] in range(100, 100 + 3 * journal.BURST):
        put(made, 1)
    for now[0] in range(1000, 1000 + 10 * journal.BURST, 10):
        for n in range(journal.BURST):
            put(made, n)
    assert hidden(tmp_path) == []
    put(made, 1)
    assert hidden(tmp_path) == [".envoxyd_journal_1"]


def test_jobs_that_are_not_there_come_back_after_a_restart_of_the_machine(tmp_path, journals):
    made = journals()
    paths = [put(made, n, b"3" if n % 2 else None, 12345 if n % 3 else None) for n in range(60)]
    before = jobs(tmp_path)
    for n in range(0, 60, 4):
        os.remove(paths[n])
        os.truncate(paths[n + 1], n % 3)
    journals().settle(remove=False)  # the same start: they are done
    assert len(jobs(tmp_path)) == 45 and journals.said == []
    made = journals()
    again = [put(made, n, b"3", 12345) for n in range(10)]
    before.update(jobs(tmp_path))
    (tmp_path / "3" / ("." + os.path.basename(again[0]))).write_text("an attempt that was interrupted")
    for path in again[:4]:
        os.remove(path)
    journals(THERE).settle(remove=True)
    now = jobs(tmp_path)
    assert [now[path] for path in again] == [before[path] for path in again]
    assert len(now) == 55 and {os.stat(path).st_mtime for path in again} == {12345}
    assert hidden(tmp_path) == [] and len(hidden(tmp_path / "3")) == 0
    assert re.fullmatch("4 jobs are restored .*", journals.said.pop()) and not journals.said


def test_a_full_journal_begins_again(tmp_path, journals, monkeypatch):
    monkeypatch.setattr(journal, "SIZE", journal.PAGE)
    made = journals()
    paths = [put(made, n) for n in range(100)]
    assert os.path.getsize(tmp_path / ".envoxyd_journal_1") == journal.PAGE
    records, _ = journal.unpack_all((tmp_path / ".envoxyd_journal_1").read_bytes())
    assert 0 < len(records) < 40 and records[-1].path == os.path.basename(paths[-1])
    for path in paths:
        os.remove(path)
    journals(THERE).settle(remove=True)
    assert sorted(jobs(tmp_path)) == sorted(paths[-len(records):])


def test_what_is_old_is_settled_by_the_writer(tmp_path, journals):
    now = [1000]
    made = journals(clock=lambda: now[0])
    for now[0] in (1000, 1000 + journal.OLD - 1, 1000 + journal.OLD):
        path = put(made, now[0])
    records, _ = journal.unpack_all((tmp_path / ".envoxyd_journal_1").read_bytes())
    assert [one.path for one in records] == [os.path.basename(path)]


def test_processes_do_not_overwrite_each_others_records(tmp_path, journals):
    made = journals()
    put(made, 0)
    children = [fork(lambda: [put(made, n) for n in range(50)]) for _ in range(3)]
    for n in range(100):
        put(made, n)
        if n % 10 == 0:
            journals().settle(remove=n % 20 == 0)
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
    before = jobs(tmp_path)
    assert len(before) == 251
    kept = set()
    for name in hidden(tmp_path):
        kept.update(one.path for one in journal.unpack_all((tmp_path / name).read_bytes())[0])
    for name in kept:
        os.remove(tmp_path / name)
    journals(THERE).settle(remove=True)
    assert jobs(tmp_path) == before and hidden(tmp_path) == []


def test_threads_do_not_overwrite_each_others_records(tmp_path, journals):
    made, other = journals(), journals()
    stop = threading.Event()

    def settle():
        while not stop.wait(0.01):
            other.settle(remove=False)

    threads = [threading.Thread(target=lambda: [put(made, n) for n in range(50)]) for _ in range(6)]
    settling = threading.Thread(target=settle)
    for thread in (settling, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    settling.join()
    before = jobs(tmp_path)
    assert len(before) == 300
    for name in hidden(tmp_path):
        for one in journal.unpack_all((tmp_path / name).read_bytes())[0]:
            os.remove(tmp_path / one.path)
    journals(THERE).settle(remove=True)
    assert jobs(tmp_path) == before


def test_another_process_goes_on_where_one_has_ended(tmp_path, journals):
    first, second = journals(), journals()
    for n in range(20):
        put((first, second)[n % 2], n)
    records, _ = journal.unpack_all((tmp_path / ".envoxyd_journal_1").read_bytes())
    assert [one.number for one in records] == list(range(1, 21)) and hidden(tmp_path) == [".envoxyd_journal_1"]


def test_a_journal_that_was_written_in_part(tmp_path, journals):
    made = journals()
    for n in range(30):
        put(made, n)
    before, path = jobs(tmp_path), tmp_path / ".envoxyd_journal_1"
    text = path.read_bytes()
    end = journal.unpack_all(text)[1]
    chance = random.Random(1)
    for _ in range(300):
        spoiled = bytearray(text)
        for _ in range(chance.choice([1, 1, 5])):
            spoiled[chance.randrange(end)] = chance.randrange(256)
        if chance.random() < 0.3:
            del spoiled[chance.randrange(end):]
        path.write_bytes(spoiled)
        for lost in chance.sample(list(before), 5):
            if os.path.exists(lost):
                os.remove(lost)
        journals(THERE).settle(remove=True)
        now = jobs(tmp_path)
        assert all(before.get(name) == content for name, content in now.items())
        assert hidden(tmp_path) == []
        for name, content in before.items():
            if name not in now:
                with open(name, "wb") as file:
                    file.write(content)


@pytest.mark.parametrize("path", [
    "../uwsgi_spoolfile_on_x", "/tmp/uwsgi_spoolfile_on_x", "a", "x/uwsgi_spoolfile_on_x", "1/../uwsgi_spoolfile_on_x",
    "uwsgi_spoolfile_on_x/../../y"])
def test_nothing_is_written_elsewhere(tmp_path, journals, path):
    made = journals()
    assert made.begin(path, content_of(1), None).finish()
    journals(THERE).settle(remove=True)
    assert list(tmp_path.rglob("*")) == []


def test_large_jobs_and_what_fails_are_for_the_file_system(tmp_path, journals, monkeypatch):
    made = journals()
    assert not add(made, "x", b"x" * (journal.LARGEST + 1))
    assert not add(made, "x", b"x", 10 ** 30)
    assert add(made, "x", b"x" * journal.LARGEST)

    def fails(*_):
        raise OSError("made up")

    for call, name in (("pwrite", "not written"), ("fdatasync", "not synced")):
        with monkeypatch.context() as broken:
            broken.setattr(os, call, fails)
            assert not add(made, name, b"y")
    assert add(made, "z", b"z")
    records, _ = journal.unpack_all((tmp_path / ".envoxyd_journal_1").read_bytes())
    assert [one.path for one in records] == ["x", "not synced", "z"]
    made.boot = None
    assert not add(made, "z", b"z")


@pytest.mark.parametrize("kind, local", [("ext4", True), ("xfs", True), ("nfs4", False), ("tmpfs", False), ("fuse.sshfs", False)])
def test_other_machines_may_have_a_network_file_system(tmp_path, monkeypatch, kind, local):
    device = os.stat(tmp_path).st_dev
    line = f"36 35 {os.major(device)}:{os.minor(device)} / /mnt rw,noatime master:1 - {kind} /dev/x rw\n"
    (tmp_path / "mountinfo").write_text("22 1 0:4 / /proc rw - proc proc rw\n" + line)
    real, instead = open, {"/proc/self/mountinfo": tmp_path / "mountinfo"}
    monkeypatch.setattr("builtins.open", lambda path, *rest: real(instead.get(path, path), *rest))
    assert journal.is_local(str(tmp_path)) is local
    made = journal.Journals(str(tmp_path), print)
    assert [add(made, f"{n}", b"x") for n in range(journal.BURST + 1)] == [False] * journal.BURST + [local]
    made.settle(remove=True)
    assert not made.there()


def test_a_job_that_cannot_be_written_leaves_no_record(tmp_path, journals, monkeypatch):
    made = journals()
    put(made, 1)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    for call, error in (("link", OSError), ("utime", ValueError)):
        with monkeypatch.context() as broken:
            broken.setattr(os, call, full if error is OSError else lambda *_: (_ for _ in ()).throw(OverflowError()))
            with pytest.raises(error):
                put(made, 2, at=5)
    path = put(made, 3)
    records, _ = journal.unpack_all((tmp_path / ".envoxyd_journal_1").read_bytes())
    assert [one.content for one in records] == [content_of(1), content_of(3)] and records[-1].path == os.path.basename(path)
    assert len(jobs(tmp_path)) == 2


def test_a_directory_that_takes_no_journal(tmp_path, journals, monkeypatch):
    monkeypatch.setattr(journal, "create", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    path = put(journals(), 1)
    assert list(jobs(tmp_path)) == [path]


def test_an_error_is_told_once(tmp_path, journals):
    (tmp_path / ".envoxyd_journal_1").symlink_to("/dev/null")
    made = journals()
    for _ in range(3):
        made.settle(remove=True)
    assert len(journals.said) == 1
