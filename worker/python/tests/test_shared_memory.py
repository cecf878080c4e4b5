"""Locks, caches, the queue and shared areas as applications call them, in one process and its forks."""
import os
import signal
import socket
import struct
import threading
import time

import pytest
from envoxyd_worker import uwsgi_module
from envoxyd_worker.uwsgi_module import cachepackets
from envoxyd_worker.uwsgi_module.shared import close
from specs import ALONE

AREA = 5 << 30  # over 4 GiB, of which next to nothing is used


def cache(name, **more):
    return {"fd": os.memfd_create(name), "name": name, "items": 20, "blocks": 20, "block_size": 100, "key_size": 64, "hash_size": 16,
            "bitmap": False, "purge_lru": False, "lazy_expire": False, "no_expire": False, "ignore_full": False, "clear_on_full": False,
            "last_modified": False, "math_initial": 0, **more}


def make(more=None, **shared):
    spec = {
        **ALONE,
        "version": "2.1.0-envoxyd", "processes": 1, "threads": 1, "cores": 1,
        "loop": None, "started_on": 1, "master_pid": 0, "generation": 0, "sockets": [],
        "opt": [],
        "limits": {"buffer_size": 4096}, "python": {"hostname": "here", "pidfile": "", "locks": 1}, "locks_fd": os.memfd_create("locks"),
        "shared": {"caches": None, "areas": None, "items": None, "expire_freq": 3, "report_freed": False, **shared},
        **(more or {}),
    }
    module = uwsgi_module.make(spec)
    close(spec)
    return module


@pytest.fixture
def uwsgi():
    return make(caches=[cache("c"), cache("two", purge_lru=True)], queue={"fd": os.memfd_create("queue"), "slots": 4, "block_size": 80},
                areas=[{"fd": os.memfd_create("area"), "offset": 0, "size": size, "grows": True} for size in (4096, AREA)])


