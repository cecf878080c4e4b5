"""Journals of jobs: who writes them, who reads them, and what is left of them after a crash."""
import itertools
import os
import random
import signal
import threading

import pytest
from envoxyd_worker.spooling import files, journal, locks, reading, records
from envoxyd_worker.spooling.order import scan
from spoolers import fork

FIRST = journal.NAME + "1"


@pytest.fixture
def journals(tmp_path):
    """Makes the journals of a process, which count every second as a part of a burst."""
    all_made = []

    def make(serving=lambda: True, settle=lambda seconds: None, bursts=False, directory=tmp_path, **more):
        made = journal.Journals(str(directory), serving, settle, **more)
        made.local = True
        if not bursts:
            made.burst = lambda second: True
        all_made.append(made)
        return made

    yield make
    for made in all_made:
        made.forget()


@pytest.fixture
def reader(tmp_path):
    """Makes the reader of a process; look() is what its loop does."""
    all_made = []

    class Looking(reading.Reader):
        def look(self):
            super().look([entry for entry in scan(self.directory) if entry.name.startswith(journal.NAME)])
            return list(self.waiting)

    def make():
        all_made.append(Looking(str(tmp_path)))
        return all_made[-1]

    yield make
    for made in all_made:
        made.close()


def content_of(n):
    return files.encode([(b"n", b"%d" % n)], b"body" * (n % 5))


def put(made, n, priority=None, at=None):
    return files.write(made.directory, priority, content_of(n), at, "here", made)


def kept(tmp_path, name=FIRST):
    return records.unpack_all((tmp_path / name).read_bytes())


def hidden(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("."))


def jobs(tmp_path):
    """The content of all files of jobs by their paths."""
    return {str(path): path.read_bytes() for path in tmp_path.rglob(f"{files.PREFIX}*")}


def test_few_jobs_make_no_journal(tmp_path, journals):
    now = [100]
    made = journals(bursts=True, clock=lambda: now[0] * 10**9)
    for now[0] in range(100, 100 + 3 * journal.BURST):
        put(made, 1)
    for now[0] in range(1000, 1000 + 10 * journal.BURST, 10):
        for n in range(journal.BURST):
            put(made, n)
    assert hidden(tmp_path) == [] and len(jobs(tmp_path)) == 3 * journal.BURST + journal.BURST ** 2
    put(made, 1)
    assert hidden(tmp_path) == [FIRST] and len(jobs(tmp_path)) == 3 * journal.BURST + journal.BURST ** 2


def test_without_a_spooler_that_reads_there_are_files(tmp_path, journals):
    path = put(journals(serving=lambda: False), 1)
    assert list(jobs(tmp_path)) == [path] and hidden(tmp_path) == []


def test_a_spooler_that_leaves_while_a_writer_takes_a_journal(tmp_path, journals):
    answers = [True, False]
    path = put(journals(serving=lambda: answers.pop(0)), 1)
    assert list(jobs(tmp_path)) == [path] and kept(tmp_path) == []


def test_a_job_is_read_once_and_done_once(tmp_path, journals, reader):
    made, one, other = journals(), reader(), reader()
    paths = [put(made, n, b"3" if n % 2 else None, 12345 if n % 3 else None) for n in range(10)]
    assert jobs(tmp_path) == {} and one.look() == other.look() == paths
    held = one.take(paths[0])
    assert held.read() == ({b"n": b"0"}, b"") and held.found.st_mtime_ns == held.record.written
    assert one.take(paths[1]).found.st_mtime == 12345
    assert other.take(paths[0]) is other.take(paths[1]) is None  # in hand
    held.remove()
    held.release()
    one.waiting[paths[1]].release()
    assert other.take(paths[0]) is None and paths[0] not in other.waiting
    assert other.take(paths[1]).read() == ({b"n": b"1"}, b"body")
    assert reader().look() == paths[1:]
    paths += [put(made, n) for n in range(1000)]
    assert one.look() == other.look() == paths[1:]


def test_a_process_that_is_killed_gives_its_job_back(journals, reader):
    path = put(journals(), 1)
    one = reader()
    one.look()

    def take():
        mine = reader()
        mine.look()
        assert mine.take(path)
        os.kill(os.getpid(), 9)

    assert os.waitpid(fork(take), 0)[1] == 9
    assert one.take(path)


def test_a_child_does_not_keep_the_job_in_hand(journals, reader):
    path = put(journals(), 1)
    begun, go = os.pipe(), os.pipe()

    def take():
        mine = reader()
        mine.look()
        mine.take(path)
        fork(lambda: (mine.close(), os.write(begun[1], b"!"), os.close(go[1]), os.read(go[0], 1)))
        os.read(begun[0], 1)
        os.kill(os.getpid(), 9)

    assert os.waitpid(fork(take), 0)[1] == 9
    one = reader()
    one.look()
    assert one.take(path)
    os.close(go[1])


