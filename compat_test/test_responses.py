"""Responses at their edges: shorter than announced, read slowly."""
import socket

import pytest
from http_client import Connection, eventually, get
from protocols import PROTOCOLS, Sockets, rest_of, stdout
from server import free_port
from transports import http_socket

SHORT = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "10")])
    path = environ["PATH_INFO"]
    if path == "/list":
        return [b"ab", b"cde"]
    if path == "/iterator":
        return iter([b"ab", b"cde"])
    if path == "/nothing":
        return []
    return [b"0123456789"]
"""
DIRECT = [name for name in PROTOCOLS if name != "chunked"]
BODIES = {"/list": b"abcde", "/iterator": b"abcde", "/nothing": b""}


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("protocol", DIRECT)
def test_a_body_shorter_than_its_content_length(server, protocol, path):
    """Head and body are sent, then the connection ends: only that can tell the client."""
    sockets = Sockets(server, SHORT)
    sockets.path = path
    answer = sockets.post(protocol, b"x")
    assert b"Content-Length: 10\r\n" in answer and answer.count(b"200 OK") == 1
    if protocol == "fastcgi":
        answer, complete = stdout(answer)
        assert not complete
    assert answer.partition(b"\r\n\r\n")[2] == BODIES[path]
    sockets.running.wait_log(f'the response to "{path}" is shorter than its Content-Length .{len(BODIES[path])} bytes of body')


def test_a_connection_ends_with_a_short_body(server):
    transport = http_socket()
    server(transport, ["--master"], app=SHORT)
    with Connection(transport.port, keep=True) as client:
        assert client.get("/").text == "0123456789"
        client.send("/list")
        with pytest.raises(Exception, match="closed in mid-answer"):
            client.receive()
    assert get(transport.port).text == "0123456789"


# Items of 4 MB from an iterator with a close(), as frameworks return. What happens to it is noted in the file `notes`.
ITERATOR = """
import os, time

ITEM = bytes(range(256)) * (4 << 12)

def note(text):
    with open("notes", "a") as file:
        file.write(text + " ")

class Items:
    def __init__(self, path):
        self.slow_close, self.left = "slow-close" in path, 5 if "many" in path else 1

    def __iter__(self):
        return self

    def __next__(self):
        if not self.left:
            note("end")
            raise StopIteration
        self.left -= 1
        note("item")
        return ITEM

    def close(self):
        note("close")
        while self.slow_close and not os.path.exists("release"):
            time.sleep(0.01)
        note("closed")

def application(environ, start_response):
    items, headers = Items(environ["PATH_INFO"]), [("Content-Type", "text/plain")]
    if environ["PATH_INFO"] == "/quick":
        start_response("200 OK", [*headers, ("Content-Length", "5")])
        return [b"quick"]
    if "length" in environ["PATH_INFO"]:
        headers.append(("Content-Length", str(items.left * len(ITEM))))
    start_response("200 OK", headers)
    return items
"""
ITEM = bytes(range(256)) * (4 << 12)


def hurry(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    return client


@pytest.mark.parametrize("path", ["/length", "/unknown"])
@pytest.mark.parametrize("protocol", DIRECT)
def test_an_iterator_of_one_item_that_is_read_slowly(server, protocol, path):
    """It has been closed, and the core serves others, before the client has read much; who reads on gets all of it."""
    sockets = Sockets(server, ITERATOR)
    sockets.path = path
    with sockets.send(protocol, b"x", 4096) as slow:
        start = slow.recv(100)
        eventually(lambda: (sockets.running.dir / "notes").read_text() == "item end close closed ")
        assert get(sockets.ports["http-socket"], "/quick", timeout=5).text == "quick"
        answer = start + rest_of(hurry(slow))
    if protocol == "fastcgi":
        answer, complete = stdout(answer)
        assert complete
    assert answer.partition(b"\r\n\r\n")[2] == ITEM


@pytest.mark.parametrize("path", ["/length", "/unknown"])
def test_a_chunked_or_kept_response_that_is_read_slowly(server, path):
    """Of a router: the connection serves on, and close() may take its time."""
    port = free_port()
    running = server(None, ["--http", f"127.0.0.1:{port}", "--http-keepalive=30", "--http-auto-chunked", "--master", "--threads", "2"],
                     app=ITERATOR)
    running.wait_port(port)
    with Connection(port, keep=True, receive_buffer=4096) as slow:
        slow.send(path + "/slow-close")
        eventually((running.dir / "notes").exists)
        eventually(lambda: (running.dir / "notes").read_text() == "item end close ")
        hurry(slow.socket)
        assert slow.receive().body == ITEM
        running.write("release", "")
        assert slow.get("/quick").text == "quick" and slow.opened == 1
        slow.send(path)
        eventually(lambda: (running.dir / "notes").read_text().count("closed") == 2)
        assert slow.receive().body == ITEM
        assert slow.get("/quick").text == "quick" and slow.opened == 1


@pytest.mark.parametrize("path", ["/length/many", "/unknown/many"])
@pytest.mark.parametrize("protocol", DIRECT)
def test_an_iterator_is_one_item_ahead_of_its_client(server, protocol, path):
    """The memory that a slow client costs is bounded, and the order is kept."""
    sockets = Sockets(server, ITERATOR)
    sockets.path = path
    with sockets.send(protocol, b"x", 4096) as slow:
        answer = slow.recv(1 << 20)
        notes = sockets.running.dir / "notes"
        eventually(lambda: notes.read_text().startswith("item item"))
        answer += rest_of(hurry(slow))
        eventually(lambda: notes.read_text() == "item " * 5 + "end close closed ")
    if protocol == "fastcgi":
        answer, complete = stdout(answer)
        assert complete
    assert answer.partition(b"\r\n\r\n")[2] == ITEM * 5


def test_a_client_that_leaves_ends_the_iterator(server):
    transport = http_socket()
    running = server(transport, ["--master", "--processes", "1"], app=ITERATOR)
    with Connection(transport.port, receive_buffer=4096) as slow:
        slow.send("/unknown/many")
        eventually((running.dir / "notes").exists)
        eventually(lambda: (running.dir / "notes").read_text() == "item item ")
    eventually(lambda: (running.dir / "notes").read_text() == "item item close closed ")
    assert get(transport.port, "/quick").text == "quick"
    running.wait_log("OSError: write error")


def test_a_slow_reader_of_an_iterator_that_stalls(server):
    """The time-out for a client is in force for what a goroutine sends, too."""
    transport = http_socket()
    running = server(transport, ["--master", "--processes", "1", "--socket-timeout", "1"], app=ITERATOR)
    with Connection(transport.port, receive_buffer=4096) as slow:
        slow.send("/length")
        assert get(transport.port, "/quick").text == "quick"
        running.wait_log("TIMEOUT")
        assert get(transport.port, "/quick").text == "quick"
