"""What a client may say about a request, and what it may not."""
import socket
import struct

import pytest
from http_client import eventually
from server import free_port

APP = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return ["".join(f"{name}={environ[name]!r}\\n" for name in sorted(environ)).encode()]
"""

DIALECTS = ["http", "http-socket", "fastcgi-socket", "scgi-socket"]


def exchange(port, data):
    """What the server says to these bytes, until it closes."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(10)
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            return client.makefile("rb").read()
        except OSError as error:  # it has closed before it read all
            if isinstance(error, socket.timeout):
                raise
            return b""


def speak(dialect, target="/", names=(), version="1.1"):
    """A GET request with these names and values (of headers with HTTP, of variables with the others)."""
    if dialect in ("http", "http-socket"):
        lines = "".join(f"{name}: {value}\r\n" for name, value in names)
        return f"GET {target} HTTP/{version}\r\nHost: h\r\nConnection: close\r\n{lines}\r\n".encode("latin-1")
    pairs = [("CONTENT_LENGTH", "0"), ("SCGI", "1"), ("REQUEST_METHOD", "GET"), ("REQUEST_URI", target),
             ("PATH_INFO", target), ("SERVER_PROTOCOL", "HTTP/1.1"), *names]
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
    if dialect == "scgi-socket":
        text = b"".join(name + b"\0" + value + b"\0" for name, value in pairs)
        return str(len(text)).encode() + b":" + text + b","
    if dialect == "socket":
        text = b"".join(struct.pack("<H", len(part)) + part for pair in pairs for part in pair)
        return struct.pack("<BHB", 0, len(text), 0) + text
    text = b"".join(struct.pack(">II", len(name) | 1 << 31, len(value) | 1 << 31) + name + value for name, value in pairs)
    records = struct.pack(">BBHHBBHB5x", 1, 1, 1, 8, 0, 0, 1, 0)
    for start in range(0, len(text), 60000):
        piece = text[start:start + 60000]
        records += struct.pack(">BBHHBB", 1, 4, 1, len(piece), 0, 0) + piece
    return records + struct.pack(">BBHHBB", 1, 4, 1, 0, 0, 0) + struct.pack(">BBHHBB", 1, 5, 1, 0, 0, 0)


@pytest.fixture
def listen(server):
    """listen(dialect, args) starts a server that speaks it, and returns the server and its port."""
    def start(dialect, args=(), app=APP, **rest):
        port = free_port()
        one = server(args=[f"--{dialect}", f"127.0.0.1:{port}", "--master", *args], app=app, **rest).wait_port(port)
        return one, port
    return start


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_value_over_64_kib_is_refused_and_forges_nothing(listen, dialect):
    one, port = listen(dialect, ["--buffer-size", "200000"])
    for size in (65536, 66536, 131072):
        reply = exchange(port, speak(dialect, "/" + "a" * (size - 1)))
        assert reply.startswith(b"HTTP/1.1 431 ") if dialect.startswith("http") else b"200 OK" not in reply, reply[:200]
        reply = exchange(port, speak(dialect, names=[("X-Long", "a" * size)]))
        assert reply.startswith(b"HTTP/1.1 431 ") if dialect.startswith("http") else b"200 OK" not in reply, reply[:200]
    assert one.wait_log("over 65535 bytes, .* --buffer-size")
    assert b"200 OK" in exchange(port, speak(dialect, "/" + "a" * 65534))


def test_values_are_those_of_the_request_however_often_they_change(listen):
    _, port = listen("http-socket")
    values = [*(str(n) for n in range(40)), *["same"] * 40, "other", "same", "same", "", "a" * 300, "a" * 300, "a" * 256, "a" * 256]
    for value in [*values, *("ab"[n % 2] for n in range(40))]:
        assert f"HTTP_X_SAID={value!r}\n".encode() in exchange(port, speak("http-socket", names=[("X-Said", value)]))