@pytest.fixture
def alarm():
    """alarm(seconds): an exception, as a signal handler raises it."""
    def ring(*_):
        raise InterruptedError

    before = signal.signal(signal.SIGALRM, ring)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def in_child(function):
    """Runs function in a fork and waits for its end; returns whether it succeeded."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1] == 0


class Holder:
    """A child that does something, and then stays until it is killed."""

    def __init__(self, what):
        out, done = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                what()
                os.write(done, b"x")
                os.read(os.pipe()[0], 1)
            finally:
                os._exit(1)
        os.close(done)
        assert os.read(out, 1) == b"x"
        os.close(out)

    def kill(self):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)


def test_what_is_not_configured_is_not_there():
    bare = make()
    assert not [name for name in dir(bare) if name.startswith(("queue_", "sharedarea_"))]
    assert (bare.cache_get("k"), bare.cache_set("k", "v"), bare.cache_clear(), bare.cache_num("k")) == (None, None, None, 0)
    with pytest.raises(ValueError):
        bare.cache_keys()


def test_names_and_types_of_cache_arguments(uwsgi):
    assert (uwsgi.cache_set("k", "1"), uwsgi.cache_set(b"k", b"2", 0, "two")) == (True, True)
    assert [uwsgi.cache_get("k", name) for name in (None, "", "c", "two")] == [b"1", b"1", b"1", b"2"]
    assert uwsgi.cache_get("k", "three") is None
    for arguments, error in (((1,), TypeError), (("k", b"c"), TypeError), (("k", "a\0b"), ValueError), ((), TypeError)):
        with pytest.raises(error):
            uwsgi.cache_get(*arguments)
    with pytest.raises(ValueError):
        uwsgi.cache_keys("three")
    assert (uwsgi.cache_keys(), uwsgi.cache_clear(), uwsgi.cache_keys()) == ([b"k"], True, [])


def test_expiry_of_counters_is_that_of_the_first(uwsgi):
    assert uwsgi.cache_inc("n", 1, -1) is True and uwsgi.cache_num("n") == 0  # long ago
    assert uwsgi.cache_inc("n", 5, 1) is True and uwsgi.cache_inc("n", 1, 1000) is True and uwsgi.cache_num("n") == 6
    end = time.monotonic() + 5
    while uwsgi.cache_num("n") and time.monotonic() < end:
        time.sleep(0.05)
    assert uwsgi.cache_num("n") == 0


def test_a_full_cache_is_told_of(uwsgi, capfd):
    results = [uwsgi.cache_set(f"k{n}", "v") for n in range(21)]
    assert results == [True] * 19 + [None] * 2
    assert capfd.readouterr().err.count('cache "c" is full') == 1  # at most once a second
    assert all(uwsgi.cache_set(f"k{n}", "v", 0, "two") for n in range(50)) and len(uwsgi.cache_keys("two")) == 19


def test_items_that_have_expired_are_told_of(capfd):
    module = make(caches=[cache("c")], report_freed=True)
    for _ in range(3):
        module.cache_set("k", "v", -1)
    assert 'cache "c": 1 items have expired' in capfd.readouterr().err


def test_items_of_the_configuration(tmp_path, capfd):
    (tmp_path / "file").write_bytes(b"content")
    name = str(tmp_path / "file")

    def item(key, value="", cache="", file="", gzip=False):
        return {"cache": cache, "key": key, "value": value, "file": file, "gzip": gzip}

    module = make(caches=[cache("c"), cache("two")], items=[
        item("k", "v"), item("k", "w", "two"), item("f", file=name), item("z", file=name, gzip=True), item("n", "v", "three"),
        item("m", file="/no/file")])
    import gzip

    assert (module.cache_get("k"), module.cache_get("k", "two"), module.cache_get("f")) == (b"v", b"w", b"content")
    assert gzip.decompress(module.cache_get("z")) == b"content"
    said = capfd.readouterr().err
    assert "n could not be stored" in said and "/no/file" in said


def test_caches_are_shared_with_forks(uwsgi):
    assert in_child(lambda: uwsgi.cache_set("k", "child's"))
    assert uwsgi.cache_get("k") == b"child's"


def test_lock_of_another_process_is_waited_for_and_freed_by_its_death(uwsgi, alarm):
    holder = Holder(uwsgi.lock)
    assert uwsgi.is_locked() is True and uwsgi.is_locked(1) is False
    assert uwsgi.unlock() is None and uwsgi.is_locked() is True  # it is not ours
    alarm(0.05)
    with pytest.raises(InterruptedError):  # a signal's handler runs while we wait
        uwsgi.lock()
    threading.Timer(0.1, holder.kill).start()
    uwsgi.lock()
    with pytest.raises(RuntimeError):
        uwsgi.lock()
    uwsgi.unlock()
    assert uwsgi.is_locked() is False


def test_a_lock_holds_between_threads_and_its_waiter_lets_others_run(uwsgi):
    uwsgi.lock(1)
    got = threading.Event()

    def wait():
        uwsgi.lock(1)
        got.set()
        uwsgi.unlock(1)

    thread = threading.Thread(target=wait)
    thread.start()
    assert not got.wait(0.3)
    uwsgi.unlock(1)
    assert got.wait(5)
    thread.join()


def test_a_thread_that_has_ended_keeps_no_lock(uwsgi):
    thread = threading.Thread(target=uwsgi.lock)
    thread.start()
    thread.join()
    uwsgi.lock()
    uwsgi.unlock()


def test_spoolers_have_no_locks(uwsgi):
    uwsgi_module.state(uwsgi).spooler = 1
    for function in (uwsgi.lock, uwsgi.unlock, uwsgi.is_locked):
        with pytest.raises(ValueError):
            function()


def test_the_queue(uwsgi):
    assert (uwsgi.queue_size, uwsgi.queue_push("x" * 65), uwsgi.queue_push(""), uwsgi.queue_pull()) == (4, None, None, None)
    assert [uwsgi.queue_push(m) for m in "abcde"] == [True] * 5
    assert (uwsgi.queue_slot(), uwsgi.queue_get(0), uwsgi.queue_last(), uwsgi.queue_last(9)) == (1, b"e", b"e", [b"e", b"d", b"c", b"b"])
    assert (uwsgi.queue_pull(), uwsgi.queue_pull(), uwsgi.queue_pop(), uwsgi.queue_pop()) == (b"e", b"b", None, b"d")
    assert (uwsgi.queue_get(-1), uwsgi.queue_get(4), uwsgi.queue_set(-1, "x")) == (None, None, None)
    assert (uwsgi.queue_set(1, "x"), uwsgi.queue_get(1)) == (True, b"x")


def test_integers_of_areas(uwsgi):
    far = AREA - 100
    for number, at in ((0, 8), (0, 13), (1, far), (1, far + 3)):  # aligned and not
        for bits, value in ((8, 100), (16, -300), (32, -(2**31)), (64, 2**63 - 1)):
            assert getattr(uwsgi, f"sharedarea_write{bits}")(number, at, value) is None
            assert getattr(uwsgi, f"sharedarea_read{bits}")(number, at) == value
        uwsgi.sharedarea_writelong(number, at, -5)
        uwsgi.sharedarea_inclong(number, at)
        uwsgi.sharedarea_dec64(number, at, 2)
        assert uwsgi.sharedarea_readlong(number, at) == -6
        uwsgi.sharedarea_write32(number, at, -1)
        uwsgi.sharedarea_inc32(number, at, 3)
        uwsgi.sharedarea_dec32(number, at)
        assert uwsgi.sharedarea_read32(number, at) == 1
    uwsgi.sharedarea_writebyte(0, 0, 255)
    assert uwsgi.sharedarea_readbyte(0, 0) == -1


@pytest.mark.parametrize("call", [
    ("read", 2, 0), ("read", -1, 0), ("read", 0, -1), ("read", 0, 4090, 10), ("read", 0, 4097), ("read", 0, 0, -1),
    ("write", 0, 4095, "xy"), ("read64", 0, 4089), ("write32", 0, 4093, 1), ("inc64", 0, 4089), ("inc32", 0, -1), ("read64", 1, AREA - 7),
    ("memoryview", 2), ("rlock", 2), ("object", 0), ("update", 5), ("wait", 5)])
def test_what_is_outside_of_an_area(uwsgi, call):
    with pytest.raises(ValueError):
        getattr(uwsgi, "sharedarea_" + call[0])(*call[1:])


def test_bytes_and_views_of_areas(uwsgi):
    with pytest.raises(OverflowError):
        uwsgi.sharedarea_write8(0, 0, 256)
    with pytest.raises(TypeError):
        uwsgi.sharedarea_write8(0, 0, "1")
    uwsgi.sharedarea_write(0, 10, "hé")
    view = uwsgi.sharedarea_memoryview(0)
    assert (len(view), view.readonly, bytes(view[10:13])) == (4096, False, "hé".encode())
    view[10:12] = b"ab"
    assert uwsgi.sharedarea_read(0, 10, 2) == b"ab" and len(uwsgi.sharedarea_read(0, 96)) == 4000
    assert in_child(lambda: uwsgi.sharedarea_write(1, AREA - 3, b"end"))
    assert uwsgi.sharedarea_read(1, AREA - 3) == b"end"


def test_an_area_has_many_readers_or_one_writer(uwsgi, alarm):
    readers = [Holder(lambda: uwsgi.sharedarea_rlock(0)) for _ in range(3)]
    uwsgi.sharedarea_rlock(0)
    uwsgi.sharedarea_unlock(0)
    alarm(0.05)
    with pytest.raises(InterruptedError):
        uwsgi.sharedarea_wlock(0)
    for reader in readers:
        reader.kill()
    uwsgi.sharedarea_wlock(0)
    with pytest.raises(RuntimeError):
        uwsgi.sharedarea_wlock(0)
    uwsgi.sharedarea_unlock(0)
    writer = Holder(lambda: uwsgi.sharedarea_wlock(0))
    alarm(0.05)
    with pytest.raises(InterruptedError):
        uwsgi.sharedarea_rlock(0)
    writer.kill()
    uwsgi.sharedarea_rlock(0)
    uwsgi.sharedarea_unlock(0)


def test_waiting_for_a_change_of_an_area(uwsgi):
    assert uwsgi.sharedarea_wait(0, 10, 0.05) is None
    change = threading.Timer(0.1, uwsgi.sharedarea_update, (0,))
    change.start()
    assert uwsgi.sharedarea_wait(0) is True
    change.join()


class Peer:
    """An instance that answers to one packet each connection, in a child."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.node = f"@127.0.0.1:{self.listener.getsockname()[1]}"
        self.pid = os.fork()
        if self.pid == 0:
            try:
                while True:
                    self.serve(self.listener.accept()[0])
            finally:
                os._exit(1)
        self.listener.close()

    def serve(self, stream):
        with stream, stream.makefile("rb") as reader:
            _, size, modifier2 = struct.unpack("<BHB", reader.read(4))
            block = reader.read(size)
            following = int(cachepackets.decode(block).get(b"size", 0)) if modifier2 == cachepackets.COMMAND else 0
            stream.sendall(cachepackets.answer_cache(modifier2, block, reader.read(following)))

    def end(self):
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)


