"""Files of jobs: their form, their names, and what is no job."""
import errno
import fcntl
import os
import random
import re
import struct
import threading

import pytest
from envoxyd_worker.spooling import files


def test_a_file_is_as_uwsgi_writes_it(tmp_path):
    content = files.encode({b"key": b"value", b"empty": b""}.items(), b"the body")
    path = files.write(str(tmp_path), None, content, 9999999999, "some.host")
    assert re.fullmatch(rf"{tmp_path}/uwsgi_spoolfile_on_some\.host_{os.getpid()}_\d+_\d+_\d{{10}}_\d+", path)
    pairs = b"\x03\0key\x05\0value\x05\0empty\0\0"
    with open(path, "rb") as file:
        assert file.read() == b"\x11" + struct.pack("<H", len(pairs)) + b"\0" + pairs + b"the body"
    state = os.stat(path)
    assert (state.st_mode & 0o7777, state.st_mtime) == (0o600, 9999999999)
    assert files.read(path) == ({b"key": b"value", b"empty": b""}, b"the body")


def test_names_are_unique_over_threads(tmp_path):
    content, paths = files.encode([(b"a", b"1")], b""), []
    threads = [threading.Thread(target=lambda: paths.extend(files.write(str(tmp_path), None, content, None, "h") for _ in range(20)))
               for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == 80 == len(os.listdir(tmp_path))


@pytest.mark.parametrize("pairs, body", [
    ({"a": b"1"}, b""), ({b"a": "1"}, b""), ({b"a": 1}, b""), ({b"a": bytearray(b"1")}, b""), ({b"a": None}, b""), ({b"a": b"1"}, "text"),
    ({b"a": b"x" * 65536}, b""), ({b"x" * 65536: b""}, b""), ({b"a": b"x" * 40000, b"b": b"x" * 40000}, b""),
])
def test_what_has_no_place_in_a_job(pairs, body):
    with pytest.raises(ValueError):
        files.encode(pairs.items(), body)


def test_a_job_may_be_as_large_as_its_header_can_say(tmp_path):
    value, body = os.urandom(65535 - 5), os.urandom(300000)
    path = files.write(str(tmp_path), None, files.encode([(b"a", value)], body), None, "h")
    assert files.read(path) == ({b"a": value}, body)


@pytest.mark.parametrize("priority", [b"", b"-1", b"1.5", b"../x", b"..", b".", b"a", b"1/2", b"1\n", b" 1", b"1" * 19, b"\xb2"])
def test_a_priority_is_a_number(tmp_path, priority):
    with pytest.raises(ValueError):
        files.write(str(tmp_path), priority, files.encode([(b"a", b"1")], b""), None, "h")
    assert not list(tmp_path.iterdir())


def test_a_priority_is_a_directory(tmp_path):
    path = files.write(str(tmp_path), b"07", files.encode([(b"a", b"1")], b""), None, "h")
    assert os.path.dirname(path) == f"{tmp_path}/07"
    assert os.stat(tmp_path / "07").st_mode & 0o027 == 0


@pytest.mark.parametrize("text, want", [(b"12", 12), (b" 12.9", 12), (b"-3", -3), (b"text", 0), (b"", 0), (b"12x", 12)])
def test_at_is_read_as_a_c_program_does(text, want):
    assert files.seconds(text) == want


def test_a_time_before_all_times_is_now_and_one_that_cannot_be_is_refused(tmp_path):
    content = files.encode([(b"a", b"1")], b"")
    assert os.stat(files.write(str(tmp_path), None, content, -5, "h")).st_mtime == 0
    with pytest.raises(ValueError):
        files.write(str(tmp_path), None, content, 10 ** 30, "h")
    assert len(os.listdir(tmp_path)) == 1


GOOD = files.encode([(b"a", b"1")], b"")


@pytest.mark.parametrize("content", [b"", b"\x11", GOOD[:4], GOOD[:5], GOOD[:-1], b"\x11\x06\0\0\x05\0a\x01\x001", b"\x11\x01\0\0\x01",
                                     b"\x11\x03\0\0\x01\0a", b"\x11\xff\xff\0" + b"\xff" * 65535])
def test_what_is_no_job(tmp_path, content):
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(files.Broken):
        files.read(str(tmp_path / "f"))


def test_any_bytes_are_a_job_or_are_not():
    chance = random.Random(1)
    for _ in range(5000):
        content = bytearray(GOOD + b"body" if chance.random() < 0.7 else chance.getrandbits(8 * 40).to_bytes(40, "big"))
        for _ in range(chance.randrange(4)):
            content[chance.randrange(len(content))] = chance.choice((0, 1, 2, 127, 255))
        try:
            pairs, body = files.parse(bytes(content))
        except files.Broken:
            continue
        assert all(isinstance(text, bytes) for text in (body, *pairs, *pairs.values()))


def test_a_job_may_consist_of_nothing_but_its_header(tmp_path):
    (tmp_path / "f").write_bytes(b"\x11\0\0\0")
    assert files.read(str(tmp_path / "f")) == ({}, b"")


def test_one_process_has_a_job_until_it_lets_go(tmp_path):
    path = files.write(str(tmp_path), None, GOOD, None, "h")
    taken = files.take(path)
    assert files.take(path) is None
    files.read(path)  # closes the file, which would end a lock of the process
    assert files.take(path) is None
    taken.release()
    again = files.take(path)
    assert again.read() == ({b"a": b"1"}, b"")
    again.remove()
    assert files.take(path) is None
    again.release()


def test_a_job_that_was_done_between_open_and_lock_is_gone(tmp_path, monkeypatch):
    path, lock = files.write(str(tmp_path), None, GOOD, None, "h"), fcntl.fcntl

    def slow(*args):
        os.unlink(path)
        lock(*args)

    monkeypatch.setattr(fcntl, "fcntl", slow)
    assert files.take(path) is None


def test_links_and_pipes_are_no_jobs(tmp_path):
    path = files.write(str(tmp_path), None, GOOD, None, "h")
    os.symlink(path, tmp_path / "link")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError):
        files.take(str(tmp_path / "link"))
    assert files.take(str(tmp_path / "fifo")) is None
    with pytest.raises(files.Broken):
        files.read(str(tmp_path / "fifo"))


def test_without_unnamed_files_a_job_gets_its_name_at_the_end(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(errno.EOPNOTSUPP, "not here")

    monkeypatch.setattr(files, "_write_unnamed", unsupported)
    path = files.write(str(tmp_path), None, GOOD, 5, "h")
    assert os.listdir(tmp_path) == [os.path.basename(path)]
    assert files.read(path) == ({b"a": b"1"}, b"") and os.stat(path).st_mtime == 5


@pytest.mark.parametrize("content", [GOOD, GOOD + b"x" * 5000])
def test_file_and_directory_are_on_the_disk_before_write_returns(tmp_path, monkeypatch, content):
    done, sync, link = [], os.fsync, os.link

    def fsync(fd):
        done.append(("sync", os.readlink(f"/proc/self/fd/{fd}").startswith(f"{tmp_path}/")))
        sync(fd)

    def name(*args, **kwargs):
        done.append("name")
        link(*args, **kwargs)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "link", name)
    files.write(str(tmp_path), None, content, None, "h")
    first = [("sync", True)] if len(content) > 4096 else []
    assert done == [*first, "name", ("sync", True), ("sync", False)]


def test_a_disk_that_fails_leaves_no_job_behind(tmp_path, monkeypatch):
    def full(fd):
        raise OSError(errno.EIO, "broken disk")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError):
        files.write(str(tmp_path), None, GOOD, None, "h")
    assert not list(tmp_path.iterdir())
