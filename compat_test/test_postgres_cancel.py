"""A query whose request has come to an end is cancelled on the server, and costs the others nothing."""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading

import pytest
from http_client import Broken, eventually, get
from postgresql import NOT_THERE, programs
from server import BINARY, alive
from test_pythons import interpreter

pytestmark = pytest.mark.skipif(programs() is None, reason=NOT_THERE)
pytest.importorskip("flask")

SERVICE = '''
import os, signal, threading
from envoxy import View, Response, on, pgsqlc
from envoxy.db.exceptions import DatabaseException

class Late(Exception):
    pass

def late(number, frame):
    raise Late()

handled = []

@on(endpoint="/long", protocols=["http"])
class Long(View):
    def get(self, request, **kw):
        with pgsqlc.transaction("main"):
            pgsqlc.query("main", "select pg_sleep(60)")
        return Response({"slept": True})

@on(endpoint="/quick", protocols=["http"])
class Quick(View):
    def get(self, request, **kw):
        return Response({"session": pgsqlc.query("main", "select pg_backend_pid() as pid")[0]["pid"], "handled": len(handled)})

@on(endpoint="/alarm", protocols=["http"])
class Alarm(View):
    """A request that ends itself; before, a handler that raises nothing is run."""
    def get(self, request, **kw):
        def note(number, frame):
            handled.append(number)
            signal.signal(signal.SIGALRM, late)
        signal.signal(signal.SIGALRM, note)
        signal.setitimer(signal.ITIMER_REAL, 0.3, 0.3)
        try:
            pgsqlc.query("main", "select pg_sleep(60)")
        except Late:
            return Response({"late": True})
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return Response({"slept": True})

@on(endpoint="/behind", protocols=["http"])
class Behind(View):
    """A thread that outlives the request."""
    def get(self, request, **kw):
        threading.Thread(target=pgsqlc.query, args=("main", "select pg_sleep(60)"), daemon=True).start()
        return Response({})

__loader__ = [Long, Quick, Alarm, Behind]
'''

ASLEEP = "select count(*) from pg_stat_activity where query like '%pg_sleep(60)%' and state = 'active' and pid <> pg_backend_pid()"


@pytest.fixture
def service(server, http, postgres):
    def start(*args, **section):
        conf = {"modules": ["service.py"], "log": {"level": 6}, "psql_servers": {"main": postgres.section(**section)}}
        return server(http, ["--virtualenv", sys.prefix, "--set", "conf=envoxy.json", "--processes", "1", *args],
                      files={"service.py": SERVICE, "envoxy.json": json.dumps(conf)})

    return start


class Request(threading.Thread):
    """One request in the background; answer is None for a connection that ended without one."""

    def __init__(self, port, path):
        super().__init__(daemon=True)
        self.port, self.path, self.answer = port, path, None
        self.start()

    def run(self):
        try:
            self.answer = get(self.port, self.path, timeout=30)
        except (Broken, OSError):
            pass


def asleep(postgres, number):
    eventually(lambda: postgres.sql(ASLEEP) == str(number), 10)


def worker(running):
    """The pid of the first worker."""
    return int(re.search(r"spawned uWSGI worker 1 \(pid: (\d+)", running.log())[1])


def body(reply):
    assert reply.status == 200, reply.text
    return json.loads(reply.text)


@pytest.mark.parametrize("more", [(), ("--harakiri-graceful-timeout", "1"), ("--harakiri-verbose",)], ids=["plain", "graceful", "verbose"])
def test_harakiri(service, http, postgres, more):
    running = service("--threads", "2", "--harakiri", "2", *more)
    both = [Request(http.port, "/long") for _ in range(2)]
    asleep(postgres, 2)
    running.wait_log("HARAKIRI triggered")
    asleep(postgres, 0)
    eventually(lambda: not alive(worker(running)))
    for one in both:
        one.join(10)
        assert one.answer is None  # a worker that is killed answers nobody
    assert body(get(http.port, "/quick"))["session"]


def test_the_end_of_the_mercy(service, http, postgres):
    running = service("--worker-reload-mercy", "1")
    one = Request(http.port, "/long")
    asleep(postgres, 1)
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    asleep(postgres, 0)
    one.join(10)
    assert one.answer is None


def test_a_reload_that_waits_for_nothing(service, http, postgres):
    running = service("--worker-reload-mercy", "1", "--processes", "2")
    Request(http.port, "/long")
    asleep(postgres, 1)
    running.signal(signal.SIGHUP)
    running.wait_log("NO MERCY")
    asleep(postgres, 0)
    assert body(get(http.port, "/quick"))["session"]


def test_a_signal_handler_that_raises_ends_the_request(service, http, postgres):
    service()
    before = body(get(http.port, "/quick"))
    assert body(get(http.port, "/alarm", timeout=30)) == {"late": True}
    asleep(postgres, 0)
    after = body(get(http.port, "/quick"))
    assert after == {"session": before["session"], "handled": 1}


@pytest.mark.skipif(shutil.which("pgbouncer") is None, reason="pgbouncer is not installed (Debian: pgbouncer)")
def test_behind_pgbouncer(service, http, postgres):
    with postgres.pooler() as port:
        running = service("--harakiri", "2", port=str(port), default_query_exec_mode="cache_describe")
        assert body(get(http.port, "/alarm", timeout=30)) == {"late": True}
        asleep(postgres, 0)
        first = worker(running)
        one = Request(http.port, "/long")
        asleep(postgres, 1)
        running.wait_log("HARAKIRI triggered")
        asleep(postgres, 0)
        eventually(lambda: not alive(first))
        one.join(10)
        assert one.answer is None
        assert body(get(http.port, "/quick"))["session"]


def test_threads_that_are_left_behind(service, http, postgres):
    running = service()
    body(get(http.port, "/behind"))
    asleep(postgres, 1)
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    asleep(postgres, 0)


def test_kill_9_of_a_worker(service, http, postgres):
    """Nobody can cancel then: PostgreSQL, from 14 on, looks itself."""
    if int(postgres.sql("show server_version_num")) < 140000:
        pytest.skip("PostgreSQL before 14")
    running = service()
    Request(http.port, "/long")
    asleep(postgres, 1)
    os.kill(worker(running), signal.SIGKILL)
    asleep(postgres, 0)


# The bridge itself, without Flask, on the oldest and the newest Python.
BARE = """
import signal, sys, types
for name in "envoxy", "envoxy.db":  # their __init__ want Flask
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [{modules!r} + name.replace(".", "/")]
from envoxy.postgresql.client import Client
client = Client({{"main": {section!r}}})

class Late(Exception):
    pass

def late(number, frame):
    client.query("main", "select 1")  # on another connection
    raise Late()

def application(environ, start_response):
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        client.query("main", "select pg_sleep(60)")
        told = "slept"
    except Late:
        told = client.query("main", "select 'late' as v")[0]["v"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [told.encode()]
"""


@pytest.mark.parametrize("version", ["3.8", "3.13"])
def test_signal_handlers_by_version(server, http, postgres, version, tmp_path):
    python = interpreter(version)
    if not python:
        pytest.skip(f"this machine has no Python {version}")
    subprocess.run([python, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    modules = f"{BINARY.parent.parent}/lib/envoxyd/modules/"
    server(http, ["--master", "--virtualenv", tmp_path / "venv"], app=BARE.format(modules=modules, section=postgres.section()))
    for _ in range(3):
        assert get(http.port, timeout=30).text == "late"
    asleep(postgres, 0)
