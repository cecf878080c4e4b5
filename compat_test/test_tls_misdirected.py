"""Requests for a host that demands a client certificate, on a connection that was not asked for one: 421."""
import shutil

import pytest
from routed import node
from sites import client

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")

APP = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
    return [b"ok"]
"""


@pytest.fixture(params=["https", "https-socket", "router"])
def guarded(request, site, server, authority):
    """A server of which must.test alone demands client certificates, and a client that has one."""
    cert, key = authority.issue("must.test")
    args = ["--sni", f"must.test {cert},{key},,!{authority.path}"]
    if request.param == "router":
        args += ["--http-to", f"127.0.0.1:{node(server, app=APP).port}", "--http-keepalive=10"]
    one = site("https-socket" if request.param == "https-socket" else "https", args=args, app=False if request.param == "router" else None)
    one.routed = request.param == "router"
    one.known = client(authority.issue("client", "/C=DE/CN=x"))
    return one


def ask(one, name, host, target="/", context=None):
    """The status of a request for a host on a connection for another one."""
    with one.connect(name, context) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return int(answer.split(b" ", 2)[1])


def test_the_host_of_a_request_has_to_be_that_of_the_handshake(guarded):
    assert ask(guarded, "site", "site") == 200
    assert ask(guarded, "site", "other.test:443") == 200
    for host in ("must.test", "MUST.test:443", "must.test."):
        assert ask(guarded, "site", host) == 421, host
    assert ask(guarded, None, "must.test") == 421
    assert ask(guarded, "site", "site", "https://must.test/") == 421
    assert ask(guarded, "must.test", "must.test", context=guarded.known) == 200
    assert ask(guarded, "must.test", "site", context=guarded.known) == 200


def test_each_stream_has_a_host(guarded):
    h2 = pytest.importorskip("http2_client")
    if guarded.routed:
        pytest.skip("routers speak HTTP/1.1")
    with h2.Http2(guarded) as connection:
        for authority, want in (("site", 200), ("must.test", 421), ("other.test", 200)):
            number = connection.h2.get_next_available_stream_id()
            connection.streams[number] = h2.Stream()
            head = [(":method", "GET"), (":scheme", "https"), (":authority", authority), (":path", "/")]
            connection.h2.send_headers(number, head, end_stream=True)
            connection.flush()
            assert connection.wait(number).status == want
