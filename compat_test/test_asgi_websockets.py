"""Websockets of ASGI applications."""
import signal
import socket
import time

import pytest
from asgi_app import started, until
from http_client import eventually, get
from websocket_client import BINARY, CLOSE, TEXT, Websocket

__all__ = ["started"]


def test_websockets(started, way):
    started(way)
    with Websocket(way.port, "/echo", more="Sec-WebSocket-Protocol: chat, super\r\n") as client:
        assert client.head.startswith("HTTP/1.1 101 Switching Protocols")
        assert "Sec-WebSocket-Protocol: super" in client.head and "x-extra: 1" in client.head
        for opcode, data in (TEXT, "grüß".encode()), (BINARY, b"\0\xff"), (TEXT, b""), (BINARY, b""), (BINARY, b"z" * 900_000):
            client.send(opcode, data)
            assert client.receive() == (opcode, data)
        client.send(CLOSE, b"\x0f\xa1bye")
        assert client.closed() == 4001
    with Websocket(way.port, "/echo") as client:
        client.send(TEXT, b"close")
        assert client.closed() == 4000
    with Websocket(way.port, "/echo") as client:
        client.socket.close()
    eventually(lambda: get(way.port, "/tell").text == "code-4001 code-1006")
    with Websocket(way.port, "/eager") as client:
        client.send(TEXT, b"x")
        assert client.receive() == (TEXT, b"x")
        assert client.closed() == 1000
    assert Websocket(way.port, "/forbidden").head.startswith("HTTP/1.1 403 ")
    denied = Websocket(way.port, "/denied")
    assert denied.head.startswith("HTTP/1.1 401 ") and denied._exactly(2) == b"no"


def test_a_websocket_that_does_not_read_holds_nobody_up(started, way):
    started(way, ["--socket-timeout", "2"])
    slow = Websocket(way.port, "/flood", receive_buffer=8192)
    begun = time.monotonic()
    for _ in range(10):
        get(way.port)
    assert time.monotonic() - begun < 2
    eventually(lambda: get(way.port, "/tell").text == "flood-ended")
    slow.socket.close()


def test_tasks_that_outlive_their_websocket_do_not_touch_the_next(started, way):
    started(way)
    with Websocket(way.port, "/orphan_websocket") as client:
        assert client.closed() == 1000
    with Websocket(way.port, "/echo") as client:
        for _ in range(3):
            client.send(TEXT, b"x")
            assert client.receive() == (TEXT, b"x")
    assert get(way.port, "/tell").text.split()[:2] == ["websocket.disconnect"] * 2


@pytest.mark.parametrize("change", [
    (b"GET", b"POST"), (b"/1.1", b"/1.0"), (b"Connection: Upgrade", b"X-Other: 1"), (b"Version: 13", b"Version: 12"),
    (b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhl"), (b"websocket", b"websockets"),
])
def test_what_is_no_handshake_is_a_plain_request(started, way, change):
    started(way)
    head = (b"GET /what HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
    with socket.create_connection(("127.0.0.1", way.port)) as s:
        s.settimeout(10)
        s.sendall(head.replace(*change))
        assert b"'type': 'http'" in until(s, b"'type': 'http'")


def test_a_websocket_that_is_not_decided_on_is_an_error(started, way):
    running = started(way)
    assert Websocket(way.port, "/undecided").head.startswith("HTTP/1.1 500 ")
    assert "neither accepted nor closed" in running.log()


def test_a_stop_ends_websockets(started, way):
    running = started(way)
    with Websocket(way.port, "/echo") as client:
        client.send(TEXT, b"x")
        client.receive()
        running.signal(signal.SIGTERM)
        assert client.closed() == 1001
        assert running.wait_exit() == 0


def test_what_a_cancelled_task_has_begun_to_send_is_a_whole_message(started, way):
    running = started(way)
    with Websocket(way.port, "/given_up", receive_buffer=8192) as client:
        eventually((running.dir / "given-up").exists)
        for number in range(int((running.dir / "given-up").read_text()) + 1):
            assert client.receive() == (BINARY, b"%07d;" % number * 12000)
        assert client.receive() == (BINARY, b"tail")
        assert client.closed() == 1000
