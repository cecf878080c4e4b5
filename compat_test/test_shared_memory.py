"""Memory that processes share: it is kept as long as it should be, counts right, and survives whoever is killed in the midst of it."""
import ast
import concurrent.futures
import os
import shutil
import signal
import urllib.parse

import pytest
from apps import ANSWER
from http_client import Broken, Connection, eventually, get
from server import BINARY, alive
from transports import http_socket

APP = f"""
import os, uwsgi
from urllib.parse import unquote
{ANSWER}
VERSION = 1
def application(environ, start_response):
    return answer(start_response, repr(eval(unquote(environ["PATH_INFO"][1:]), globals())))
"""

EVERYTHING = ["--cache2", "name=c,items=100", "--queue", "8", "--sharedarea", "1", "--locks", "2"]


def ask(transport, expression, timeout=60):
    with Connection(transport.port, timeout=timeout) as connection:
        reply = connection.get("/" + urllib.parse.quote(urllib.parse.quote(expression, safe=""), safe=""))
    assert reply.status == 200, reply.text
    return ast.literal_eval(reply.text)


FILL = "[uwsgi.cache_set('k', 'kept', 0, 'c'), uwsgi.queue_push('message'), uwsgi.sharedarea_write(0, 7, 'bytes')]"
LOOK = "[uwsgi.cache_get('k', 'c'), uwsgi.queue_last(), uwsgi.sharedarea_read(0, 7, 5)]"
FULL = [b"kept", b"message", b"bytes"]


def test_content_outlives_reloads_but_not_its_geometry(server, way):
    running = server(way, ["--master", "-p", "2", "--ini", "more.ini", *EVERYTHING], app=APP, files={"more.ini": "[uwsgi]\n"})
    assert ask(way, FILL) == [True, True, None]

    def reload(version, options=""):
        running.write("app.py", APP.replace("VERSION = 1", f"VERSION = {version}"))
        running.write("more.ini", f"[uwsgi]\n{options}\n")
        running.signal(signal.SIGHUP)
        eventually(lambda: ask(way, "VERSION") == version)

    reload(2)
    assert ask(way, LOOK) == FULL
    reload(3, "cache2 = name=d,items=5")
    assert ask(way, LOOK) == FULL and ask(way, "uwsgi.cache_set('k', 'v', 0, 'd')") is True
    reload(4, "cache2 = name=d,items=6")
    assert ask(way, LOOK) == FULL and ask(way, "uwsgi.cache_get('k', 'd')") is None


def test_content_outlives_an_upgrade_and_a_lock_stays_held(server, way, tmp_path):
    shutil.copytree(BINARY.parent, tmp_path / "bin")
    shutil.copytree(BINARY.parent.parent / "lib", tmp_path / "lib")
    binary = tmp_path / "bin" / BINARY.name
    running = server(way, ["--master", "-p", "1", "--pidfile", "server.pid", *EVERYTHING, "--cache2", "name=s,items=5,store=s.store"],
                     app=APP, binary=binary)
    assert ask(way, FILL) == [True, True, None] and ask(way, "uwsgi.cache_set('k', 'stored', 0, 's')") is True
    old = running.pid
    os.kill(old, signal.SIGUSR2)
    eventually(lambda: not alive(old), 30)
    assert ask(way, LOOK) == FULL and ask(way, "uwsgi.cache_get('k', 's')") == b"stored"
    os.kill(int((running.dir / "server.pid").read_text()), signal.SIGTERM)
    running.wait_gone()


def test_stores_outlive_a_restart(server, way):
    args = ["--master", "-p", "1", "--cache2", "name=c,items=10,store=c.store,store_sync=1", "--queue", "4", "--queue-store", "q.store",
            "--wsgi-file", "app.py"]
    running = server(way, args, files={"app.py": APP, "c.store": "not a cache of ours"})
    assert (running.dir / "c.store.old").read_text() == "not a cache of ours"
    running.wait_log(r"c\.store is not of this geometry or not of envoxyd: it is .*/c\.store\.old now")
    assert ask(way, "uwsgi.cache_set('k', 'kept'), uwsgi.queue_push('message')") == (True, True)
    for end in (signal.SIGTERM, signal.SIGKILL):
        running.signal(end)
        running.process.wait(20)
        running.wait_gone()
        running.start().wait_port(way.listens)
        assert ask(way, "uwsgi.cache_get('k'), uwsgi.queue_get(0), uwsgi.queue_slot()") == (b"kept", b"message", 1)
    assert (running.dir / "c.store").stat().st_mode & 0o777 == 0o600


