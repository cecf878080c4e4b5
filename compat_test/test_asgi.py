"""ASGI applications over HTTP: requests, responses, and who does not keep to the rules."""
import os
import re
import socket
import struct
import time
from pathlib import Path

import pytest
from asgi_app import started, until
from http_client import Connection, eventually, get

__all__ = ["started"]


def test_requests_of_all_ways_in(started, transport):
    started(transport)
    pid = get(transport.port).text
    assert get(transport.port, "/state").text == "startup"
    scope = get(transport.port, "/what/%C3%A9/x?a=%20b").text
    for part in ("'path': '/what/é/x'", "'raw_path': b'/what/%C3%A9/x'", "'query_string': b'a=%20b'", "'method': 'GET'", "'scheme': 'http'",
                 "'type': 'http'", "(b'host', b'"):
        assert part in scope
    clients = [Connection(transport.port) for _ in range(20)]
    begun = time.monotonic()
    for client in clients:
        client.send("/rest/0.4")
    assert {client.receive().text for client in clients} == {pid}
    assert time.monotonic() - begun < 4
    assert get(transport.port, "/ticks/5").text == "".join(f"data: {n}\n\n" for n in range(5))
    assert get(transport.port, "/core").text == "True 1"


def test_streams_keep_their_connection(started, http):
    started(http)
    with Connection(http.port, keep=True) as client:
        sockets = []
        for _ in range(3):
            assert client.get("/ticks/3").text.count("data") == 3
            sockets.append(client.socket)
        assert sockets == [sockets[0]] * 3 and sockets[0] is not None


def test_headers_that_come_twice_are_told_apart(started, way):
    started(way)
    with socket.create_connection(("127.0.0.1", way.port)) as s:
        s.settimeout(10)
        s.sendall(b"GET /what HTTP/1.1\r\nHost: t\r\nConnection: close\r\nX-Two: a\r\nx-two: b\r\nX-Empty:\r\n\r\n")
        text = until(s, b"\0").decode()
    assert "(b'x-two', b'a'), (b'x-two', b'b')" in text or "(b'x-two', b'a, b')" in text
    assert "(b'x-empty', b'')" in text


def test_files_by_path(started, transport, tmp_path):
    data = os.urandom(3_000_000)
    (tmp_path / "big").write_bytes(data)
    (tmp_path / "empty").write_bytes(b"")
    running = started(transport)
    for length in ("length", "without"):
        assert get(transport.port, f"/path/{length}{tmp_path}/big").body == data
        assert get(transport.port, f"/path/{length}{tmp_path}/empty").body == b""
    assert get(transport.port, f"/path/length{tmp_path}/none").status in (500, 502)  # nginx is told by a closed connection
    assert "FileNotFoundError" in running.log()


def test_early_hints_and_trailers(started, way):
    started(way)
    with socket.create_connection(("127.0.0.1", way.port)) as s:
        s.settimeout(10)
        s.sendall(b"GET /trailers HTTP/1.1\r\nHost: t\r\nConnection: close\r\nTE: trailers\r\n\r\n")
        hint, _, rest = until(s, b"\0").partition(b"\r\n\r\n")
    assert hint == b"HTTP/1.1 103 Early Hints\r\nlink: </style.css>; rel=preload\r\nlink: </x.js>; rel=preload"
    head, _, body = rest.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n") and b"Transfer-Encoding: chunked" in head
    assert body == b"4\r\nbody\r\n0\r\nx-sum: 1\r\nx-more: 2\r\n\r\n"
    with socket.create_connection(("127.0.0.1", way.port)) as s:  # who cannot take them
        s.settimeout(10)
        s.sendall(b"GET /trailers HTTP/1.0\r\nHost: t\r\n\r\n")
        answer = until(s, b"\0")
    assert answer.startswith(b"HTTP/1.0 200 OK\r\n") and answer.endswith(b"\r\n\r\nbody")


def test_a_thousand_clients_that_vanish(started, way):
    running = started(way, ["--listen", "100"])
    pid = int(get(way.port).text)
    for _ in range(10):
        clients = [socket.create_connection(("127.0.0.1", way.port)) for _ in range(100)]
        for number, client in enumerate(clients):
            path = ("poll", "endless", "hold/x", "mirror")[number % 4].encode()
            client.sendall(b"POST /%s HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nabc" % path)
        for client in clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
    Path(running.dir, "release").touch()
    assert get(way.port).text == str(pid)
    eventually(lambda: len(os.listdir(f"/proc/{pid}/fd")) < 60, timeout=30)


def test_errors_are_the_clients_500_and_the_logs_traceback(started, way):
    running = started(way)
    assert get(way.port, "/fail").status == 500
    assert get(way.port, "/nothing").status == 500
    assert "ValueError: meant" in running.log()
    assert "returned without a response" in running.log()
    assert get(way.port).status == 200


