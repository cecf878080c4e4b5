"""One worker that loads the application by itself (--lazy-apps): its successor comes up beside it, and no request waits for the import."""
import json
import os
import re
import signal
import socket
import time

import pytest
from apps import ANSWER
from http_client import Broken, eventually, get
from load import Load
from server import alive, free_port
from test_pythons import interpreter
from transports import http_socket

# Imports for a second; where there is a file `hold`, until that is gone. `importing` holds the pids of those who have begun.
APP = f"""
import os, time
import uwsgi
{ANSWER}
with open("importing", "a") as file:
    file.write(f"{{os.getpid()}}\\n")
if os.path.exists("hold"):
    while os.path.exists("hold"):
        time.sleep(0.01)
else:
    time.sleep(1)
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/workers":
        me = {{"id": uwsgi.worker_id(), "total": uwsgi.total_requests(), "number": uwsgi.request_id()}}
        return answer(start_response, repr((me, uwsgi.workers())))
    if path == "/slow":
        open("slow", "w").close()
        while not os.path.exists("release"):
            time.sleep(0.01)
    return answer(start_response, str(os.getpid()))
"""

OPTIONS = ["--master", "--lazy-apps", "--disable-logging", "--min-worker-lifetime", "0", "--stats", "stats.sock", "--master-fifo", "fifo"]
STARTS = r"the successor \(pid: (\d+)\)"


@pytest.fixture
def transport():
    """One way in is enough here."""
    return http_socket()


class Paced(Load):
    """A constant load that leaves the machine some time."""

    def between(self):
        time.sleep(0.005)


def stats(running):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(running.dir / "stats.sock"))
        return json.load(client.makefile())


def serving(port):
    """The pid of who answers; 0: nobody does."""
    try:
        return int(get(port, timeout=5).text)
    except (OSError, Broken):
        return 0


def command(running, text):
    with open(running.dir / "fifo", "wb", buffering=0) as fifo:
        fifo.write(text.encode())


def slow(load, limit=0.5):
    return [request for request in load.requests if request.ended - request.sent > limit]


def hold(running):
    """From now on imports wait until release() is called."""
    running.write("hold", "")


def release(running):
    os.unlink(running.dir / "hold")


def overlapping(server, transport, *more):
    """A server whose only worker has a successor that imports; its pid and that of the successor."""
    running = server(transport, [*OPTIONS, "--max-requests", "20", *more], app=APP)
    running.wait_log("spawned uWSGI master process")
    hold(running)
    with Paced(transport) as load:
        load.wait_for(20)
        found = running.wait_log(STARTS)
    assert load.failures() == [] and slow(load) == []
    successor = int(found.group(1))
    eventually(lambda: str(successor) in (running.dir / "importing").read_text().split())
    return running, serving(transport.port), successor


LIMITS = {
    "requests": ["--max-requests", "50"],
    "lifetime": ["--max-worker-lifetime", "2"],
    "memory": ["--reload-on-rss", "1"],
    "threads": ["--max-requests", "50", "--threads", "2"],
}


@pytest.mark.parametrize("limit", LIMITS)
def test_no_request_waits_for_the_import_of_a_successor(server, transport, limit):
    running = server(transport, [*OPTIONS, *LIMITS[limit]], app=APP)
    running.wait_log("spawned uWSGI master process")
    with Paced(transport) as load:
        eventually(lambda: len(load.texts) >= 4, 60)
        load.wait_for(20)
    assert load.failures() == []
    assert slow(load) == []
    assert "DAMN" not in running.log() and "NO MERCY" not in running.log()


@pytest.mark.parametrize("how", ["c", "w", "HUP"])
def test_no_request_waits_for_a_chain_reload_of_one_worker(server, transport, how):
    more = ["--lazy"] if how == "HUP" else []
    running = server(transport, [*OPTIONS, *more], app=APP)
    running.wait_log("spawned uWSGI master process")
    with Paced(transport) as load:
        load.wait_for(10)
        running.signal(signal.SIGHUP) if how == "HUP" else command(running, how)
        eventually(lambda: len(load.texts) == 2, 20)
        running.wait_log("chain reloading complete")
        load.wait_for(50)
    assert load.failures() == []
    assert slow(load) == []
    assert len(load.texts) == 2


def test_numbers_go_on_over_successors(server, transport):
    """stats, uwsgi.workers() and kin: one worker, whoever it is, and all of its requests."""
    running = server(transport, [*OPTIONS, "--max-requests", "50"], app=APP)
    running.wait_log("spawned uWSGI master process")
    answers = []
    with Paced(transport) as load:
        while len(load.texts) < 3:
            me, workers = eval(get(transport.port, "/workers").text)
            answers.append((me, workers))
            snapshot = stats(running)["workers"]
            assert [w["id"] for w in snapshot] == [1] and snapshot[0]["pid"] and snapshot[0]["accepting"]
    assert load.failures() == []
    eventually(lambda: "successor" in running.log() and len(running.processes()) == 3, 20)  # master, zygote, worker
    served = len(load.requests) + len(answers)
    for me, workers in answers:
        assert me["id"] == 1 and [w["id"] for w in workers] == [1]
        assert workers[0]["pid"] and me["total"] <= workers[0]["requests"] <= me["total"] + 4  # others go on meanwhile
        assert me["number"] >= me["total"]
    totals = [me["total"] for me, _ in answers]
    assert totals == sorted(totals)
    (worker,) = stats(running)["workers"]
    assert worker["requests"] == served and sum(core["requests"] for core in worker["cores"]) == served
    assert worker["respawn_count"] == 1 + running.log().count("Respawned uWSGI worker 1") >= 3


