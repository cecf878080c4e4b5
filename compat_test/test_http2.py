"""HTTP/2: requests, streams and their ends, floods."""
import re
import shutil
import socket
import struct
import threading
import time

import pytest
from apps import ANSWER
from http_client import eventually
from server import free_port
from sites import H1, client, descriptors, resident, threads

pytest.importorskip("h2")
from http2_client import Gone, Http2  # noqa: E402

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")

APP = f"""
import os, time, uwsgi
{ANSWER}
told = []

def application(environ, start_response):
    name, _, argument = environ["PATH_INFO"][1:].partition("/")
    return globals()[name or "hello"](argument, environ, start_response)

def hello(_, environ, start_response): return answer(start_response, "hello")
def pid(_, environ, start_response): return answer(start_response, str(os.getpid()))
def tell(_, environ, start_response): return answer(start_response, " ".join(told))
def descriptor(_, environ, start_response):
    fd = uwsgi.connection_fd()
    return answer(start_response, "%s %s" % (fd == environ["wsgi.input"].fileno(), os.readlink("/proc/self/fd/%d" % fd)))
def fail(_, environ, start_response): raise ValueError("meant")
def what(name, environ, start_response): return answer(start_response, repr(environ.get(name)))
def echo(_, environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(body))), ("X-Length", environ.get("CONTENT_LENGTH", "none"))])
    return [body]
def big(size, environ, start_response):
    start_response("200 OK", [("Content-Length", size)])
    return [b"x" * int(size)]
def rest(seconds, environ, start_response):
    time.sleep(float(seconds))
    return answer(start_response, "rested")
def ticks(count, environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    for number in range(int(count)):
        yield b"%d;" % number
        while not os.path.exists("tick-%d" % number):
            time.sleep(0.005)
def endless(_, environ, start_response):
    start_response("200 OK", [])
    try:
        while True:
            yield b"x" * 50000
    finally:
        told.append("closed")
def short(_, environ, start_response):
    start_response("200 OK", [("Content-Length", "10")])
    return [b"short"]
def split(_, environ, start_response):
    return answer(lambda status, fields: start_response(status, [*fields, ("X-A", "1"), ("X-A", "2")]), "x")
"""
ONE = ["--processes", "1", "--disable-logging", "--socket-timeout", "60", "--threads", "2"]


def test_requests(site):
    one = site(args=["--processes", "1"])
    with Http2(one) as http:
        got = http.ask("/hello")
        assert (got.status, got.body, got.headers["content-length"]) == (200, b"hello", "5")
        head = http.ask("/hello", "HEAD")
        assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "5")
        body = bytes(range(256)) * 20000
        sized = http.ask("/echo", "POST", [("content-length", str(len(body)))], body)
        assert sized.body == body and sized.headers["x-length"] == str(len(body))
        free = http.ask("/echo", "POST", [], body)
        assert free.body == body
        assert http.ask("/echo", "POST", [("content-length", "0")], b"").headers["x-length"] in ("0", "none", "")
        assert http.ask("/what/SERVER_PROTOCOL").body == b"'HTTP/2.0'"
        assert http.ask("/what/HTTPS").body == b"'on'"
        assert http.ask("/what/HTTP_HOST").body == b"'site'"
        assert http.ask("/what/HTTP_COOKIE", more=[("cookie", "a=1"), ("cookie", "b=2")]).body == b"'a=1; b=2'"
        assert http.ask("/hello", "PURGE").status == 200
        assert http.ask("/fail").status == 500
        assert http.ask("/descriptor").body.startswith(b"True socket:")
        assert "date" not in got.headers  # as over HTTP/1.1: what the application has not said nobody says
    one.server.wait_log(re.escape("GET /hello") + r".* => .*HTTP/2\.0 200")


def test_asked_for_nothing_else_it_is_http_1(site):
    one = site(args=ONE)
    for protocols, chosen in ((["h2", "http/1.1"], "h2"), (H1, "http/1.1"), (None, None)):
        with one.connect(context=client(protocols=protocols)) as connection:
            assert connection.selected_alpn_protocol() == chosen


def test_it_can_be_left_out(site):
    one = site(args=[*ONE, "--http2=false"])
    with one.connect(context=client(protocols=["h2", "http/1.1"])) as connection:
        assert connection.selected_alpn_protocol() == "http/1.1"


