"""Websockets of the uwsgi module, in threads and in every loop."""
import signal
import struct
import sys
import time
from pathlib import Path

import pytest
from apps import ANSWER
from http_client import Connection, eventually, get
from websocket_client import BINARY, CLOSE, PING, PONG, TEXT, Websocket, frame

ENGINES = {"threads": ["--threads", "8"], "gevent": ["--gevent", "8"], "asyncio": ["--asyncio", "8"], "async": ["--async", "8"]}

APP = f"""
import os, threading, time, uwsgi
{ANSWER}
ended = []

def application(environ, start_response):
    name = environ["PATH_INFO"][1:] or "echo"
    if name == "pid":
        return answer(start_response, str(os.getpid()))
    if name == "ended":
        return answer(start_response, " ".join(ended))
    try:
        if name == "without":
            uwsgi.websocket_recv()
        uwsgi.websocket_handshake(*environ["QUERY_STRING"].split("&") if environ["QUERY_STRING"] else ())
        return globals()[name](environ) or []
    except OSError as error:
        ended.append(f"{{name}}:{{str(error).split()[0]}}")
        if name == "without":
            return answer(start_response, str(error))
        return []

def echo(_):
    while True:
        message = uwsgi.websocket_recv()
        (uwsgi.websocket_send if uwsgi.websocket_is_text() else uwsgi.websocket_send_binary)(message)

def count(_):
    seen = nothing = 0
    while seen < 3:
        message = uwsgi.websocket_recv_nb()
        if message:
            seen += 1
        else:
            nothing += 1
            uwsgi.wait_fd_read(uwsgi.connection_fd(), 1)
            uwsgi.suspend()
    uwsgi.websocket_send(f"{{seen}} {{nothing > 0}}")

def one_by_one(_):
    for _ in range(3):
        uwsgi.wait_fd_read(uwsgi.connection_fd(), 5)
        uwsgi.suspend()
        uwsgi.websocket_send(uwsgi.websocket_recv_nb())

def three(_):
    for number in range(3):
        uwsgi.websocket_send(f"{{number}}")

def flood(_):
    for number in range(100000):
        uwsgi.websocket_send_binary(b"x" * 65536)

def area(_):
    uwsgi.sharedarea_write(0, 0, b"0123456789")
    uwsgi.websocket_send_from_sharedarea(0, 2, 3)
    uwsgi.websocket_send_binary_from_sharedarea(0, 5, 5)

def elsewhere(_):
    "Another thread, or greenlet under gevent, sends; this one receives."
    context = uwsgi.request_context()
    def push():
        for number in range(20):
            uwsgi.websocket_send(f"pushed {{number}}", request_context=context)
    if uwsgi.loop == b"gevent":
        import gevent
        gevent.spawn(push)
    else:
        threading.Thread(target=push).start()
    while uwsgi.websocket_recv(request_context=context) != b"done":
        pass
    stale.append(context)

stale = []
def old(_):
    for call in (lambda: uwsgi.websocket_send("x", request_context=stale[0]), lambda: uwsgi.websocket_recv(request_context="x")):
        try:
            call()
        except Exception as error:
            uwsgi.websocket_send(type(error).__name__)
"""


@pytest.fixture(params=ENGINES)
def started(request, server):
    def start(transport, args=(), **more):
        virtualenv = ["--virtualenv", sys.prefix]
        return server(transport, ["--master", *ENGINES[request.param], *virtualenv, "--sharedarea", "1", *args], app=APP, **more)
    return start


@pytest.fixture(params=["http-socket", "http"])
def front(request):
    from transports import TRANSPORTS
    made = TRANSPORTS[request.param]()
    yield made
    made.close()


def test_messages_come_back_as_they_were(started, front):
    started(front)
    with Websocket(front.port) as client:
        assert client.head.startswith("HTTP/1.1 101 ")
        assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in client.head
        assert "Connection: Upgrade" in client.head and "close" not in client.head
        for opcode, data in (TEXT, "grüß".encode()), (BINARY, b"\0\xff"), (TEXT, b""), (BINARY, b""), (BINARY, b"z" * 900_000):
            client.send(opcode, data)
            assert client.receive() == (opcode, data)
        client.send(TEXT, b"de", fin=False)
        client.send(PING, b"between")
        client.send(0, b"f")
        assert client.receive() == (PONG, b"between")
        assert client.receive() == (TEXT, b"def")
        client.send(CLOSE, struct.pack(">H", 4321) + b"bye")
        assert client.closed() == 4321
    eventually(lambda: get(front.port, "/ended").text == "echo:unable")


def test_frames_behind_the_handshake_are_not_lost(started, front):
    started(front)
    with Websocket(front.port, early=frame(TEXT, b"early") + frame(TEXT, b"bird")) as client:
        assert [client.receive(), client.receive()] == [(TEXT, b"early"), (TEXT, b"bird")]


@pytest.mark.parametrize("sent, code", [
    (frame(TEXT, b"\xff"), 1007), (frame(TEXT, b"\xce", fin=False) + frame(0, b"x"), 1007), (frame(3, b""), 1002),
    (frame(TEXT, b"", rsv=1), 1002), (frame(0, b"x"), 1002), (frame(PING, b"x" * 126), 1002), (b"\x81\x01x", 1002),
    (frame(CLOSE, struct.pack(">H", 1005)), 1002), (frame(CLOSE, b"x"), 1002), (frame(BINARY, b"x" * 2049), 1009),
    (frame(BINARY, b"x" * 1500, fin=False) + frame(0, b"x" * 600), 1009), (frame(CLOSE), None),
])
def test_what_breaks_the_protocol_is_told(server, way, sent, code):
    server(way, ["--websockets-max-size", "2"], app=APP)
    with Websocket(way.port) as client:
        client.socket.sendall(sent)
        assert client.closed() == code