def test_caches_of_other_instances(uwsgi):
    peer = Peer()
    there = "two" + peer.node
    try:
        assert (uwsgi.cache_set("k", "one", 0, there), uwsgi.cache_set("k", "two", 0, there)) == (True, None)
        assert uwsgi.cache_get("k", there) == b"one"
        assert uwsgi.cache_get("k", "two") == b"one" and uwsgi.cache_get("k", peer.node) is None
        assert (uwsgi.cache_update("k", b"x\0y", 100, there), uwsgi.cache_get(b"k", there)) == (True, b"x\0y")
        assert (uwsgi.cache_exists("k", there), uwsgi.cache_del("k", there), uwsgi.cache_exists("k", there)) == (True, True, None)
        assert (uwsgi.cache_inc("n", 5, 0, there), uwsgi.cache_mul("n", 3, 0, there), uwsgi.cache_num("n", there)) == (True, True, 15)
        assert (uwsgi.cache_clear(there), uwsgi.cache_num("n", there), uwsgi.cache_get("n", "none" + peer.node)) == (True, 0, None)
        with pytest.raises(ValueError):
            uwsgi.cache_keys(there)
    finally:
        peer.end()
    assert uwsgi.cache_get("k", there) is None and uwsgi.cache_get("k", "c@nonsense") is None


