"""A core that is busy holds up nobody while another one is idle."""
import random
import socket
import time

import pytest
from apps import versioned
from http_client import Connection, eventually
from load import Several
from server import free_port
from transports import Transport, http_socket

SHAPES = {"two workers": ["--processes", "2"], "two threads": ["--threads", "2"]}


def http11_socket():
    port = free_port()
    return Transport("http11-socket", ["--http11-socket", f"127.0.0.1:{port}"], port, True, port)


@pytest.mark.parametrize("shape", SHAPES)
def test_kept_connections_pass_a_busy_core(server, transport, shape):
    passes_a_busy_core(server, transport, SHAPES[shape])


@pytest.mark.parametrize("shape", SHAPES)
def test_kept_connections_pass_a_busy_core_on_http11_socket(server, shape):
    passes_a_busy_core(server, http11_socket(), SHAPES[shape])


def passes_a_busy_core(server, transport, shape):
    """20 kept connections, spread over both cores by chance; one core is held until all of the others are answered."""
    running = server(transport, ["--master", "--disable-logging", *shape], app=versioned(1))
    kept = [Connection(transport.port, keep=transport.keeps, timeout=20) for _ in range(20)]
    for connection in kept:
        assert connection.get().status == 200
    held, quick = kept[0], kept[1:]
    held.timeout = 30
    held.send("/hold/core")
    eventually((running.dir / "held-core").exists)
    for connection in quick:
        connection.send("/")
    assert [connection.receive().status for connection in quick] == [200] * 19
    running.write("release", "")
    held.socket.settimeout(30)
    assert held.receive().status == 200


def test_a_client_that_leaves_takes_no_other_with_it(server):
    """Threads close connections whose last event another one has fetched already; whoever is accepted next is another client."""
    way = http_socket()
    app = ("import time\ndef application(environ, start_response):\n    time.sleep(0.0003)\n"
           "    start_response('200 OK', [('Content-Length', '1')])\n    return [b'x']\n")
    server(way, ["--master", "--disable-logging", "--threads", "4"], app=app)
    answered = []

    def leave_early_or_late(chance, _):
        with socket.create_connection(("127.0.0.1", way.port), 10) as client:
            time.sleep(chance.random() * 0.002 if chance.random() < 0.7 else 0)  # the load is made of clients that pause
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            assert client.recv(65536).endswith(b"x")
            if chance.random() < 0.5:
                client.shutdown(socket.SHUT_RDWR)
        answered.append(1)
    with Several(24, random.Random, leave_early_or_late) as several:
        eventually(lambda: len(answered) > 30000 or several.failures, 60)
    assert not several.failures
