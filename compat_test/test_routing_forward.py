"""Routes that lead to other servers, `http:` and `uwsgi:`: what those are asked, what the client gets, and what becomes of both."""
import gzip
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from certificates import Authority
from http_client import Connection, eventually, get
from protocols import Sockets, rest_of, status, stdout
from server import free_port
from upstreams import Upstream, answer, field, variables

APP = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "3")])
    return [b"app"]
"""
OK = b"HTTP/1.1 200 OK\r\nX-Up: 1\r\nContent-Length: 2\r\n\r\nok"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
ENGINES = {"threads": [], "gevent": ["--gevent", "4"], "asyncio": ["--asyncio", "4"], "asgi": ["--asgi-file", "asgi.py"]}
ASGI = {"asgi.py": """
async def application(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]})
        await send({"type": "http.response.body", "body": b"app"})
"""}


@pytest.fixture
def front(server):
    """front(rules, ...) is (server, port): what begins with /up is led elsewhere."""
    def start(action, *args, app=APP, **more):
        port = free_port()
        rules = ["--route", f"^/up {action}"] if action else []
        one = server(None, ["--master", "--processes", "1", "--http-socket", f"127.0.0.1:{port}", *rules, *args], app=app, **more)
        return one.wait_port(port), port
    return start


def raw(port, request):
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        client.sendall(request)
        return rest_of(client)


def test_what_an_http_server_is_asked(front):
    with Upstream(answer(OK)) as up:
        _, port = front(f"http:{up.address}")
        request = (b"POST /up/a%20b?c=d HTTP/1.1\r\nHost: h\r\nConnection: X-Mine\r\nX-Mine: 1\r\nX-Other-ONE: 2\r\nTE: trailers\r\n"
                   b"X-Forwarded-For: 9.9.9.9\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(request)
            assert client.recv(1000) == OK
        assert up.requests == [b"POST /up/a%20b?c=d HTTP/1.1\r\nHost: h\r\nX-Other-One: 2\r\nContent-Type: a/b\r\nContent-Length: 3\r\n"
                               b"Connection: close\r\nX-Forwarded-For: 9.9.9.9, 127.0.0.1\r\n\r\nabc"]


def test_what_rules_change_is_what_the_server_is_asked(front):
    with Upstream(answer(OK)) as up:
        _, port = front(None, "--route-run", "addvar:HTTP_X_RULE=${PATH_INFO}", "--route", "^/up/m setmethod:PUT",
                        "--route", "^/up/u seturi:/other uri", "--route", "^/up/r rewrite:/new",
                        "--route", "^/up/t http:" + up.address + ",,/t${PATH_INFO}",
                        "--route", "^/(up|new) http:" + up.address + ",named")
        for path, line, more in (
            ("/up/m", b"PUT /up/m HTTP/1.1", b"Host: named"), ("/up/u", b"GET /other%20uri HTTP/1.1", b"Host: named"),
            ("/up/r", b"GET /up/r HTTP/1.1", b"Host: named"), ("/up/t", b"GET /t/up/t HTTP/1.1", b"Host: localhost"),
            ("/up/%0d%0aX-Evil:%201", b"GET /up/%0d%0aX-Evil:%201 HTTP/1.1", b"X-Rule: /up/"),
        ):
            assert get(port, path).text == "ok"
            lines = up.requests[-1].split(b"\r\n")
            assert lines[0] == line and more in lines, path
            assert not [one for one in lines if one.startswith(b"X-Evil")]


@pytest.mark.parametrize("action", ["uwsgi", "proxyuwsgi"])
def test_what_a_uwsgi_server_is_asked(front, action, tmp_path):
    with Upstream(answer(OK), tmp_path / "u.sock") as up:
        _, port = front(f"{action}:{up.address},5,7,name", "--route-run", "addvar:NOT=seen")
        assert raw(port, b"POST /up?q HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc").endswith(b"ok")
        packet = up.requests[0]
        told = variables(packet)
        assert (packet[0], packet[3], packet[-3:]) == (5, 7, b"abc")
        assert {name: told.get(name) for name in ("PATH_INFO", "REQUEST_METHOD", "CONTENT_LENGTH", "UWSGI_APPID", "NOT")} == {
            "PATH_INFO": "/up", "REQUEST_METHOD": "POST", "CONTENT_LENGTH": "3", "UWSGI_APPID": "name", "NOT": None}
        raw(port, b"POST /up HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n0\r\n\r\n")
        told = variables(up.requests[1])
        assert told["CONTENT_LENGTH"] == "2" and "HTTP_TRANSFER_ENCODING" not in told and up.requests[1].endswith(b"xy")


def test_servers_of_our_own(server, front):
    """A uwsgi server behind a route is one of ours, and the other way round over HTTP."""
    behind, plain = free_port(), free_port()
    app = """