def test_a_store_belongs_to_one_instance(server, way):
    args = ["--master", "-p", "1", "--cache2", "name=c,items=10,store=c.store"]
    running = server(way, args, app=APP)
    other = http_socket()
    try:
        second = server(other, [*args[:-1], f"name=c,items=10,store={running.dir}/c.store"], app=APP, ready=False)
        assert second.wait_exit() == 1
        assert "c.store is in use by another instance" in second.log()
    finally:
        other.close()
    assert ask(way, "uwsgi.cache_set('k', 'v')") is True


def test_a_store_that_processes_without_a_master_still_write(server, way):
    """A copy takes its place, so that nobody writes to it under another lock."""
    args = ["--master", "-p", "1", "--cache2", "name=c,items=100,store=c.store", "--wsgi-file", "app.py"]
    running = server(way, args, files={"app.py": APP + """
def orphan():
    if os.fork():
        return True
    os.setsid()
    while not os.path.exists("stop"):
        for n in range(50):
            uwsgi.cache_update(f"k{n}", os.urandom(1) * 50000)
    os._exit(0)
"""})
    assert ask(way, "uwsgi.cache_set('mine', 'kept'), orphan()") == (True, True)
    eventually(lambda: ask(way, "uwsgi.cache_exists('k49')"))
    running.signal(signal.SIGKILL)
    running.process.wait(20)
    other = http_socket()
    try:
        second = server(other, [*args[:-3], f"name=c,items=100,store={running.dir}/c.store"], app=APP)
        second.wait_log(r"c\.store is still written by processes of an instance that has ended")
        assert ask(other, "uwsgi.cache_get('mine'), uwsgi.cache_clear()") == (b"kept", True)
        assert ask(other, "[uwsgi.cache_get('k1') for _ in range(1000)] == [None] * 1000") is True
    finally:
        other.close()
        running.write("stop", "")


def test_four_processes_count(server, way):
    server(way, ["--master", "-p", "4", *EVERYTHING], app=APP + """
def count(n):
    for i in range(n):
        uwsgi.cache_inc("n")
        uwsgi.sharedarea_inc64(0, 8)
        uwsgi.sharedarea_inc64(0, 17)
        uwsgi.lock(1)
        uwsgi.sharedarea_write32(0, 40, uwsgi.sharedarea_read32(0, 40) + 1)
        uwsgi.unlock(1)
        uwsgi.sharedarea_wlock(0)
        uwsgi.sharedarea_write32(0, 44, uwsgi.sharedarea_read32(0, 44) + 1)
        uwsgi.sharedarea_unlock(0)
    return uwsgi.worker_id()
""")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        workers = list(pool.map(lambda _: ask(way, "count(1000)"), range(8)))
    assert len(set(workers)) > 1
    assert ask(way, "uwsgi.cache_num('n'), uwsgi.sharedarea_read64(0, 8), uwsgi.sharedarea_read64(0, 17), uwsgi.sharedarea_read32(0, 40),"
                    "uwsgi.sharedarea_read32(0, 44)") == (8000,) * 5


KILLS = APP + """
import random, time

NAMES = [f"k{n}" for n in range(30)]

def value(n):
    return bytes([65 + n % 26]) * (1 + n % 300)

def whole(text):
    return text is None or len(set(text)) == 1

def write(seed):
    dice = random.Random(seed)
    while True:
        n = dice.randrange(100000)
        text = value(n)
        dice.choice((
            lambda: uwsgi.cache_update(dice.choice(NAMES), text, 0, "blocks"),
            lambda: uwsgi.cache_update(dice.choice(NAMES), text, 0, "c"),
            lambda: uwsgi.cache_del(dice.choice(NAMES), dice.choice(("blocks", "c"))),
            lambda: uwsgi.cache_inc("counter", 1, 0, "c"),
            lambda: uwsgi.queue_push(text), lambda: uwsgi.queue_pull(), lambda: uwsgi.queue_pop(),
            lambda: (uwsgi.lock(n % 3), uwsgi.unlock(n % 3)),
            lambda: (uwsgi.sharedarea_wlock(0), uwsgi.sharedarea_write(0, 100, text.ljust(300, text[:1])), uwsgi.sharedarea_unlock(0)),
            lambda: (uwsgi.sharedarea_rlock(0), uwsgi.sharedarea_unlock(0)),
            lambda: uwsgi.sharedarea_inc64(0, 8 + n % 2),
        ))()

def faults():
    for name in ("blocks", "c"):
        keys = uwsgi.cache_keys(name)
        if len(keys) != len(set(keys)):
            yield f"{name}: keys that are there twice"
        for key in keys:
            text = uwsgi.cache_get(key, name)
            if text is None or key != b"counter" and not whole(text):
                yield f"{name}: {key} is {text}"
        if uwsgi.cache_update("probe", "x" * 250, 0, name) is not True or uwsgi.cache_get("probe", name) != b"x" * 250:
            yield f"{name}: the probe is not there"
        uwsgi.cache_del("probe", name)
    before = uwsgi.cache_num("counter", "c")
    uwsgi.cache_inc("counter", 1, 0, "c")
    if uwsgi.cache_num("counter", "c") != before + 1:
        yield "the counter"
    for slot in range(uwsgi.queue_size):
        if not whole(uwsgi.queue_get(slot)):
            yield f"slot {slot}: {uwsgi.queue_get(slot)}"
    uwsgi.queue_push("probe")
    if uwsgi.queue_last() != b"probe" or uwsgi.queue_pop() != b"probe":
        yield "the last message"
    for n in range(3):
        uwsgi.lock(n)
        uwsgi.unlock(n)
    uwsgi.sharedarea_wlock(0)
    uwsgi.sharedarea_unlock(0)

def writer(seed):
    pid = os.fork()
    if pid == 0:
        try:
            write(seed)
        finally:
            os._exit(1)
    return pid

def kill(rounds, seed):
    # Kills that many writers, now and then two that work at a time; returns how many, and what was wrong then.
    killed, dice = 0, random.Random(seed)
    while killed < rounds:
        writers = [writer(f"{seed} {killed} {n}") for n in range(dice.choice((1, 1, 2)))]
        time.sleep(dice.random() * 0.004)
        for pid in writers:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
        killed += len(writers)
        found = list(faults())
        if found:
            return killed, found
    return rounds, []
"""