def test_a_full_journal_begins_anew_when_all_is_done(tmp_path, journals, reader, monkeypatch):
    monkeypatch.setattr(journal, "SIZE", journal.PAGE)
    made, one, done = journals(), reader(), []
    for n in range(100):
        put(made, n)
        for path in one.look():
            held = one.take(path)
            done.append(held.read()[0][b"n"])
            held.remove()
            held.release()
    assert done == [b"%d" % n for n in range(100)]
    assert hidden(tmp_path) == [FIRST] and os.path.getsize(tmp_path / FIRST) == journal.PAGE


def test_a_job_that_waits_keeps_its_journal_and_the_next_one_is_written(tmp_path, journals, reader, monkeypatch):
    monkeypatch.setattr(journal, "SIZE", journal.PAGE)
    monkeypatch.setattr(journal, "MOST", 3)
    numbers = itertools.count()
    monkeypatch.setattr(files, "_name", lambda hostname: f"{files.PREFIX}{next(numbers):06}")  # no record is shorter than others
    made, one = journals(), reader()
    first, paths = put(made, 0), []
    while not jobs(tmp_path):  # until all journals are full
        paths.append(put(made, 1))
    assert hidden(tmp_path) == [journal.NAME + str(n) for n in (1, 2, 3)]
    assert sorted(one.look()) == sorted([first, *paths[:-1]]) and list(jobs(tmp_path)) == paths[-1:]
    for path in paths[:-1]:
        held = one.take(path)
        held.remove()
        held.release()
    again = [put(made, n) for n in range(5)]
    assert sorted(one.look()) == sorted([first, *again]) and len(kept(tmp_path, journal.NAME + "2")) == 5


def test_full_journals_cost_a_glance(journals, monkeypatch):
    """A spooler that has fallen behind does not slow down those who write."""
    monkeypatch.setattr(journal, "SIZE", 16 * journal.PAGE)
    monkeypatch.setattr(journal, "MOST", 3)
    made, real, read = journals(), os.pread, []
    while made.add("uwsgi_spoolfile_on_x", content_of(1), None):
        pass
    with monkeypatch.context() as counted:
        counted.setattr(os, "pread", lambda fd, size, offset: (read.append(size), real(fd, size, offset))[1])
        assert not made.add("uwsgi_spoolfile_on_x", content_of(1), None)
    assert len(read) == 2 * 3 and max(read) < 100


def test_another_process_goes_on_where_one_has_ended(tmp_path, journals):
    first, second = journals(), journals()
    for n in range(20):
        put((first, second)[n % 2], n)
    assert [one.number for one in kept(tmp_path)] == list(range(1, 21)) and hidden(tmp_path) == [FIRST]