PROXY_HEADERS = {
    "v1": b"PROXY TCP4 192.0.2.7 198.51.100.1 1111 2222\r\n",
    "v2": b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes([192, 0, 2, 7, 198, 51, 100, 1]) + struct.pack(">HH", 1111, 2222),
}
TOLD = b"REMOTE_ADDR='192.0.2.7'\nREMOTE_PORT='1111'\n"


@pytest.mark.parametrize("version", PROXY_HEADERS)
def test_a_proxy_header_counts_once_also_in_pieces(listen, version):
    _, port = listen("http-socket", ["--enable-proxy-protocol"])
    header = PROXY_HEADERS[version]
    request = speak("http", "/first")
    reply = exchange(port, header + request)
    assert TOLD in reply and b"SERVER_ADDR='198.51.100.1'\nSERVER_NAME=" in reply and b"SERVER_PORT='2222'" in reply
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(10)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(header + request)):
            client.sendall((header + request)[at:at + 1])
        reply = client.makefile("rb").read()
    assert reply.startswith(b"HTTP/1.1 200 OK") and TOLD in reply and reply.count(b"SERVER_PORT") == 1
    assert b"REMOTE_ADDR='127.0.0.1'" in exchange(port, request)


LENGTH_APP = APP.replace('[("Content-Type", "text/plain")]', '[("Content-Length", "9")]').replace(
    "return [", 'return [environ["REMOTE_ADDR"].encode()] or [')


