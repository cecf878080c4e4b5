"""HTTP/1.1 and uwsgi over TLS: how requests may come and responses leave, and clients that are slow, broken or gone."""
import os
import shutil
import socket
import ssl
import struct
import subprocess

import pytest
from http_client import eventually
from sites import Memory, client, descriptors, in_background, resident, rest_of, threads

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")

APP = """
import os, time, uwsgi
told = []

def application(environ, start_response):
    name, _, argument = environ["PATH_INFO"][1:].partition("/")
    return globals()[name or "hello"](argument, environ, start_response)

def answer(start_response, body, status="200 OK"):
    body = body if isinstance(body, bytes) else str(body).encode()
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]

def hello(_, environ, start_response): return answer(start_response, "hello")
def pid(_, environ, start_response): return answer(start_response, os.getpid())
def fail(_, environ, start_response): raise ValueError("meant")
def echo(_, environ, start_response): return answer(start_response, environ["wsgi.input"].read())
def size(_, environ, start_response): return answer(start_response, len(environ["wsgi.input"].read()))
def big(size, environ, start_response): return answer(start_response, b"x" * int(size))
def tell(_, environ, start_response): return answer(start_response, " ".join(told))

def rest(seconds, environ, start_response):
    time.sleep(float(seconds))
    return answer(start_response, "rested")

def file(_, environ, start_response):
    start_response("200 OK", [("Content-Length", str(os.path.getsize("large")))])
    return environ["wsgi.file_wrapper"](open("large", "rb"))

def ticks(count, environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    for number in range(int(count)):
        yield b"%d;" % number
        while not os.path.exists("tick-%d" % number):
            time.sleep(0.005)

def until_the_end(_, environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"all of it"

def endless(_, environ, start_response):
    start_response("200 OK", [])
    try:
        while True:
            yield b"x" * 50000
    finally:
        told.append("closed")
"""
GET = b"GET %s HTTP/1.1\r\nHost: site\r\n%s\r\n"
CLOSE = b"Connection: close\r\n"
ONE = ["--processes", "1", "--disable-logging", "--socket-timeout", "60"]
WAYS = {"https": ("https", []), "https-keepalive": ("https", ["--http-keepalive=30"]), "https-socket": ("https-socket", [])}
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@pytest.fixture(params=WAYS)
def way(request):
    return request.param


def start(site, way, args=(), **more):
    option, given = WAYS[way]
    return site(option, args=[*ONE, *given, *args], **more)


def worker(one):
    return int(one.get("/pid"))


def text_of(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), answer[:200]
    return body


# How requests come.

@pytest.mark.parametrize("version", VERSIONS)
def test_a_request_split_at_every_byte(site, way, version):
    one = start(site, way)
    context = client(version=VERSIONS[version])
    request = GET % (b"/hello", CLOSE)
    for at in range(1, len(request), 7):
        with one.connect(context=context) as connection:
            connection.sendall(request[:at])
            connection.sendall(request[at:])
            assert text_of(rest_of(connection)) == b"hello", at


def test_a_request_byte_by_byte_and_its_records_byte_by_byte(site, way):
    one = start(site, way)
    request = GET % (b"/hello", CLOSE)
    with one.connect() as connection:
        for byte in request:
            connection.sendall(bytes([byte]))
        assert text_of(rest_of(connection)) == b"hello"
    with Memory(one.port) as slow:
        for byte in slow.record(request):
            slow.socket.sendall(bytes([byte]))
        assert text_of(b"".join(iter(slow.read, b""))) == b"hello"


@pytest.mark.parametrize("count", [2, 64, 200])
def test_pipelined_requests(site, count):
    one = start(site, "https-socket")
    requests = b"".join(GET % (b"/big/%d" % (number * 7), b"") for number in range(count - 1))
    answer = one.exchange(requests + GET % (b"/hello", CLOSE))
    assert answer.count(b"HTTP/1.1 200 OK") == count and answer.endswith(b"hello")


def test_pipelined_requests_behind_a_response_that_is_large(site, way):
    """The second request waits in the kernel, the end of the client's side behind it, when the connection changes hands."""
    one = start(site, way)
    keeps = way != "https"
    with Memory(one.port) as slow:
        records = slow.record(GET % (b"/big/1000000", b"")) + slow.record(GET % (b"/hello", CLOSE)) + slow.close_notify()
        slow.socket.sendall(records)
        slow.socket.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := slow.read():
            answer += piece
    assert answer.count(b"HTTP/1.1 200 OK") == 1 + keeps and (not keeps or answer.endswith(b"hello"))


