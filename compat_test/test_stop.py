"""SIGTERM: what was taken in is answered, nothing more is taken in, and the exit status is 0."""
import signal
import socket

import pytest
from apps import versioned
from http_client import Broken, Connection, eventually, get
from transports import http_socket


def refused(port):
    """Whether a new request gets no answer from the application."""
    try:
        return get(port, "/", timeout=1).status in (502, 504)
    except (OSError, Broken):
        return True


@pytest.mark.parametrize("more", [[], ["--threads", "2"], ["--lazy-apps"]], ids=["plain", "threads", "lazy-apps"])
def test_requests_in_flight_are_answered(server, transport, more):
    running = server(transport, ["--master", "--processes", "2", *more], app=versioned(1))
    held = [Connection(transport.port, timeout=30) for _ in range(2)]
    for index, connection in enumerate(held):
        connection.send(f"/hold/{index}")
        eventually((running.dir / f"held-{index}").exists)
    running.signal(signal.SIGTERM)
    eventually(lambda: refused(transport.port), 5)
    assert [refused(transport.port) for _ in range(3)] == [True] * 3
    running.write("release", "")
    assert [connection.receive().status for connection in held] == [200, 200]
    assert running.wait_exit() == 0
    running.wait_gone()


def test_half_a_request_delays_nothing(server, transport):
    """Clients that say nothing, or half of what they have to say, are not waited for."""
    running = server(transport, ["--master", "--socket-timeout", "60"], app=versioned(1))
    with socket.create_connection(("127.0.0.1", transport.port)), socket.create_connection(("127.0.0.1", transport.port)) as half:
        half.sendall(b"GET / HTTP/1.1\r\nHo")
        running.signal(signal.SIGTERM)
        assert running.wait_exit(10) == 0


def test_the_log_counts_from_the_order_to_stop(server):
    """How long the worker had lived before does not matter."""
    way = http_socket()
    app = "import time\ndef application(environ, start_response):\n    time.sleep(1.2)\n    start_response('200 OK', [])\n    return []\n"
    running = server(way, ["--master"], app=app)
    assert get(way.port, "/").status == 200
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    assert "\nworker 1 buried after 0 seconds\n" in running.log()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT], ids=["TERM", "INT", "QUIT"])
@pytest.mark.parametrize("more", [[], ["--lazy-apps"]], ids=["plain", "lazy-apps"])
def test_stop_while_the_app_is_imported(server, number, more):
    """An import that takes minutes does not hold up the stop."""
    app = "import time\nopen('importing', 'w').close()\ntime.sleep(600)\n"
    running = server(None, ["--master", "--http-socket", "127.0.0.1:0", *more], app=app)
    eventually((running.dir / "importing").exists)
    running.signal(number)
    assert running.wait_exit(10) == 0
    running.wait_gone()


def test_a_request_that_never_ends_is_cut_after_the_mercy(server, transport):
    running = server(transport, ["--master", "--worker-reload-mercy", "1"], app=versioned(1))
    held = Connection(transport.port, timeout=30)
    held.send("/hold/ever")
    eventually((running.dir / "held-ever").exists)
    running.signal(signal.SIGTERM)
    assert running.wait_exit(10) == 0
    running.wait_gone()


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"], ids=["new", "kept"])
def test_a_stop_right_after_a_reload_waits_for_no_idle_connection(server, begun):
    """The workers that the reload replaces wait for its next request; a stop ends that."""
    transport = http_socket()
    running = server(transport, ["--master", "--processes", "2", "--socket-timeout", "60"], app=versioned(1))
    idle = [socket.create_connection(("127.0.0.1", transport.port)) for _ in range(6)]
    for connection in idle:
        connection.sendall(begun)
        assert not begun or connection.recv(1000)
    running.signal(signal.SIGHUP)
    running.wait_log("gracefully .RE.spawned")
    running.signal(signal.SIGTERM)
    assert running.wait_exit(10) == 0
    running.wait_gone()
    for connection in idle:
        connection.close()
