"""Clients that send or read slowly cost nobody else anything: one worker, one thread."""
import socket
import struct
import time

import pytest
from apps import BIG
from http_client import Connection, eventually, get
from server import free_port
from transports import http

ONE = ["--master", "--processes", "1", "--disable-logging", "--socket-timeout", "60"]
# Far less than the time-out for a client that stalls, far more than a loaded machine takes for one request.
AT_ONCE = 5.0
HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


def quick_answers(port):
    """Seconds that the slowest of 20 quick requests took."""
    slowest = 0.0
    for _ in range(20):
        started = time.monotonic()
        assert get(port).text == "small"
        slowest = max(slowest, time.monotonic() - started)
    return slowest


@pytest.fixture
def connections():
    """connections(port): 50 open ones to a server that has begun to answer, closed at the end."""
    made = []

    def connect(port, **more):
        assert get(port).text == "small"
        made.extend(Connection(port, **more) for _ in range(50))
        for one in made:
            one.open()
        return made

    yield connect
    for one in made:
        one.close()


def test_fifty_requests_that_trickle_in(server, transport, connections):
    server(transport, ONE, app=BIG)
    slow = connections(transport.port)
    for byte in (HEAD[i:i + 1] for i in range(len(HEAD))):
        for one in slow:
            one.socket.sendall(byte)
    assert quick_answers(transport.port) < AT_ONCE
    for one in slow:
        one.socket.sendall(b"\r\n")
    assert [one.receive().text for one in slow] == ["small"] * 50


def test_fifty_bodies_that_trickle_in(server, transport, connections):
    server(transport, ONE, app=BIG)
    slow = connections(transport.port)
    for one in slow:
        one.socket.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n12345")
    assert quick_answers(transport.port) < AT_ONCE
    for one in slow:
        one.socket.sendall(b"67890")
    assert [one.receive().text for one in slow] == ["small"] * 50


def test_fifty_responses_that_are_read_slowly(server, transport, connections):
    server(transport, ONE, app=BIG)
    slow = connections(transport.port, receive_buffer=4096, timeout=60)
    for one in slow:
        one.send("/big")
    for one in slow:
        assert one.socket.recv(9, socket.MSG_PEEK | socket.MSG_WAITALL) == b"HTTP/1.1 "
    assert quick_answers(transport.port) < AT_ONCE
    for one in slow[:5]:
        assert len(one.receive().body) == 8 << 20


def test_fifty_uwsgi_packets_that_trickle_in(server):
    """The same on the uwsgi port itself, without a proxy in front of it."""
    uwsgi, http = free_port(), free_port()
    running = server(None, [*ONE, "--socket", f"127.0.0.1:{uwsgi}", "--http-socket", f"127.0.0.1:{http}"], app=BIG)
    running.wait_port(http)
    assert get(http).text == "small"
    pairs = (b"REQUEST_METHOD", b"GET"), (b"PATH_INFO", b"/"), (b"QUERY_STRING", b""), (b"SERVER_PROTOCOL", b"HTTP/1.1"), \
        (b"SERVER_NAME", b"localhost"), (b"SERVER_PORT", b"80"), (b"REQUEST_URI", b"/")
    block = b"".join(struct.pack("<H", len(part)) + part for pair in pairs for part in pair)
    packet = struct.pack("<BHB", 0, len(block), 0) + block
    slow = [socket.create_connection(("127.0.0.1", uwsgi), 30) for _ in range(50)]
    try:
        for one in slow:
            one.sendall(packet[:-1])
        assert quick_answers(http) < AT_ONCE
        for one in slow:
            one.sendall(packet[-1:])
        for one in slow:
            assert one.recv(12) == b"HTTP/1.1 200"
    finally:
        for one in slow:
            one.close()


BIG_TOO = """
import os

BIG = b"x" * (10 << 20)

def application(environ, start_response):
    body = {"/big": BIG, "/pid": str(os.getpid()).encode()}.get(environ["PATH_INFO"], b"small")
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def resident(pid):
    """Resident memory in bytes."""
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * 4096


def test_memory_for_unread_responses_is_bounded_and_freed(server):
    """The rest goes to files, then the application waits for the clients; what they leave behind is the system's again at once."""
    transport = http()
    one = server(transport, [*ONE, "--threads", "4", "--response-memory", str(40 << 20), "--response-files", str(60 << 20)], app=BIG_TOO)
    worker = int(get(transport.port, "/pid").text)
    before = resident(worker)
    clients = []
    for _ in range(30):  # four of them are the last that the threads take
        client = socket.create_connection(("127.0.0.1", transport.port))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n")
        clients.append(client)
    one.wait_log("--response-files: the application waits")
    assert resident(worker) - before < 120 << 20  # 30 responses of 10 MB would be 300
    for client in clients:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    eventually(lambda: resident(worker) - before < 40 << 20, 20)
    assert get(transport.port).text == "small"