def application(environ, start_response):
    start_response("200 OK", [("X-Path", environ["PATH_INFO"])])
    return [environ["REQUEST_METHOD"].encode(), environ["wsgi.input"].read()]
"""
    server(None, ["--socket", f"127.0.0.1:{behind}", "--http-socket", f"127.0.0.1:{plain}"], app=app).wait_port(behind)
    _, port = front(f"uwsgi:127.0.0.1:{behind},0,0", "--route", f"^/plain http:127.0.0.1:{plain}")
    for path in ("/up", "/plain"):
        with Connection(port) as client:
            client.open()
            client.socket.sendall(b"PUT %s HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" % path.encode() + b"x" * 100_000)
            reply = client.receive()
        assert (reply.status, reply.headers["x-path"], reply.text) == (200, path, "PUT" + "x" * 100_000)


@pytest.mark.parametrize("text,body,kept", [
    (OK, b"ok", True), (CHUNKS, b"abcde", True), (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", b"until the end", False),
    (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True), (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", b"", True),
    (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, b"ok", True),
    (b"HTTP/1.1 200 OK\r\nConnection: close\r\nKeep-Alive: 1\r\nContent-Length: 2\r\n\r\nok", b"ok", True),
])
def test_a_connection_is_kept_where_the_answer_has_an_end(front, text, body, kept):
    with Upstream(answer(text)) as up:
        one, port = front(f"http:{up.address}")
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(b"GET /up HTTP/1.1\r\nHost: h\r\n\r\nGET /other HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            whole = rest_of(client)
        first, second, rest = whole.partition(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n")
        assert bool(second) == kept
        if kept:
            assert rest.endswith(b"\r\n\r\napp")
        head, _, sent = first.partition(b"\r\n\r\n")
        assert b"eep-Alive" not in head and b"Link" not in head
        assert (b"".join(sent.split(b"\r\n")[1:4:2]) if text == CHUNKS else sent) == body
        one.wait_log(rf"GET /up => generated {len(body)} bytes in \d+ msecs via route\(\) \(HTTP/1.1 {status(whole)}\)")


def test_a_head_request(front):
    with Upstream(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n")) as up:
        _, port = front(f"http:{up.address}")
        reply = raw(port, b"HEAD /up HTTP/1.1\r\nHost: h\r\n\r\nHEAD /up HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert reply.count(b"Content-Length: 2000\r\n") == 2
        assert up.requests[0].startswith(b"HEAD /up HTTP/1.1\r\n")


@pytest.mark.parametrize("text,code,words", [
    (b"", 502, "closed the connection without an answer"), (b"HTTP/1.1 200 OK\r\nA: ", 502, "unexpected EOF"),
    (b"220 mail.example ESMTP\r\n", 502, "malformed status line"),
    (b"HTTP/1.1 200 OK\r\nA: b\rSet-Cookie: c\r\n\r\n", 502, "malformed header field"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 502, "is given twice"),
    (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", 502, "another protocol"),
    (b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000, 502, "longer than 65536"),
])
def test_what_is_no_answer(front, text, code, words):
    with Upstream(answer(text)) as up:
        one, port = front(f"http:{up.address}")
        with Connection(port, keep=True) as client:
            reply = client.get("/up")
            assert (reply.status, reply.text) == (code, "Bad Gateway")
            assert client.get("/app").text == "app"
        one.wait_log(rf"error routing request to http server {up.address}: .*{words}.*: /up")
        one.wait_log(rf"GET /up => generated 11 bytes in \d+ msecs via route\(\) \(HTTP/1.1 {code}\)")


def test_a_server_that_is_not_there(front, tmp_path):
    port = free_port()
    for address in (f"127.0.0.1:{port}", str(tmp_path / "absent.sock")):
        for action in (f"http:{address}", f"uwsgi:{address},0,0"):
            one, front_port = front(action)
            assert get(front_port, "/up").status == 502
            one.wait_log(f"error routing request to .* server {address}")


def test_half_a_body_ends_the_connection(front):
    for text in (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf"):
        with Upstream(answer(text)) as up:
            one, port = front(f"http:{up.address}")
            whole = raw(port, b"GET /up HTTP/1.1\r\nHost: h\r\n\r\n")
            assert b"half" in whole and not whole.endswith(b"0\r\n\r\n")
            one.wait_log("unexpected EOF: /up")


@pytest.mark.parametrize("limit,words", [(["--socket-timeout", "1"], "socket-timeout"),
                                         (["--harakiri", "1", "--socket-timeout", "20"], "HARAKIRI"),
                                         (["--route", "^/up harakiri:1", "--socket-timeout", "20"], "HARAKIRI")])
def test_a_server_that_is_silent(front, limit, words):
    held = threading.Event()
    with Upstream(lambda client, request: held.wait(20)) as up:
        one, port = front(None, *limit, "--route", f"^/up http:{up.address}")
        try:
            started = time.monotonic()
            assert get(port, "/up").status == 504
            assert time.monotonic() - started < 10
        finally:
            held.set()
        one.wait_log(f"{words}.*: /up")
        assert get(port, "/").text == "app"


def test_a_router_does_not_wait_for_ever(server):
    held = threading.Event()
    with Upstream(lambda client, request: held.wait(20)) as up:
        port = free_port()
        one = server(None, ["--http", f"127.0.0.1:{port}", "--http-timeout", "1", "--socket-timeout", "20",
                            "--route-run", f"http:{up.address}"], app=APP)
        one.wait_port(port)
        try:
            assert get(port, "/up").status == 504
        finally:
            held.set()
        one.wait_log("http-timeout.*: /up")


@pytest.mark.parametrize("size", [0, 10, 200_000, 3_000_000])
@pytest.mark.parametrize("engine", ENGINES)
def test_bodies_both_ways_in_every_engine(front, engine, size):
    def echo(client, request):
        body = request.partition(b"\r\n\r\n")[2]
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    with Upstream(echo) as up:
        args = [*ENGINES[engine], *([] if engine == "threads" else [f"--home={sys.prefix}"])]
        one, port = front(f"http:{up.address}", *args, app=None if engine == "asgi" else APP, files=ASGI)
        body = b"0123456789" * (size // 10)
        whole = raw(port, b"POST /up HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size + body)
        assert whole.partition(b"\r\n\r\n")[2] == body
        assert get(port, "/").text == "app"
        one.wait_log(rf"POST /up => generated {size} bytes in \d+ msecs via route\(\)")


@pytest.mark.parametrize("engine", ENGINES)
def test_no_core_waits_for_a_server(front, engine):
    go = threading.Event()

    def slow(client, request):
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\nfirst")
        go.wait(20)
        client.sendall(b"last")
    with Upstream(slow) as up:
        args = [*ENGINES[engine], *([] if engine == "threads" else [f"--home={sys.prefix}"])]
        _, port = front(f"http:{up.address}", *args, app=None if engine == "asgi" else APP, files=ASGI)
        with socket.create_connection(("127.0.0.1", port), 20) as client:
            try:
                client.sendall(b"GET /up HTTP/1.1\r\nHost: h\r\n\r\n")
                got = b""
                while not got.endswith(b"first"):  # it is passed on as it comes
                    got += client.recv(4096)
                assert get(port, "/").text == "app"
            finally:
                go.set()
            assert rest_of(client) == b"last"


def test_fastcgi_scgi_and_uwsgi(server):
    with Upstream(answer(CHUNKS)) as up:
        asked = Sockets(server, APP, ["--route", f"^/up http:{up.address}", "--route", "^/dead http:/absent.sock"])
        for path, code, end in (("/up", 200, b"\r\n\r\nabcde"), ("/dead", 502, b"Bad Gateway")):
            asked.path = path
            answered = asked.post("scgi", b"body")
            assert answered.startswith(b"Status: ") and status(answered) == code and answered.endswith(end)
            answered, ended = stdout(asked.post("fastcgi", b"body"))
            assert ended and answered.startswith(b"Status: ") and status(answered) == code and answered.endswith(end)
            answered = asked.post("uwsgi", b"body")
            assert status(answered) == code and answered.endswith(end)
        assert all(request.endswith(b"\r\n\r\nbody") for request in up.requests)


def test_over_tls_and_http2(server, tmp_path):
    cert, key = Authority(tmp_path).issue("localhost")
    port = free_port()

    def echo(client, request):
        body = request.partition(b"\r\n\r\n")[2]
        client.sendall(b"HTTP/1.1 200 OK\r\nX-Up: 1\r\n\r\n" + body)
    with Upstream(echo) as up:
        (tmp_path / "data").write_bytes(b"x" * 300_000)
        one = server(None, ["--https-socket", f"127.0.0.1:{port},{cert},{key}", "--route", f"^/up http:{up.address}"],
                     app=APP).wait_port(port)
        for version in ("--http1.1", "--http2"):
            done = subprocess.run(["curl", "-sk", version, "--data-binary", f"@{tmp_path}/data", f"https://127.0.0.1:{port}/up",
                                   f"https://127.0.0.1:{port}/app"],
                                  capture_output=True, timeout=30)
            assert done.stdout == b"x" * 300_000 + b"app"
        assert all(field(request.partition(b"\r\n\r\n")[0], b"content-length") == b"300000" for request in up.requests)
        assert len(up.requests) == 2
        one.wait_log(r"POST /up => generated 300000 bytes in \d+ msecs via route\(\)")


def test_a_client_that_leaves_ends_the_servers_connection(front):
    ended = threading.Event()

    def endless(client, request):
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\nfirst")
        if client.recv(1) == b"":
            ended.set()
    with Upstream(endless) as up:
        _, port = front(f"http:{up.address}", "--socket-timeout", "60")
        client = socket.create_connection(("127.0.0.1", port), 10)
        client.sendall(b"GET /up HTTP/1.1\r\nHost: h\r\n\r\n")
        while not client.recv(4096).endswith(b"first"):
            pass
        started = time.monotonic()
        eventually(lambda: time.monotonic() - started > 1.2)  # who ends its side sooner may only have said all
        client.close()
        assert ended.wait(10)


def test_a_slow_client_holds_no_memory(front):
    """The server waits for its client: what it has written is what fits into sockets."""
    sent, full = 0, threading.Event()

    def endless(client, request):
        nonlocal sent
        client.settimeout(0.5)
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while sent < 64 << 20:
                sent += client.send(bytes(65536))
        except TimeoutError:
            full.set()
    with Upstream(endless) as up, socket.socket() as client:
        _, port = front(f"http:{up.address}", "--socket-timeout", "20")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.sendall(b"GET /up HTTP/1.1\r\nHost: h\r\n\r\n")
        assert full.wait(20) and sent < 16 << 20


def test_a_reload_and_a_stop_wait_for_servers(front):
    go = threading.Event()

    def slow(client, request):
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfirst")
        go.wait(20)
        client.sendall(b"last")
    with Upstream(slow) as up:
        one, port = front(f"http:{up.address}", "--socket-timeout", "20")
        for number, word in ((signal.SIGHUP, "Gracefully killing worker 1"), (signal.SIGTERM, "goodbye|Gracefully|stop")):
            go.clear()
            with Connection(port) as client:
                try:
                    client.send("/up")
                    eventually(lambda: len(up.requests) == (1 if number == signal.SIGHUP else 2))
                    one.signal(number)
                    if number == signal.SIGHUP:
                        one.wait_log(word)
                        assert eventually(lambda: get(port, "/").text == "app")
                finally:
                    go.set()
                assert client.receive().text == "firstlast"
        assert one.wait_exit() == 0


def test_rules_for_responses_and_options_about_headers(front):
    def serve(client, request):
        code = b"404 Not Found" if b"/up/404" in request else b"200 OK"
        client.sendall(b"HTTP/1.1 " + code + b"\r\nX-Up: 1\r\nServer: up\r\nX-Gone: 1\r\n\r\n" + b"body " * 1000)
    with Upstream(serve) as up:
        one, port = front(
            None, "--add-header", "X-Added: 1", "--del-header", "X-Gone", "--cache2", "name=c,items=10,blocksize=8192",
            "--route-run", "addheader:X-Early: 1", "--route", "^/up/gzip gzip:", "--route", "^/up/fix fixcl:",
            "--route", "^/up/chunked chunked:",
            "--route", "^/up/kept cache:key=${PATH_INFO},name=c", "--route", "^/up/kept cachestore:key=${PATH_INFO},name=c",
            "--route", f"^/up http:{up.address}", "--route", "^/dead http:/absent.sock",
            "--error-route-status", "404 break:503 Down", "--error-route-status", "502 redirect:/sorry",
            "--response-route-run", "delheader:Server", "--response-route-run", "addheader:X-Late: ${uwsgi[status]}",
            "--final-route-run", "log:final ${uwsgi[status]} ${uwsgi[rsize]} ${PATH_INFO}")
        reply = get(port, "/up")
        assert {name: reply.headers.get(name) for name in ("x-up", "server", "x-gone", "x-added", "x-early", "x-late")} == {
            "x-up": "1", "server": None, "x-gone": None, "x-added": "1", "x-early": "1", "x-late": "200"}
        one.wait_log("final 200 5000 /up")
        reply = get(port, "/up/404")
        assert (reply.status, reply.text, reply.headers.get("x-up")) == (503, "", None)
        reply = get(port, "/dead")
        assert (reply.status, reply.headers["location"], reply.text) == (302, "/sorry", "Moved")
        with Connection(port, keep=True) as client:
            reply = client.get("/up/gzip")
            assert gzip.decompress(reply.body) == b"body " * 1000 and reply.headers["transfer-encoding"] == "chunked"
            reply = client.get("/up/fix")
            assert (reply.headers["content-length"], len(reply.body)) == ("5000", 5000)
            reply = client.get("/up/chunked")
            assert (reply.headers["transfer-encoding"], len(reply.body)) == ("chunked", 5000)
            assert client.opened == 1
        assert get(port, "/up/kept").body == get(port, "/up/kept").body == b"body " * 1000
        assert sum(b"/up/kept" in request for request in up.requests) == 1


def test_variables_that_rules_have_made_too_large_for_a_packet(front):
    """They are refused before the server is asked: none is there."""
    grow = [part for number in range(8) for part in ("--route", f"^/up addvar:V{number}=${{HTTP_X}}")]
    one, port = front(None, "--buffer-size", "65535", *grow, "--route", "^/up uwsgi:/absent.sock,0,0")
    whole = raw(port, b"GET /up HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX: " + b"x" * 8000 + b"\r\n\r\n")
    assert status(whole) == 500
    assert get(port, "/").text == "app"


def test_stats_count_them(front):
    stats = free_port()
    with Upstream(answer(OK)) as up:
        _, port = front(f"http:{up.address}", "--stats", f"127.0.0.1:{stats}")
        for _ in range(3):
            get(port, "/up")

        def routed():
            with socket.create_connection(("127.0.0.1", stats), 10) as client:
                return json.loads(rest_of(client))["workers"][0]["cores"][0]["routed_requests"] == 3
        eventually(routed)


def test_the_variables_of_kept_connections_are_their_own(front):
    """Requests under way at other servers, and others on the same core meanwhile, keep apart what rules know of them."""
    go = threading.Event()

    def slow(client, request):
        go.wait(20)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    with Upstream(slow) as up:
        one, port = front(None, "--route", "^/(.*) addvar:NAME=$1", "--route-run", "logvar:n=${NAME}",
                          "--log-format", "line %(uri) is %(n)",
                          "--route-run", "addheader:X-Early: ${NAME}", "--route", f"^/up http:{up.address}",
                          "--response-route-run", "addheader:X-Late: ${NAME}")
        clients = [Connection(port) for _ in range(8)]
        for number, client in enumerate(clients):
            client.send(f"/up{number}")
        for number in range(20):
            headers = get(port, f"/app{number}").headers
            assert (headers["x-early"], headers["x-late"]) == (f"app{number}", f"app{number}")
        go.set()
        for number, client in enumerate(clients):
            headers = client.receive().headers
            assert (headers["x-early"], headers["x-late"]) == (f"up{number}", f"up{number}")
        for number in range(8):
            one.wait_log(f"line /up{number} is up{number}$")
        assert not re.search(r"line /(\w+) is (?!\1$)", one.log(), re.M)