def test_who_does_not_read_is_waited_for_and_who_leaves_is_told_of(started, transport):
    running = started(transport)
    pid = get(transport.port).text
    slow = [Connection(transport.port, timeout=20, receive_buffer=8192) for _ in range(3)]
    for client in slow:
        client.send("/endless")
    begun = time.monotonic()
    for _ in range(20):
        assert get(transport.port).text == pid
    assert time.monotonic() - begun < 5
    peak = int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1])
    assert peak < 150_000, "kB: what is not read is not made"
    for client in slow:
        client.close()
    left = Connection(transport.port)
    left.send("/poll")
    eventually((running.dir / "polled").exists)
    left.close()
    eventually(lambda: sorted(get(transport.port, "/tell").text.split()) == ["endless-ended"] * 3 + ["poll-left"])
    assert "Traceback" not in running.log()


def test_work_after_the_response_leaves_the_connection_to_the_next(started, http):
    started(http)
    with Connection(http.port, keep=True) as client:
        for _ in range(3):
            begun = time.monotonic()
            assert client.get("/later").text == "at once"
            first = client.socket
            assert client.get("/hello").status == 200
            assert time.monotonic() - begun < 0.45 and client.socket is first  # /later goes on for half a second
    eventually(lambda: get(http.port, "/tell").text.count("later-") == 3)


def test_work_after_the_response_holds_nobody_up(started, http):
    started(http)
    begun = time.monotonic()
    assert Connection(http.port, keep=True).get("/later").text == "at once"
    assert time.monotonic() - begun < 0.4
    eventually(lambda: get(http.port, "/tell").text == "later-http.request-http.disconnect")


def test_requests_share_no_context_variables(started, http):
    """Neither those that come behind each other, nor those that the reactor is asked for within another's task."""
    started(http, ["--asgi-limit-concurrency", "2"])
    with socket.create_connection(("127.0.0.1", http.port)) as s:
        s.settimeout(10)
        last = b"GET /variable/z HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
        s.sendall(b"".join(b"GET /variable/%d HTTP/1.1\r\nHost: t\r\n\r\n" % n for n in range(5)) + last)
        assert until(s, b"\0").count(b"\r\n\r\nnone") == 6
    clients = [Connection(http.port) for _ in range(10)]
    for number, client in enumerate(clients):
        client.send(f"/variable/{number}")
    assert {client.receive().text for client in clients} == {"none"}


def test_what_a_cancelled_task_has_begun_to_send_is_sent_whole(started, way):
    running = started(way)
    client = Connection(way.port, timeout=20, receive_buffer=8192)
    client.send("/given_up")
    eventually((running.dir / "given-up").exists)
    sent = int((running.dir / "given-up").read_text()) + 1
    assert client.receive().body == b"".join(b"%07d;" % number * 12000 for number in range(sent)) + b"tail"


def test_tasks_that_outlive_their_request_do_not_touch_the_next(started, way):
    """It has the core and the descriptor that they knew."""
    running = started(way, ["--asgi-limit-concurrency", "1", "--socket-timeout", "1"])
    slow = Connection(way.port, receive_buffer=8192)
    slow.send("/orphans")
    running.wait_log("ValueError: meant")
    slow.close()
    assert get(way.port, "/ticks/100").text.count("data") == 100  # longer than the timeout
    assert get(way.port, "/tell").text == "the-request-has-ended the-request-has-ended"


def test_who_does_not_listen_for_the_client_is_told_in_the_end(started, way):
    running = started(way)
    client = Connection(way.port)
    client.send("/deaf")
    client.close()
    eventually(lambda: "ClientLeft" in get(way.port, "/tell").text)
    assert "Traceback" not in running.log(), "that is no error of the application's"


def test_framing_is_the_servers(started, way):
    started(way)
    with socket.create_connection(("127.0.0.1", way.port)) as s:
        s.settimeout(10)
        code = b"(b'Transfer-Encoding', b'chunked')".hex().encode()
        s.sendall(b"GET /header/%s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n" % code)
        answer = until(s, b"\0")
    assert answer.lower().count(b"transfer-encoding") == 1
    assert answer.endswith(b"\r\n\r\n4\r\nbody\r\n0\r\n\r\n")


@pytest.mark.parametrize("what, code, status", [
    ("header", "[b'x', bytearray(b'y')]", 200), ("header", "(b'x', b'y\\r\\nz: 1')", 500), ("header", "(b'x\\n', b'y')", 500),
    ("header", "('x', b'y')", 500), ("header", "(b'x',)", 500), ("header", "None", 500),
    ("body", "memoryview(b'x')", 200), ("body", "'x'", 500), ("body", "5", 500), ("body", "None", 500),
])
def test_what_is_no_message_is_an_error(started, way, what, code, status):
    started(way)
    assert get(way.port, f"/{what}/{code.encode().hex()}").status == status


def test_the_raw_path_is_a_path(started, way):
    started(way)
    with socket.create_connection(("127.0.0.1", way.port)) as s:
        s.settimeout(10)
        s.sendall(b"GET http://other.example/what/%41?a=b HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        assert b"'raw_path': b'/what/%41'" in until(s, b"\0")
