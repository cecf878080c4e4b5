"""Hooks of the phase as-user-atexit: slow ones hold up neither a reload nor a stop that is asked for twice."""
import json
import signal
import socket

import pytest
from apps import versioned
from http_client import eventually, get

WAYS = pytest.mark.parametrize("transport", ["http-socket"], indirect=True)
SLOW = ["--hook-as-user-atexit", "exec:: > begun; while [ ! -e released ]; do sleep 0.05; done; : > ended"]


def stats(running):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(running.dir / "stats.sock"))
        return json.loads(b"".join(iter(lambda: client.recv(65536), b"")))


@WAYS
def test_a_reload_goes_on_beside_a_slow_hook(server, transport):
    running = server(transport, ["--master", "--harakiri", "1", "--stats", "stats.sock", *SLOW], app=versioned("first"))
    first = int(get(transport.listens).text.split()[1])
    running.write("app.py", versioned("second"))
    running.signal(signal.SIGHUP)
    eventually((running.dir / "begun").exists)
    eventually(lambda: get(transport.listens).text.startswith("second"))
    eventually(lambda: first not in running.processes())
    assert stats(running)["workers"][0]["pid"] == int(get(transport.listens).text.split()[1])
    with socket.create_connection(("127.0.0.1", transport.listens)) as hanging:
        hanging.sendall(b"GET /hold/x HTTP/1.1\r\nHost: localhost\r\n\r\n")
        running.wait_log("HARAKIRI")
    assert not (running.dir / "ended").exists()
    running.write("released", "")
    eventually((running.dir / "ended").exists)
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0


@WAYS
def test_a_stop_waits_for_hooks(server, transport):
    """Also for those of the generation that a reload has just replaced."""
    running = server(transport, ["--master", *SLOW], app=versioned("first"))
    running.write("app.py", versioned("second"))
    running.signal(signal.SIGHUP)
    eventually((running.dir / "begun").exists)
    running.signal(signal.SIGTERM)
    running.wait_log("buried")
    running.write("released", "")
    assert running.wait_exit() == 0
    assert (running.dir / "ended").exists()


@WAYS
def test_a_second_signal_ends_a_slow_hook(server, transport):
    running = server(transport, ["--master", *SLOW], app=versioned("first"))
    running.signal(signal.SIGTERM)
    eventually((running.dir / "begun").exists)
    running.signal(signal.SIGINT)
    assert running.wait_exit() == 0
    assert not (running.dir / "ended").exists()
