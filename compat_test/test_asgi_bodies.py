"""Bodies of requests to ASGI applications, which may read them while they arrive."""
import re
import socket
import threading
from pathlib import Path

import pytest
from asgi_app import resident, started, until
from http_client import eventually, get

__all__ = ["started"]


def test_bodies_come_in_pieces(started, way):
    started(way)
    body = bytes(range(256)) * 4000
    with socket.create_connection(("127.0.0.1", way.port)) as s:
        s.settimeout(10)
        s.sendall(b"POST /echo HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        received = b""
        while piece := s.recv(1 << 20):
            received += piece
    assert received.partition(b"\r\n\r\n")[2] == body


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_an_application_reads_a_body_while_it_arrives(started, transport, framing):
    started(transport)
    if framing == "chunks" and transport.nginx:
        pytest.skip("nginx makes a length of chunks")
    with socket.create_connection(("127.0.0.1", transport.port)) as s:
        s.settimeout(10)
        header, piece = (b"Content-Length: 8", b"%s") if framing == "length" else (b"Transfer-Encoding: chunked", b"4\r\n%s\r\n")
        if transport.nginx:  # which sends a body on when it is whole
            s.sendall(b"POST /mirror HTTP/1.1\r\nHost: t\r\nConnection: close\r\n%s\r\n\r\n" % header + piece % b"onetwo34")
        else:
            s.sendall(b"POST /mirror HTTP/1.1\r\nHost: t\r\n%s\r\n\r\n" % header + piece % b"one1")
            assert b"<one1>" in until(s, b"<one1>")
            s.sendall(piece % b"two2" + (b"" if framing == "length" else b"0\r\n\r\n"))
        assert b"two" in until(s, b"<end>")


def test_a_body_that_nobody_reads_does_not_cost_the_response(started, way):
    started(way)
    with socket.create_connection(("127.0.0.1", way.port)) as s:
        s.settimeout(10)
        s.sendall(b"POST /hello HTTP/1.1\r\nHost: t\r\nContent-Length: 50000000\r\n\r\n" + b"x" * 100000)
        head = until(s, b"\r\n\r\n")
        assert b" 200 " in head and b"\r\nConnection: close\r\n" in head


def test_a_body_that_nobody_reads_waits_with_its_client(started, way):
    """The application takes its time: what arrives meanwhile is bounded, and nothing of it is lost."""
    running = started(way)
    with socket.create_connection(("127.0.0.1", way.port)) as s:
        s.settimeout(20)
        total = 30_000_000
        s.sendall(b"POST /slowly HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % total)
        sender = threading.Thread(target=s.sendall, args=(b"y" * total,))
        sender.start()
        pid = int(re.search(rb"(\d+);", until(s, b";"))[1])
        before = resident(pid)
        assert sender.is_alive(), "all of it was taken in"
        Path(running.dir, "release").touch()
        assert until(s, b"%d bytes" % total)
        sender.join(10)
        assert resident(pid) - before < 20 << 20


def test_who_leaves_in_the_middle_of_its_body_is_told_of(started, way):
    started(way)
    with socket.create_connection(("127.0.0.1", way.port)) as s:
        s.sendall(b"POST /mirror HTTP/1.1\r\nHost: t\r\nContent-Length: 8\r\n\r\none1")
        s.settimeout(10)
        until(s, b"<one1>")
    eventually(lambda: "mirror-http.disconnect" in get(way.port, "/tell").text)


def test_connections_are_kept_behind_bodies_that_arrive(started, http):
    started(http)
    with socket.create_connection(("127.0.0.1", http.port)) as s:
        s.settimeout(10)
        for _ in range(3):
            s.sendall(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 6\r\n\r\nabc")
            s.sendall(b"def")
            assert until(s, b"abcdef").startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("args, rest, status", [
    ([], b"5\r\nhello\r\nZZ\r\n", 400), (["--limit-post", "8"], b"5\r\nhello\r\n5\r\nhello\r\n", 413),
    (["--socket-timeout", "1", "--http-timeout", "1"], b"5\r\nhel", 408),
])
@pytest.mark.parametrize("path", ["echo", "whole"])
def test_a_broken_body_is_the_clients_fault(started, way, path, args, rest, status):
    """Whether the application raises when it is told, or returns."""
    started(way, args)
    with socket.create_connection(("127.0.0.1", way.port)) as s:
        s.settimeout(10)
        s.sendall(b"POST /%s HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n" % path.encode() + rest)
        assert until(s, b"\r\n").startswith(b"HTTP/1.1 %d " % status)