def test_a_thousand_killed_writers(server, way):
    """A worker forks writers and kills them at random points; all that they have written to is looked at each time. Nobody hangs."""
    server(way, ["--master", "-p", "2", "--cache2", "name=blocks,items=60,blocks=200,blocksize=64,bitmap=1,purge_lru=1",
                 "--cache2", "name=c,items=60,blocksize=400", "--queue", "8", "--queue-blocksize", "400", "--sharedarea", "1",
                 "--locks", "2"], app=KILLS)
    assert ask(way, "kill(1000, 1)", timeout=120) == (1000, [])


def test_killed_workers_with_locks_hang_nobody(server, way):
    running = server(way, ["--master", "-p", "2", *EVERYTHING], app=APP)
    for _ in range(3):
        with pytest.raises((Broken, OSError)):
            ask(way, "uwsgi.lock(1), uwsgi.sharedarea_wlock(0), os.kill(os.getpid(), 9)")
        eventually(lambda: get(way.port, "/1").status == 200)
        assert ask(way, "uwsgi.lock(1), uwsgi.unlock(1), uwsgi.sharedarea_rlock(0), uwsgi.sharedarea_unlock(0)") == (None,) * 4
    assert running.running()


@pytest.mark.parametrize("option, reason", [
    (["--cache2", "items=5"], "needs a name"), (["--cache2", "name=c,items=5,store=/no/such/place"], "no such file"),
    (["--cache2", "name=c,items=100000", "--limit-as", "600"], 'cache "c": its memory cannot be mapped'),
    (["--sharedarea", "file=/no/such/file"], "no such file"), (["--sharedarea", "fd=77,size=4096"], "descriptor 77"),
    (["--cache2", "name=c,items=5", "--load-file-in-cache", "/no/such/file"], "no such file")])
def test_what_cannot_be_made_stops_the_start(server, way, option, reason):
    running = server(way, ["--master", *option], app=APP, ready=False)
    assert running.wait_exit() == 1
    assert reason in running.log().lower()


def test_areas_of_files_and_descriptors(server, way, tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 8192 + b"from the file")
    with open(tmp_path / "open", "w+b") as file:
        file.write(b"from a descriptor")
        file.flush()
        server(way, ["--master", "--sharedarea", f"file={tmp_path}/file,offset=8192", "--sharedarea", f"fd={file.fileno()}"],
               app=APP, pass_fds=[file.fileno()])
        assert ask(way, "uwsgi.sharedarea_read(0, 0), uwsgi.sharedarea_read(1, 5)") == (b"from the file", b"a descriptor")
        ask(way, "uwsgi.sharedarea_write(0, 0, 'into')")
        assert (tmp_path / "file").read_bytes()[8192:] == b"into the file"


def test_items_from_the_configuration(server, way):
    server(way, ["--master", "--cache2", "name=c,items=5", "--add-cache-item", "k=v", "--load-file-in-cache", "app.py"], app=APP)
    assert ask(way, "uwsgi.cache_get('k'), uwsgi.cache_get('app.py')") == (b"v", APP.encode())


def test_nothing_is_left_open_for_what_the_application_executes(server, way):
    server(way, ["--master", "--cache2", "name=c,items=5", "--queue", "4", "--sharedarea", "1"], app=APP)
    assert ask(way, "[os.readlink('/proc/self/fd/' + fd) for fd in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + fd)"
                    " and 'envoxyd-cache' in os.readlink('/proc/self/fd/' + fd)]") == []
