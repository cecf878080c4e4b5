"""What the statistics show, beyond what the conformance suite asks of them."""
import json
import os
import signal
import socket

from apps import ANSWER
from http_client import Connection, eventually
from server import free_port
from transports import http_socket

PLAIN = f"""
{ANSWER}
def application(environ, start_response):
    return answer(start_response, "hello")
"""

LOCKING = f"""
import os, time, uwsgi
{ANSWER}
def application(environ, start_response):
    uwsgi.lock(1)
    with open("holder", "w") as f: f.write(str(os.getpid()))
    while not os.path.exists("release"):
        time.sleep(0.01)
    uwsgi.unlock(1)
    return answer(start_response, "unlocked")
"""


def holder(running):
    """The pid of the worker that has the lock, once one has."""
    eventually(lambda: (running.dir / "holder").exists() and (running.dir / "holder").read_text())
    return int((running.dir / "holder").read_text())


def locks(running):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(running.dir / "stats.sock"))
        return json.load(client.makefile())["locks"]


def test_locks_are_shown_with_who_holds_them(server):
    transport = http_socket()
    running = server(transport, ["--master", "--locks", "2", "--stats", "stats.sock"], app=LOCKING)
    running.wait_log("Stats server enabled")
    free = [{"user 0": 0}, {"user 1": 0}, {"user 2": 0}]
    assert locks(running) == free
    with Connection(transport.port, timeout=60) as held:
        held.send("/")
        pid = holder(running)
        assert locks(running) == [{"user 0": 0}, {"user 1": pid}, {"user 2": 0}]
        running.signal(signal.SIGHUP)
        running.wait_log("gracefully .RE.spawned")
        assert locks(running)[1] == {"user 1": pid}, "a worker of the last generation holds it still"
        running.write("release", "")
        assert held.receive().text == "unlocked"
    eventually(lambda: locks(running) == free)


def test_a_lock_is_free_when_its_holder_dies(server):
    transport = http_socket()
    running = server(transport, ["--master", "--locks", "1", "--stats", "stats.sock"], app=LOCKING)
    running.wait_log("Stats server enabled")
    with Connection(transport.port, timeout=60) as held:
        held.send("/")
        pid = holder(running)
        assert locks(running)[1] == {"user 1": pid}
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: locks(running)[1] == {"user 1": 0})


def test_statistics_over_http(server):
    """Any path and method; a client that asks for nothing holds nobody up, the stop neither."""
    transport, port = http_socket(), free_port()
    running = server(transport, ["--master", "--stats", f"127.0.0.1:{port}", "--stats-http"], app=PLAIN)
    running.wait_log("Stats server enabled")
    with socket.create_connection(("127.0.0.1", port)):
        for path in ("/", "/any?thing"):
            with Connection(port) as client:
                reply = client.get(path)
                assert (reply.status, reply.headers["content-type"], reply.headers["connection"]) == (200, "application/json", "close")
                assert json.loads(reply.body)["pid"] == running.pid
        running.signal(signal.SIGTERM)
        assert running.wait_exit(3) == 0


SLEEPING = f"""
import time
{ANSWER}
def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.3)
    return answer(start_response, "done", status="404 Not Found" if environ["PATH_INFO"] == "/none" else "200 OK")
"""


def test_latency_and_time_in_the_queue_are_shown_and_survive_reloads(server):
    transport = http_socket()
    running = server(transport, ["--master", "--processes", "1", "--stats", "stats.sock"], app=SLEEPING)

    def document():
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(str(running.dir / "stats.sock"))
            return json.load(client.makefile())

    with Connection(transport.port) as slow, Connection(transport.port) as waiting, Connection(transport.port) as quick:
        assert quick.get("/none").status == 404
        slow.send("/slow")
        eventually(lambda: any(core["in_request"] for core in document()["workers"][0]["cores"]))
        waiting.send("/waits")
        assert slow.receive().status == waiting.receive().status == 200
    worker = eventually(lambda: (w := document()["workers"][0])["requests"] == 3 and w)
    assert worker["responses"] == {"none": 0, "1xx": 0, "2xx": 2, "3xx": 0, "4xx": 1, "5xx": 0}
    assert worker["latency"]["count"] == worker["queue_time"]["count"] == 3
    assert 290_000 < worker["latency"]["max"] < 5_000_000 and worker["latency"]["p50"] < 250_000
    waited = worker["queue_time"]["max"]  # from when its bytes came until a busy machine has ended the first request and begun with it
    assert 100_000 < waited <= worker["latency"]["max"] + 200_000, "the second request has waited for the first one"
    before = document()["life"]
    running.signal(signal.SIGHUP)
    running.wait_log("gracefully .RE.spawned")
    eventually(lambda: document()["workers"][0]["requests"] == 0)
    after = document()
    assert after["life"] == {**before, "reload_count": 1}
    assert [r["problem"] for r in after["reloads"]] == [""]