@pytest.mark.parametrize("option", ["https", "https-socket"])
def test_a_hundred_streams_at_once(site, option):
    one = site(option, args=ONE)
    with Http2(one) as http:
        numbers = {http.start(f"/what/HTTP_X_{number}", more=[(f"x-{number}", f"v{number}")], flush=False): number for number in range(100)}
        http.flush()
        for stream, number in numbers.items():
            assert http.wait(stream).body == b"'v%d'" % number
        posts = [http.start("/echo", "POST", end=False) for _ in range(100)]
        for part in range(3):
            for number in posts:
                http.send(number, b"%d-%d " % (number, part), end=part == 2)
        for number in posts:
            assert http.wait(number).body == b"".join(b"%d-%d " % (number, part) for part in range(3))


def test_streams_without_length_come_at_once(site):
    one = site(args=ONE)
    with Http2(one) as http:
        stream = http.streams[http.start("/ticks/3")]
        for number in range(3):
            http.until(lambda: b"%d;" % number in stream.body)  # noqa: B023
            one.server.write(f"tick-{number}", "")
        http.until(lambda: stream.ended)


def test_a_response_that_is_cut_off_is_reset(site):
    one = site(args=ONE)
    with Http2(one) as http:
        assert http.ask("/short").reset is not None
        assert http.ask("/split").headers["x-a"] == "2"
        assert http.ask("/hello").body == b"hello"


@pytest.mark.parametrize("told, sent", [("10", b"12345"), ("3", b"12345")])
def test_bodies_that_are_not_what_was_said(site, told, sent):
    one = site(args=ONE)
    with Http2(one) as http:
        number = http.start("/echo", "POST", [("content-length", told)], end=False)
        http.h2.send_data(number, sent, end_stream=True)
        http.flush()
        stream = http.wait(number)
        assert stream.reset is not None or stream.status >= 400, stream.body
        assert http.ask("/hello").body == b"hello"


@pytest.mark.parametrize("field", [
    ("x-a", "1\r\nx-b: 2"), ("x-a", "1\nGET / HTTP/1.1"), ("x-a\r\nx-b", "2"), ("x a", "1"), ("transfer-encoding", "chunked"),
    ("connection", "close"), ("x-a", "1\0"), (":path", "/twice"), ("X-Upper", "1"),
], ids=repr)
def test_fields_that_must_not_be(site, field):
    one = site(args=ONE)
    with Http2(one) as http:
        try:
            stream = http.ask("/what/HTTP_X_B", more=[field])
            assert stream.reset is not None or stream.status == 400
        except (Gone, ConnectionError):
            pass
    assert one.get("/hello") == b"hello"


@pytest.mark.parametrize("path, method", [
    ("/a b", "GET"), ("/ HTTP/1.1\r\nX: y", "GET"), ("/", "GET / HTTP/1.1\r\n"), ("", "GET"), ("x", "GET"), ("/", "CONNECT"),
])
def test_request_lines_that_must_not_be(site, path, method):
    one = site(args=ONE)
    with Http2(one) as http:
        try:
            stream = http.ask(path, method)
            assert stream.reset is not None or stream.status in (400, 405, 501)
        except (Gone, ConnectionError):
            pass
    assert one.get("/hello") == b"hello"


def test_heads_that_are_large(site):
    one = site(args=[*ONE, "--buffer-size", "4096"])
    many = [(f"x-{number}", "y" * 20) for number in range(400)]
    for status, more in ((431, [("x-a", "x" * 6000)]), (431, many), (200, [("x-a", "x" * 3900)])):
        with Http2(one) as http:
            assert http.ask("/hello", more=more).status == status
            assert http.ask("/hello").status == 200


def test_limits(site):
    one = site(args=[*ONE, "--limit-post", "1000"])
    with Http2(one) as http:
        number = http.start("/echo", "POST", [("content-length", "5000")], end=False)
        assert http.wait(number).status == 413
        assert http.ask("/hello").body == b"hello"


