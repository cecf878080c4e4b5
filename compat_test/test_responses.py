"""Responses at their edges: shorter than announced, read slowly."""
import pytest
from http_client import Connection, get
from protocols import PROTOCOLS, Sockets
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
BODIES = {"/list": b"abcde", "/iterator": b"abcde", "/nothing": b""}


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("protocol", [name for name in PROTOCOLS if name != "chunked"])
def test_a_body_shorter_than_its_content_length(server, protocol, path):
    """Head and body are sent, then the connection ends: only that can tell the client."""
    sockets = Sockets(server, SHORT)
    sockets.path = path
    answer = sockets.post(protocol, b"x")
    assert b"Content-Length: 10\r\n" in answer and answer.count(b"200 OK") == 1
    if protocol == "fastcgi":
        assert bytes([1, 3]) not in answer  # nor does a record say that it is complete
    else:
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