def test_bodies(site, way):
    one = start(site, way)
    body = os.urandom(5 << 20)
    head = b"POST /echo HTTP/1.1\r\nHost: site\r\nConnection: close\r\n"
    with one.connect() as connection:
        in_background(connection.sendall, head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert text_of(rest_of(connection)) == body
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[at:at + 99999] for at in range(0, 1 << 20, 99999)))
    answer = one.exchange(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
    assert text_of(answer) == body[:-(-(1 << 20) // 99999) * 99999]
    with one.connect() as connection:
        connection.sendall(head + b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        for byte in b"slow body":
            assert one.get() == b"hello"
            connection.sendall(bytes([byte]))
        assert text_of(rest_of(connection)) == b"slow body"


def test_uwsgi_packets_in_pieces(site):
    one = site("ssl-socket", args=ONE)
    body = b"b" * 200000
    names = {"REQUEST_METHOD": "POST", "PATH_INFO": "/size", "SERVER_PROTOCOL": "HTTP/1.1", "QUERY_STRING": "",
             "CONTENT_LENGTH": str(len(body))}
    block = b"".join(struct.pack("<H", len(part)) + part.encode() for pair in names.items() for part in pair)
    packet = struct.pack("<BHB", 0, len(block), 0) + block + body
    for at in [*range(1, 12), len(block), len(block) + 5, len(packet) - 1]:
        with one.connect() as connection:
            connection.sendall(packet[:at])
            connection.sendall(packet[at:])
            assert text_of(rest_of(connection)) == b"200000", at


# How responses leave.

def test_files_and_streams(site, way):
    data = "0123456789" * 300000
    one = start(site, way, args=["--static-map", "/s=.", "--add-header", "X-Way: tls"], files={"large": data, "small": "little"})
    assert one.get("/file") == data.encode()
    assert one.get("/s/large") == data.encode()
    assert one.get("/s/small") == b"little"
    with one.connect() as connection:
        connection.sendall(GET % (b"/ticks/3", CLOSE))
        seen = b""
        for number in range(3):
            while b"%d;" % number not in seen:
                seen += connection.recv(1000)
            one.server.write(f"tick-{number}", "")
        rest_of(connection)
    assert one.exchange(GET % (b"/until_the_end", CLOSE)).endswith(b"all of it")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_end_of_a_response_that_ends_with_the_connection_is_told(site, version):
    """rest_of is strict about close_notify."""
    one = start(site, "https-socket")
    context = client(version=VERSIONS[version])
    for path in (b"/until_the_end", b"/big/300000", b"/file"):
        if path == b"/file":
            one.server.write("large", "x" * 100000)
        for _ in range(5):
            answer = one.exchange(GET % (path, CLOSE), context=context)
            assert text_of(answer)


def test_errors(site, way):
    one = start(site, way, args=["--limit-post", "1000", "--buffer-size", "4096"])
    cases = {400: b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 413: b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n",
             431: b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9000 + b"\r\n\r\n", 500: GET % (b"/fail", b"")}
    for status, request in cases.items():
        assert one.exchange(request).startswith(b"HTTP/1.1 %d " % status), status
    assert one.get() == b"hello"


def test_http_timeout(site):
    one = site("https", args=[*ONE, "--threads", "2", "--http-timeout", "1"])
    assert one.exchange(GET % (b"/rest/2", CLOSE)).startswith(b"HTTP/1.1 504 ")
    assert one.get() == b"hello"


def test_harakiri(site):
    one = site(args=[*ONE, "--harakiri", "1"])
    first = worker(one)
    with one.connect() as connection, pytest.raises((ssl.SSLError, ConnectionError)):
        connection.sendall(GET % (b"/rest/30", CLOSE))
        rest_of(connection)
    eventually(lambda: worker(one) != first)


# Clients that are slow, gone, or no clients at all.

def test_responses_that_are_not_read(site, way):
    one = start(site, way, args=["--response-memory", str(20 << 20), "--response-files", str(60 << 20)])
    pid = worker(one)
    before, files = resident(pid), descriptors(pid)
    lazy = []
    for _ in range(8):
        lazy.append(one.connect(receive_buffer=4096))
        lazy[-1].sendall(GET % (b"/big/5000000", CLOSE))
    for _ in range(20):
        assert one.get() == b"hello"
    assert resident(pid) - before < 50 << 20
    assert len(text_of(rest_of(lazy[0]))) == 5000000
    for connection in lazy:
        connection.close()
    eventually(lambda: descriptors(pid) <= files + 2)


def test_an_endless_stream_whose_client_leaves(site, way):
    one = start(site, way, args=["--threads", "2"])
    with one.connect() as connection:
        connection.sendall(GET % (b"/endless", b""))
        for _ in range(20):
            connection.recv(10000)
    eventually(lambda: one.get("/tell") == b"closed")


def test_an_end_by_tls_alone_is_answered_and_closed(site):
    """A client that says close_notify behind its request, and waits for the server's, keeps its TCP connection open."""
    one = start(site, "https-socket")
    with Memory(one.port) as slow:
        slow.socket.sendall(slow.record(GET % (b"/hello", b"")) + slow.close_notify())
        assert text_of(b"".join(iter(slow.read, b""))) == b"hello"
        slow.socket.settimeout(5)
        assert slow.socket.recv(100) == b""


@pytest.mark.parametrize("how", ["silent end", "reset", "half-close"])
def test_clients_that_leave_without_a_word(site, way, how):
    one = start(site, way)
    pid = worker(one)
    files = descriptors(pid)
    for path in (b"/hello", b"/big/400000"):
        for _ in range(20):
            connection = one.connect()
            connection.sendall(GET % (path, b""))
            if how == "half-close":
                raw = socket.socket(fileno=connection.detach())
                raw.settimeout(10)
                raw.shutdown(socket.SHUT_WR)
                while raw.recv(1 << 20):
                    pass
                raw.close()
                continue
            assert connection.recv(100)
            if how == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
    eventually(lambda: descriptors(pid) <= files + 2, 20)
    assert one.get() == b"hello"


def s_client(port, options, *commands):
    """What openssl s_client says that is given these lines, each when the mark before it was seen."""
    process = subprocess.Popen(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-crlf", *options], bufsize=0,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    os.set_blocking(process.stdout.fileno(), False)
    said = b""

    def until(mark):
        nonlocal said
        said += process.stdout.read() or b""
        return mark in said or process.poll() is not None

    for line, mark in commands:
        if process.poll() is None:
            process.stdin.write(line)
        eventually(lambda: until(mark))  # noqa: B023
    process.kill()
    process.wait()
    return said


def test_new_keys(site, way):
    one = start(site, way)
    for letter in (b"k", b"K"):  # ours; ours, and the server's
        said = s_client(one.port, ["-tls1_3"], (b"", b"Verify return code"), (letter + b"\n", b"KEYUPDATE"),
                        (b"GET /hello HTTP/1.0\n\n", b"hello"))
        assert b"200 OK" in said and b"hello" in said, said[-500:]
    assert one.get() == b"hello"


def test_renegotiation_is_refused(site):
    one = start(site, "https-socket")
    said = s_client(one.port, ["-tls1_2"], (b"", b"Verify return code"), (b"R\n", b"alert unexpected message"))
    assert b"alert unexpected message" in said
    assert one.get() == b"hello"


@pytest.mark.parametrize("verbose", [False, True])
def test_what_is_no_tls_is_closed(site, verbose):
    one = start(site, "https-socket", args=["--ssl-verbose"] if verbose else [])
    for garbage in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\0" * 300, os.urandom(2000), b"\x16\x03\x01\xff\xff" + b"x" * 70000):
        with socket.create_connection(("127.0.0.1", one.port), 10) as connection:
            try:
                connection.sendall(garbage)
                while connection.recv(1000):
                    pass
            except ConnectionError:
                pass
    assert one.get() == b"hello"
    assert ("TLS handshake with 127.0.0.1" in one.server.log()) == verbose


def test_clients_that_say_nothing(site):
    """They cost neither threads, nor, after a while, descriptors."""
    one = site("https", args=["--processes", "1", "--disable-logging", "--http-timeout", "2", "--http-headers-timeout", "2"])
    pid = worker(one)
    files, before = descriptors(pid), threads(pid)
    silent = []
    for number in range(500):
        silent.append(socket.create_connection(("127.0.0.1", one.port), 20))
        if number % 3 == 1:
            silent[-1].sendall(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a handshake
    for _ in range(20):
        silent.append(one.connect())  # shaken hands, no request
    assert one.get() == b"hello"
    assert threads(pid) <= before + 4
    eventually(lambda: descriptors(pid) <= files + 2, 20)
    for connection in silent:
        connection.close()


def test_thousands_of_connections_leave_nothing_behind(site):
    one = start(site, "https-socket")
    pid = worker(one)
    context = client()
    for round_ in range(2):
        if round_:
            files, before, memory = descriptors(pid), threads(pid), resident(pid)
        for number in range(500):
            assert one.exchange(GET % (b"/big/%d" % (200000 * (number % 50 == 0)), CLOSE), context=context)
    eventually(lambda: descriptors(pid) <= files + 2)
    assert threads(pid) <= before + 3
    assert resident(pid) - memory < 20 << 20


def test_idle_connections_keep_no_buffers(site):
    one = start(site, "https-socket")
    pid = worker(one)
    before = resident(pid)
    idle = []
    for _ in range(150):
        idle.append(one.connect())
        idle[-1].sendall(GET % (b"/big/120000", b""))
        while not idle[-1].recv(1 << 20).endswith(b"x" * 100):
            pass
    assert (resident(pid) - before) / len(idle) < 150 << 10
    for connection in idle:
        connection.close()