@pytest.mark.parametrize("version", ["3.8", "3.13"])
def test_successors_in_the_oldest_and_the_newest_python(server, transport, version):
    if not interpreter(version):
        pytest.skip(f"this machine has no Python {version}")
    path = f"{interpreter(version).parent}:{os.environ['PATH']}"
    running = server(transport, [*OPTIONS, "--max-requests", "50"], app=APP, env={"PATH": path})
    running.wait_log("spawned uWSGI master process")
    with Paced(transport) as load:
        eventually(lambda: len(load.texts) >= 3, 60)
    assert load.failures() == []
    assert slow(load) == []


def test_a_successor_that_does_not_import(server, transport):
    """The old process serves on, attempts become rarer, and one comes up when the code is mended."""
    running = server(transport, [*OPTIONS, "--max-requests", "20"], app=APP)
    running.wait_log("spawned uWSGI master process")
    old = serving(transport.port)
    running.write("app.py", "this is no Python")
    with Paced(transport) as load:
        eventually(lambda: running.log().count("has not come up: exit status 22") >= 3, 30)
        assert list(load.texts) == [str(old)]
        running.write("app.py", APP)
        eventually(lambda: len(load.texts) == 2, 30)
        load.wait_for(20)
    assert load.failures() == []
    assert slow(load) == []
    waits = [int(seconds) for seconds in re.findall(r"the next attempt is made in (\d+)s", running.log())]
    assert waits == sorted(waits) and waits[-1] > waits[0] and running.running()


@pytest.mark.parametrize("victim", ["old", "successor"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["KILL", "TERM"])
def test_one_of_the_two_is_ended(server, transport, victim, how):
    running, old, successor = overlapping(server, transport)
    running.signal_process({"old": old, "successor": successor}[victim], how)
    if victim == "successor":
        running.wait_log("has not come up: signal")
        assert serving(transport.port) == old
    else:
        eventually(lambda: not alive(old))
    release(running)
    new = eventually(lambda: (lambda pid: pid not in (0, old) and pid)(serving(transport.port)), 20)
    assert (new == successor) == (victim == "old")
    eventually(lambda: len(running.processes()) == 3)
    assert [(w["id"], w["pid"]) for w in stats(running)["workers"]] == [(1, new)]


def test_a_successor_that_is_killed_while_its_predecessor_still_leaves(server, transport):
    running, old, successor = overlapping(server, transport)
    with socket.create_connection(("127.0.0.1", transport.port)) as client:
        client.sendall(b"GET /slow HTTP/1.0\r\n\r\n")
        eventually(lambda: (running.dir / "slow").exists())
        release(running)
        running.wait_log(r"Respawned uWSGI worker 1 \(new pid: " + str(successor))
        assert serving(transport.port) == successor and alive(old)
        (worker,) = stats(running)["workers"]
        assert worker["pid"] == successor and worker["status"] == "busy"
        running.signal_process(successor, signal.SIGKILL)
        eventually(lambda: serving(transport.port) not in (0, old, successor), 20)
        running.write("release", "")
        assert client.makefile("rb").read().endswith(str(old).encode())
    eventually(lambda: not alive(old))
    assert len(running.processes()) == 3


@pytest.mark.parametrize("point", ["importing", "leaving"])
@pytest.mark.parametrize("how", ["TERM", "TERM twice", "HUP", "HUP to broken code", "kill -9 of the zygote"])
def test_a_signal_in_the_overlap(server, transport, point, how):
    running, old, successor = overlapping(server, transport, "--worker-reload-mercy", "20")
    client = socket.create_connection(("127.0.0.1", transport.port))
    client.sendall(b"GET /slow HTTP/1.0\r\n\r\n")
    eventually(lambda: (running.dir / "slow").exists())
    if point == "leaving":
        release(running)
        running.wait_log(r"Respawned uWSGI worker 1 \(new pid: " + str(successor))
    if how.startswith("TERM"):
        running.signal(signal.SIGTERM)
        if how == "TERM twice":
            running.wait_log("killing workers")
            running.signal(signal.SIGINT)  # at once: the same signal within a second counts once
        else:
            running.write("release", "")
            assert client.makefile("rb").read().endswith(str(old).encode())
        assert running.wait_exit() == 0
        running.wait_gone()
        return
    if point == "importing":
        release(running)
    if how == "HUP to broken code":
        running.write("app.py", "this is no Python")
    if how.startswith("HUP"):
        running.signal(signal.SIGHUP)
    else:
        zygotes = [pid for pid in running.processes() if pid not in (running.pid, old, successor)]
        assert len(zygotes) == 1
        running.signal_process(zygotes[0], signal.SIGKILL)
    running.wait_log("reload failed" if "broken" in how else "gracefully .RE.spawned", 30)
    running.write("release", "")
    assert client.makefile("rb").read().endswith(str(old).encode())
    new = eventually(lambda: (lambda pid: pid != old and pid)(serving(transport.port)), 20)
    assert (new == successor) == ("broken" in how)
    eventually(lambda: len(running.processes()) == 3 and not alive(old), 20)


def test_a_successor_binds_the_port_of_its_predecessor(server, transport):
    """An exporter of metrics, which the application starts while it is imported."""
    port = free_port()
    app = f"import socket\nexporter = socket.create_server(('127.0.0.1', {port}))\n" + APP
    running = server(transport, [*OPTIONS, "--max-requests", "20"], app=app)
    running.wait_log("spawned uWSGI master process")
    with Paced(transport) as load:
        eventually(lambda: len(load.texts) >= 3, 30)
    assert load.failures() == []
    assert "has not come up" not in running.log()
    socket.create_connection(("127.0.0.1", port)).close()