def test_a_client_that_does_not_read(site):
    one = site(args=[*ONE, "--socket-timeout", "3", "--response-memory", str(20 << 20), "--response-files", str(60 << 20)])
    pid = int(one.get("/pid"))
    before, files = resident(pid), descriptors(pid)
    with Http2(one, reads=False) as http, Http2(one) as other:
        numbers = [http.start("/big/5000000") for _ in range(8)]
        small = http.start("/endless")
        http.until(lambda: any(stream.body for stream in http.streams.values()))  # whichever the connection's window has gone to
        for _ in range(10):
            assert other.ask("/hello").body == b"hello"
        assert resident(pid) - before < 50 << 20
        for number in [*numbers, small]:  # nothing was taken for the socket's time-out
            http.wait(number)
            assert http.streams[number].reset is not None
        assert http.ask("/hello", "HEAD").status == 200
        with Http2(one) as third:  # the other one may have been idle for the time-out, too
            eventually(lambda: third.ask("/tell").body == b"closed")
    eventually(lambda: descriptors(pid) <= files + 4)


def test_a_slow_reader_gets_all(site):
    one = site(args=ONE)
    with Http2(one, reads=False) as http:
        number = http.start("/big/1000000")
        stream = http.streams[number]
        seen = 0
        while not stream.done:
            http.pump()
            if len(stream.body) - seen:
                http.h2.acknowledge_received_data(len(stream.body) - seen, number)
                seen = len(stream.body)
                http.flush()
        assert len(stream.body) == 1000000


def test_streams_that_are_reset(site):
    one = site(args=ONE)
    pid = int(one.get("/pid"))
    with Http2(one) as http:
        assert http.ask("/hello").body == b"hello"
        files = descriptors(pid)
        number = http.start("/endless")
        http.until(lambda: len(http.streams[number].body) > 100000)
        http.reset(number)
        eventually(lambda: http.ask("/tell").body == b"closed")
        for _ in range(20):
            http.reset(http.start("/rest/0.02"))
            http.reset(http.start("/echo", "POST", [("content-length", "100")], end=False))
        for _ in range(50):
            assert http.ask("/hello").body == b"hello"
        eventually(lambda: descriptors(pid) <= files + 10)


def test_a_flood_of_resets(site):
    """Requests that are given up before they are served are not, and there are never more of them than streams."""
    one = site(args=[*ONE, "--threads", "1"])
    pid = int(one.get("/pid"))
    files, before, memory = descriptors(pid), threads(pid), resident(pid)
    most, over = 0, threading.Event()

    def watch():
        nonlocal most
        while not over.wait(0.02):
            most = max(most, descriptors(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    sent = 0
    while sent < 10000:
        with Http2(one) as http:
            try:
                for _ in range(1000):
                    for _ in range(10):
                        http.reset(http.start("/rest/0.05", flush=False), flush=False)
                        sent += 1
                    http.flush()
                    if sent >= 10000:
                        break
            except (OSError, Gone):
                continue  # it has had enough of us
    assert one.get("/hello") == b"hello"
    over.set()
    watcher.join()
    assert most - files < 128 * 8 + 50
    eventually(lambda: descriptors(pid) <= files + 6)
    assert threads(pid) <= before + 6
    assert resident(pid) - memory < 60 << 20


def test_connections_leave_nothing_behind(site):
    one = site(args=ONE)
    pid = int(one.get("/pid"))
    for round_ in range(2):
        if round_:
            files, before = descriptors(pid), threads(pid)
        for number in range(60):
            with Http2(one) as http:
                for _ in range(5):
                    http.start("/hello", flush=False)
                http.flush()
                if number % 3:
                    http.wait(1)
                if number % 5 == 0:
                    http.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    eventually(lambda: descriptors(pid) <= files + 4)
    assert threads(pid) <= before + 3


def test_client_certificates_reach_every_worker(site, authority):
    """A tunnel is not passed on to another worker, which would not know of the certificate."""
    certificate = authority.issue("client")
    one = site(rest=f",HIGH,{authority.path}", args=["--processes", "2", "--disable-logging"])
    with Http2(one, context=client(certificate)) as http:
        first = http.ask("/what/HTTPS_DN").body
        assert first == b"'/CN=client'"
        resting = [http.start("/rest/0.3") for _ in range(3)]
        time.sleep(0.1)
        asked = [http.start("/what/HTTPS_DN") for _ in range(10)]
        assert {http.wait(number).body for number in asked} == {first}
        for number in resting:
            assert http.wait(number).body == b"rested"


def test_plain_http_beside_it(site):
    port = free_port()
    one = site(args=[*ONE, "--http-socket", f"127.0.0.1:{port}"])
    with Http2(one) as http:
        assert http.ask("/what/wsgi.url_scheme").body == b"'https'"