def test_threads_do_not_overwrite_each_others_records(journals, reader):
    made, paths = journals(), []
    threads = [threading.Thread(target=lambda: paths.extend(put(made, n) for n in range(50))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 300 and sorted(reader().look()) == sorted(paths)


def test_a_journal_that_somebody_has_removed_is_made_again(tmp_path, journals, reader):
    made, one = journals(), reader()
    put(made, 1)
    one.look()
    os.remove(tmp_path / FIRST)
    path = put(made, 2)
    assert one.look() == [path]


def test_what_is_written_in_part_is_no_job(tmp_path, journals, reader):
    made, chance = journals(), random.Random(1)
    want = {put(made, n): content_of(n) for n in range(30)}
    path = tmp_path / FIRST
    text = path.read_bytes()
    end = sum(one.size for one in kept(tmp_path))
    for _ in range(300):
        spoiled = bytearray(text)
        for _ in range(chance.choice([1, 1, 5])):
            spoiled[chance.randrange(end)] = chance.randrange(256)
        if chance.random() < 0.3:
            del spoiled[chance.randrange(end):]
        path.write_bytes(spoiled)
        one = reader()
        assert all(want[name] == one.waiting[name].record.content for name in one.look())
        after = put(journals(), 99)  # behind the last whole one
        assert after in one.look()


@pytest.mark.parametrize("path", [
    "../uwsgi_spoolfile_on_x", "/tmp/uwsgi_spoolfile_on_x", "a", "x/uwsgi_spoolfile_on_x", "1/../uwsgi_spoolfile_on_x",
    "uwsgi_spoolfile_on_x/../../y"])
def test_a_path_that_no_job_has_is_read_by_nobody(journals, reader, path):
    assert journals().add(path, content_of(1), None)
    assert reader().look() == []


def test_large_jobs_and_what_fails_are_for_the_file_system(tmp_path, journals, monkeypatch):
    made = journals()
    assert not made.add("x", b"x" * (journal.LARGEST + 1), None)
    assert not made.add("x", b"x", 10 ** 30)
    assert made.add("x", b"x" * journal.LARGEST, None)

    def fails(*_):
        raise OSError("made up")

    for call, name in (("pwrite", "not written"), ("fdatasync", "not synced")):
        with monkeypatch.context() as broken:
            broken.setattr(os, call, fails)
            assert not made.add(name, b"y", None)
    assert made.add("z", b"z", None)
    assert [one.path for one in kept(tmp_path) if one.waiting] == ["x", "z"]


def test_a_job_that_a_spooler_has_before_the_disk_fails_is_no_file_as_well(tmp_path, journals, reader, monkeypatch):
    made, one, held = journals(), reader(), []

    def fails(fd):
        held.append(one.take(one.look()[0]))
        raise OSError("made up")

    put(made, 0)
    one.take(one.look()[0]).remove()
    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", fails)
        path = put(made, 1)
    assert held[0].path == path and jobs(tmp_path) == {}
    assert put(made, 2) in one.look()


def test_a_job_whose_journal_the_disk_has_not_taken_is_not_taken_for_the_next_one(tmp_path, journals, reader, monkeypatch):
    """A spooler that has read it tries it only later."""
    made, one = journals(), reader()
    first = put(made, 0)
    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", lambda fd: one.look() and (_ for _ in ()).throw(OSError("made up")))
        failed = put(made, 1)
    last = put(made, 2)
    assert list(jobs(tmp_path)) == [failed] and sorted(one.look()) == sorted([first, failed, last])
    assert one.take(failed) is None
    assert one.take(last).read() == ({b"n": b"2"}, b"body" * 2)


def test_a_directory_that_is_moved_away_takes_its_journals_along(tmp_path, journals):
    (tmp_path / "jobs").mkdir()
    made = journals(directory=tmp_path / "jobs")
    put(made, 1)
    (tmp_path / "jobs").rename(tmp_path / "old")
    (tmp_path / "jobs").mkdir()
    path = put(made, 2)
    assert [one.path for one in kept(tmp_path / "jobs")] == [os.path.basename(path)]


def test_a_child_closes_nothing_of_others(tmp_path, journals):
    """The application may have closed all descriptors there, and opened its own."""
    made = journals()
    put(made, 1)

    def child():
        os.closerange(3, 1000)
        mine = [os.open("/dev/null", os.O_RDONLY) for _ in range(50)]
        put(made, 2)
        assert {os.readlink(f"/proc/self/fd/{fd}") for fd in mine} == {"/dev/null"}

    assert os.waitpid(fork(child), 0)[1] == 0
    assert len(kept(tmp_path)) == 2


def test_a_child_that_writes_nothing_holds_no_lock(journals, reader):
    """It may outlive this process, which may be killed while it writes."""
    made = journals()
    put(made, 1)
    (begun, begin), (gone, go) = os.pipe(), os.pipe()
    inside = made.take(1)

    def child():
        os.close(go)
        os.write(begin, b"!")
        os.read(gone, 1)

    pid = fork(child)
    os.read(begun, 1)
    os.close(inside.fd)  # as a kill does
    try:
        assert journals().take(1).name == inside.name
    finally:
        os.close(go)
        os.waitpid(pid, 0)


def test_a_signal_handler_that_interrupts_a_writer(tmp_path, journals, monkeypatch):
    made, paths = journals(), []
    before = signal.signal(signal.SIGALRM, lambda *_: paths.append(put(made, 2)))
    lock = locks.lock

    def interrupted(*args):
        monkeypatch.setattr(locks, "lock", lock)
        signal.raise_signal(signal.SIGALRM)
        return lock(*args)

    monkeypatch.setattr(locks, "lock", interrupted)
    try:
        put(made, 1)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert list(jobs(tmp_path)) == paths and len(kept(tmp_path)) == 1


@pytest.mark.parametrize("kind, local", [("ext4", True), ("xfs", True), ("nfs4", False), ("tmpfs", False), ("fuse.sshfs", False)])
def test_other_machines_may_have_a_network_file_system(tmp_path, journals, monkeypatch, kind, local):
    device = os.stat(tmp_path).st_dev
    line = f"36 35 {os.major(device)}:{os.minor(device)} / /mnt rw,noatime master:1 - {kind} /dev/x rw\n"
    (tmp_path / "mountinfo").write_text("22 1 0:4 / /proc rw - proc proc rw\n" + line)
    real, instead = open, {"/proc/self/mountinfo": tmp_path / "mountinfo"}
    monkeypatch.setattr("builtins.open", lambda path, *rest: real(instead.get(path, path), *rest))
    assert journal.is_local(str(tmp_path)) is local
    made = journals(bursts=True)
    made.local = None
    assert [made.add(f"{n}", b"x", None) for n in range(journal.BURST + 1)] == [False] * journal.BURST + [local]


def test_a_directory_that_takes_no_journal(tmp_path, journals, monkeypatch):
    monkeypatch.setattr(journal, "create", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    path = put(journals(), 1)
    assert list(jobs(tmp_path)) == [path]


def test_a_write_looks_at_no_state_of_the_file(journals, monkeypatch):
    """After fstat() each write costs a transaction: see Journal.removed()."""
    made = journals()
    put(made, 1)
    asked = []
    with monkeypatch.context() as counted:
        for name in ("stat", "fstat", "lstat"):
            counted.setattr(os, name, lambda *_, **__: asked.append(1))
        put(made, 2)
    assert not asked


def test_jobs_that_no_spooler_comes_to_become_files_in_time(journals):
    now, settled = [100], []
    made = journals(settle=settled.append, bursts=True, clock=lambda: now[0] * 10**9)
    for now[0] in range(100, 100 + 3 * journal.OLD):
        for n in range(journal.BURST + 1):
            put(made, n)
    assert settled == [journal.OLD] * 3