def test_a_request_that_ends_closes_in_good_order(started, front):
    started(front)
    with Websocket(front.port, "/three") as client:
        assert [client.receive()[1] for _ in range(3)] == [b"0", b"1", b"2"]
        assert client.closed() == 1000


def test_receiving_without_waiting(started, way):
    started(way)
    with Websocket(way.port, "/count") as client:
        for _ in range(3):
            time.sleep(0.05)  # the application looks in between
            client.send(TEXT, b"x")
        assert client.receive() == (TEXT, b"3 True")


def test_messages_that_come_together_are_waited_for_one_by_one(started, way):
    """What has not been received leaves the descriptor readable."""
    started(way)
    begun = time.monotonic()
    with Websocket(way.port, "/one_by_one") as client:
        client.socket.sendall(frame(TEXT, b"1") + frame(BINARY, b"2" * 300) + frame(TEXT, b"3"))
        assert [client.receive()[1] for _ in range(3)] == [b"1", b"2" * 300, b"3"]
    assert time.monotonic() - begun < 4


def test_the_handshakes_headers(started, way):
    started(way)
    with Websocket(way.port, more="Origin: http://x\r\nSec-WebSocket-Protocol: chat, super\r\n") as client:
        assert "Sec-WebSocket-Origin: http://x" in client.head
        assert "Sec-WebSocket-Protocol: chat\r\n" in client.head + "\r\n"
    with Websocket(way.port, "/echo?dGhlIHNhbXBsZSBub25jZQ==&there&mine") as client:
        assert "Sec-WebSocket-Origin: there" in client.head
        assert "Sec-WebSocket-Protocol: mine" in client.head
        assert "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in client.head
    get(way.port, "/echo")  # no handshake
    eventually(lambda: "echo:unable" in get(way.port, "/ended").text)
    assert get(way.port, "/without").status == 200


def test_parts_of_a_shared_area(started, way):
    started(way)
    with Websocket(way.port, "/area") as client:
        assert [client.receive(), client.receive()] == [(TEXT, b"234"), (BINARY, b"56789")]


def test_other_threads_and_greenlets_use_it_by_its_context(started, way):
    started(way)
    with Websocket(way.port, "/elsewhere") as client:
        client.send(TEXT, b"hello")
        assert [client.receive()[1] for _ in range(20)] == [f"pushed {n}".encode() for n in range(20)]
        client.send(TEXT, b"done")
        assert client.closed() == 1000
    with Websocket(way.port, "/old") as client:
        assert [client.receive()[1], client.receive()[1]] == [b"OSError", b"TypeError"]


def test_clients_that_are_silent_are_pinged(started, way):
    running = started(way, ["--websockets-ping-freq", "1", "--websockets-pong-tolerance", "2"])
    with Websocket(way.port) as client:
        for _ in range(2):
            assert client.receive() == (PING, b"")
            client.send(PONG)
        client.send(TEXT, b"still here")
        assert client.receive() == (TEXT, b"still here")
        assert client.receive() == (PING, b"")
        begun = time.monotonic()
        with pytest.raises((EOFError, ConnectionError)):
            while True:
                client.receive()
        assert 1 < time.monotonic() - begun < 5
    running.wait_log("no PONG received in 2 secs")


def test_who_does_not_read_is_waited_for_and_costs_no_memory(started, way):
    running = started(way, ["--socket-timeout", "2"])
    pid = int(get(way.port, "/pid").text)
    slow = Websocket(way.port, "/flood", receive_buffer=8192)
    begun = time.monotonic()
    for _ in range(10):
        get(way.port, "/pid")
    assert time.monotonic() - begun < 2, "the others go on"
    eventually(lambda: get(way.port, "/ended").text == "flood:unable")  # after the socket-timeout
    assert int([line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "VmHWM" in line][0].split()[1]) < 120_000
    slow.socket.close()
    assert running.running()


def test_cores_of_clients_that_vanish_are_free_again(started, way):
    started(way)
    for _ in range(3):
        clients = [Websocket(way.port) for _ in range(7)]
        for client in clients:
            client.socket.close()
    eventually(lambda: get(way.port, "/ended").text.count("echo") == 21)


def test_a_reload_lets_websockets_end(started, way):
    running = started(way)
    old = get(way.port, "/pid").text
    with Websocket(way.port) as client:
        running.signal(signal.SIGHUP)
        eventually(lambda: get(way.port, "/pid").text != old)
        client.send(TEXT, b"still here")
        assert client.receive() == (TEXT, b"still here")
        client.send(CLOSE)
        assert client.closed() is None
    eventually(lambda: int(old) not in running.processes())


def test_a_stop_ends_websockets_at_once(started, way):
    running = started(way)
    with Websocket(way.port) as silent, Websocket(way.port) as other:
        other.send(TEXT, b"x")
        assert other.receive() == (TEXT, b"x")
        begun = time.monotonic()
        running.signal(signal.SIGTERM)
        assert silent.closed() == other.closed() == 1001
        assert running.wait_exit() == 0
        assert time.monotonic() - begun < 5


def test_kept_connections_become_websockets_too(started, front):
    started(front)
    with Connection(front.port, keep=True) as client:
        for _ in range(2):
            client.get("/pid")
        raw = client.socket
        raw.sendall(b"GET / HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" + frame(TEXT, b"x"))
        received = b""
        while not received.endswith(b"\x81\x01x"):
            piece = raw.recv(4096)
            assert piece, received
            received += piece