def test_packets_as_uwsgi_sends_and_answers_them(uwsgi):
    """The bytes are those that uWSGI 2.0.31 was seen to send, and its answers."""
    block = (b"\x03\x00cmd\x03\x00set\x03\x00key\x02\x00kk\x04\x00size\x01\x003\x07\x00expires\x01\x007\x04\x00size\x01\x003"
             b"\x05\x00cache\x01\x00c")
    assert cachepackets.answer_cache(17, block, b"vvv") == b"o\x0c\x00\x11\x06\x00status\x02\x00ok"
    assert cachepackets.answer_cache(17, block, b"vvv") == b""
    asked = b"\x03\x00cmd\x03\x00get\x03\x00key\x02\x00kk\x05\x00cache\x01\x00c"
    assert cachepackets.answer_cache(17, asked, b"") == b"o\x15\x00\x11\x06\x00status\x02\x00ok\x04\x00size\x01\x003vvv"
    assert (cachepackets.answer_cache(0, b"kk", b""), cachepackets.answer_cache(2, b"kk", b"")) == (b"vvv", b"")
    assert (cachepackets.answer_cache(1, b"\x01\x00y\x02\x00vv", b""), uwsgi.cache_get("kk"), uwsgi.cache_get("y")) == (b"", None, b"vv")
    for nonsense in (b"\x03", b"\x09\x00x", b"\x03\x00cmd", b"\x03\x00cmd\x03\x00foo", block.replace(b"\x01\x007", b"\x01\x00x"),
                     b"\x03\x00cmd\x03\x00inc", b"\x03\x00cmd\x03\x00inc\x02\x00by\x14\x0099999999999999999999"):
        assert cachepackets.answer_cache(17, nonsense, b"") == b""
