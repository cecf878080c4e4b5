"""ASGI applications under the master: start, lifespan, reloads, stops and harakiri."""
import signal
import subprocess
import sys
import time

import pytest
from asgi_app import APP, started
from asking import exchange, packet, strings
from http_client import Broken, Connection, eventually, get
from load import reloads_under_load
from server import free_port

__all__ = ["started"]


def test_reloads_under_load_lose_no_request(started, transport):
    running = started(transport, ["-p", "2"])
    load = reloads_under_load(running, transport, "/rest/0.03?{number}")
    assert load.failures() == []
    assert len(load.texts) >= 4


def test_a_stop_drains_and_shuts_down(started, way):
    running = started(way)
    held = Connection(way.port, timeout=20)
    held.send("/hold/one")
    eventually((running.dir / "held-one").exists)
    running.signal(signal.SIGTERM)
    running.write("release", "")
    assert held.receive().status == 200
    assert running.wait_exit() == 0
    assert (running.dir / "shut-down").read_text() == "x"


def test_an_application_that_refuses_to_start_does_not_replace_the_old(started, way):
    running = started(way)
    old = get(way.port).text
    running.write("refuse", "")
    running.signal(signal.SIGHUP)
    running.wait_log("not today")
    for _ in range(10):
        assert get(way.port).text == old
        time.sleep(0.05)


@pytest.mark.parametrize("mode, serves", [("auto", True), ("off", True), ("on", False)])
def test_an_application_without_lifespan(started, way, mode, serves):
    app = APP.replace("return await lifespan(scope, receive, send)", "raise RuntimeError('no lifespan here')")
    running = started(way, ["--asgi-lifespan", mode, "--need-app"], app=app, ready=False)
    if serves:
        running.wait_port(way.port)
        assert get(way.port).status == 200
    else:
        running.wait_log("no lifespan here")
        with pytest.raises((OSError, Broken)):
            get(way.port, timeout=1)


def test_a_reload_in_the_middle_of_a_request_ends_its_connection(started, http):
    running = started(http)
    with Connection(http.port, keep=True) as client:
        client.send("/hold/it")
        eventually((running.dir / "held-it").exists)
        running.signal(signal.SIGHUP)
        running.wait_log("Gracefully killing worker 1")
        (running.dir / "release").touch()
        assert client.receive().headers.get("connection") == "close"


def test_harakiri_cancels_the_task_of_one_request(started, way):
    running = started(way, ["--harakiri", "1"])
    pid = get(way.port).text
    with Connection(way.port) as client:
        assert client.get("/hold/for-ever").status == 500
    assert "its task is cancelled" in running.log() and "CancelledError" in running.log()
    assert get(way.port).text == pid


def test_harakiri_kills_where_cancelling_does_not_help(started, way):
    running = started(way, ["--harakiri", "1"])
    pid = get(way.port).text
    Connection(way.port).send("/stubborn")
    running.wait_log("HARAKIRI ON WORKER")
    eventually(lambda: get(way.port).text != pid)


def test_what_is_asked_of_the_server_itself_does_not_reach_the_application(started):
    port = free_port()
    app = APP + "\nuwsgi.register_rpc('twice', lambda text: text * 2)\n"
    running = started(None, ["--socket", f"127.0.0.1:{port}"], app=app)
    running.wait_port(port)
    assert exchange(port, packet(173, strings(b"twice", b"ab"))).endswith(b"abab")
    assert "Traceback" not in running.log()


@pytest.mark.parametrize("args, said", [
    (["--module", "x"], 'option "asgi"'), (["--threads", "2"], 'option "threads"'), (["--gevent", "5"], 'option "asgi"'),
    (["--asgi-loop", "nosuch"], "is not one of auto, asyncio, uvloop"), (["--asgi-lifespan", "maybe"], "is not one of auto, on, off"),
])
def test_what_cannot_be_is_refused(server, args, said):
    running = server(None, ["--http-socket", "127.0.0.1:0", "--asgi", "service", *args])
    assert running.wait_exit() == 1
    assert said in running.log()


def test_uvloop_where_it_is_asked_for(server, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    args = ["--http-socket", "127.0.0.1:0", "--asgi", "service", "--asgi-loop", "uvloop", "--virtualenv", tmp_path / "bare"]
    running = server(None, args, files={"service.py": APP})
    assert running.wait_exit() == 1
    assert "-m pip install uvloop" in running.log()