@pytest.mark.parametrize("version", PROXY_HEADERS)
def test_a_later_proxy_header_is_a_malformed_request(listen, version):
    _, port = listen("http-socket", ["--enable-proxy-protocol"], app=LENGTH_APP)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(10)
        answers = client.makefile("rb")
        client.sendall(PROXY_HEADERS[version] + b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
        assert answers.readline() == b"Content-Length: 9\r\n" and answers.readline() == b"\r\n"
        assert answers.read(9) == b"192.0.2.7"
        client.sendall(PROXY_HEADERS[version].replace(b"192.0.2.7", b"192.0.2.8") + b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        assert answers.readline() == b"HTTP/1.1 400 Bad Request\r\n"


EVIL = "/a\n[pid: 1] forged\x1b[2J\x9b2J b"


def test_no_line_of_the_log_is_a_clients(listen):
    """Over the uwsgi protocol a client says any bytes; the request line, the requests in hand, harakiri and write errors name it."""
    one, port = listen("socket", ["--harakiri", "2", "--log-x-forwarded-for"], app="""
import time
def application(environ, start_response):
    start_response("200 OK", [])
    if "b" in environ["QUERY_STRING"]:
        yield b"x" * 100000
        open("waiting", "w").close()
        while "gone" not in environ:
            yield b"x" * 100000
    if "h" in environ["QUERY_STRING"]:
        open("waiting", "w").close()
        time.sleep(60)
""")
    said = [("HTTP_X_FORWARDED_FOR", "192.0.2.1\nforged\x1b[1m")]
    exchange(port, speak("socket", EVIL, said))
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(speak("socket", EVIL, [*said, ("QUERY_STRING", "b")]))
        eventually((one.dir / "waiting").exists)
    one.wait_log("during GET|TIMEOUT")
    (one.dir / "waiting").unlink()
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(speak("socket", EVIL, [*said, ("QUERY_STRING", "h")]))
        eventually((one.dir / "waiting").exists)
        one.signal_process(max(one.processes()), 12)
        one.wait_log("is managing request")
        one.wait_log("HARAKIRI !!! end of worker")
    raw = one.log_path.read_bytes()
    assert b"\x1b" not in raw and b"\x9b" not in raw
    assert not [line for line in one.log().splitlines() if line.startswith(("forged", "[pid: 1] forged"))]
    for mark in ("is managing request", "HARAKIRI [core 0]", "during GET"):
        assert any(mark in line and r"\x1b[2J\x9b2J b" in line for line in one.log().splitlines()), mark


OURS = ("wsgi.version", "wsgi.url_scheme", "wsgi.input", "wsgi.errors", "wsgi.multithread", "wsgi.multiprocess", "wsgi.run_once",
        "wsgi.file_wrapper", "wsgi.input_terminated", "uwsgi.version", "uwsgi.node", "uwsgi.core", "wsgi.", "uwsgi.made.up")


@pytest.mark.parametrize("dialect", ["socket", "fastcgi-socket", "scgi-socket"])
def test_the_servers_own_names_are_not_taken_from_the_wire(listen, dialect):
    _, port = listen(dialect)
    plain = exchange(port, speak(dialect))
    assert b"200 OK" in plain and b"wsgi.errors=" in plain and b"uwsgi.version=" in plain
    forged = exchange(port, speak(dialect, names=[(name, "forged") for name in OURS] + [("wsgi_errors", "kept")]))
    assert b"forged" not in forged and b"wsgi_errors='kept'" in forged
    assert b"uwsgi.made.up" not in forged and b"wsgi.=" not in forged
    many = exchange(port, speak(dialect, names=[(f"wsgi.{n}", "forged") for n in range(50)]))
    assert b"forged" not in many and b"200 OK" in many


@pytest.mark.parametrize("body", [b"3;a=\0\r\nabc\r\n0\r\n\r\n", b"0\r\nno field\r\n\r\n", b"0\r\nA: \x1b\r\n\r\n"])
def test_a_chunked_body_with_control_characters_is_refused(listen, body):
    _, port = listen("http-socket")
    head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert exchange(port, head + b"3;a=b\r\nabc\r\n0\r\nA: b\r\n\r\n").startswith(b"HTTP/1.1 200 OK")
    assert exchange(port, head + body).startswith(b"HTTP/1.1 400 ")


def test_workers_tells_the_real_pids_of_all(listen):
    one, port = listen("http-socket", ["--processes", "3"], app="""
import uwsgi
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "200")])
    return [" ".join(str(worker["pid"]) for worker in uwsgi.workers()).ljust(200).encode()]
""")
    def pids():
        return [int(pid) for pid in exchange(port, speak("http-socket")).partition(b"\r\n\r\n")[2].split()]

    spawned = {number: int(one.wait_log(rf"spawned uWSGI worker {number} \(pid: (\d+)").group(1)) for number in (1, 2, 3)}
    eventually(lambda: pids() == [spawned[1], spawned[2], spawned[3]])
    one.signal_process(spawned[2], 9)
    again = int(one.wait_log(r"Respawned uWSGI worker 2 \(new pid: (\d+)\)").group(1))
    eventually(lambda: pids() == [spawned[1], again, spawned[3]])


@pytest.mark.parametrize("dialect", ["http-socket", "http", "socket"])
def test_mountpoints_that_end_in_a_slash(listen, dialect):
    app = APP.replace('return [', 'return [repr((environ["SCRIPT_NAME"], environ["PATH_INFO"])).encode()] or [')
    mounts = [part for point in ("/foo", "/foobis/", "/footris/") for part in ("--mount", f"{point}=app.py")]
    _, port = listen(dialect, ["--manage-script-name", *mounts], app=app)
    for path, told in {
        "/foo": ("/foo", ""), "/foo/": ("/foo", "/"), "/foo/a": ("/foo", "/a"), "/foobis": ("/foobis/", ""),
        "/foobis/": ("/foobis/", "/"), "/foobis/a": ("/foobis/", "/a"), "/footris/": ("/footris/", "/"),
        "/fooanything": ("", "/fooanything"), "/foobisis": ("", "/foobisis"), "/foobisis/": ("", "/foobisis/"), "/": ("", "/"),
    }.items():
        assert exchange(port, speak(dialect, path)).endswith(b"\r\n\r\n" + repr(told).encode()), path


ECHOING_APP = """
def application(environ, start_response):
    body = environ["PATH_INFO"].encode() + environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.mark.parametrize("threads", ["2", "4"])
def test_what_is_left_of_a_pipeline_does_not_wait_for_an_event(listen, threads):
    """The first request lets another thread take the lead, which then waits for events; there is none for what has been read."""
    app = """
import time
def application(environ, start_response):
    if environ["PATH_INFO"] == "/0":
        time.sleep(0.05)
    start_response("200 OK", [("Content-Length", "1")])
    return [b"x"]
"""
    one, port = listen("http11-socket", ["--threads", threads], app=app)
    requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % n for n in range(300))
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(10)
        client.sendall(requests + b"GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert client.makefile("rb").read().count(b"HTTP/1.1 200 OK") == 301


@pytest.mark.parametrize("dialect, args", [("http", ["--http-keepalive"]), ("http-socket", []), ("http11-socket", [])])
@pytest.mark.parametrize("threads", ["1", "4"])
def test_pipelined_requests_are_all_answered_in_order(listen, dialect, args, threads):
    one, port = listen(dialect, [*args, "--threads", threads], app=ECHOING_APP)
    requests = b"".join(b"POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n-" % n for n in range(300))
    last = b"GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(20)
        client.sendall(requests + last)
        answers = client.makefile("rb").read()
    bodies = [part.partition(b"\r\n\r\n")[2] for part in answers.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert bodies == [b"/%d-" % n for n in range(300)] + [b"/last"]


CLOSING_APP = """
def application(environ, start_response):
    length = [("Content-Length", "2")] if "length" in environ["QUERY_STRING"] else []
    start_response("200 OK", length + ([("Connection", "close")] if "close" in environ["QUERY_STRING"] else []))
    return [b"ok"]
"""


@pytest.mark.parametrize("dialect, args, kept", [
    ("http", [], False), ("http", ["--http-keepalive"], True), ("http-socket", [], True), ("http11-socket", [], True),
])
def test_a_client_is_told_what_becomes_of_its_connection(listen, dialect, args, kept):
    one, port = listen(dialect, [*args, "--static-map", "/file=app.py"], app=CLOSING_APP)
    unknown = "close" if args else ""  # otherwise the end of the body says it, as with uWSGI
    for target, version, asked, told in [
        ("/?length", "1.1", "", "" if kept else "close"), ("/?length", "1.1", "close", "close"), ("/?length&close", "1.1", "", "close"),
        ("/", "1.1", "", unknown), ("/", "1.1", "close", unknown), ("/file", "1.1", "close", "close"),
        ("/file", "1.1", "", "" if kept else "close"),
        ("/?length", "1.0", "", ""), ("/?length", "1.0", "keep-alive", "keep-alive" if kept else ""), ("/", "1.0", "keep-alive", ""),
        ("/?length&close", "1.0", "keep-alive", "close"), ("/file", "1.0", "keep-alive", "keep-alive" if kept else ""),
    ]:
        case = (target, version, asked)
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.settimeout(10)
            answers = client.makefile("rb")
            for _ in range(2 if told in ("", "keep-alive") and kept and (version, asked) != ("1.0", "") and target != "/" else 1):
                connection = f"Connection: {asked}\r\n" if asked else ""
                client.sendall(f"GET {target} HTTP/{version}\r\nHost: h\r\n{connection}\r\n".encode())
                assert answers.readline() == f"HTTP/{version} 200 OK\r\n".encode(), case
                head = dict(line.decode().strip().split(": ") for line in iter(answers.readline, b"\r\n"))
                assert head.get("Connection", "") == told, case
                closes = told == "close" or target == "/" or version == "1.0" and told != "keep-alive"
                assert len(answers.read() if closes else answers.read(int(head["Content-Length"]))) >= 2, case
