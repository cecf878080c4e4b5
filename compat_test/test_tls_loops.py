"""Over TLS: websockets, loops (gevent, asyncio), ASGI, and what they notice of their clients."""
import shutil
import ssl
import sys

import pytest
from http_client import eventually
from sites import client, descriptors, resident, rest_of
from websocket_client import BINARY, CLOSE, PING, PONG, TEXT, Websocket, frame

pytest.importorskip("h2")
from http2_client import Http2  # noqa: E402

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")

APP = """
import os, uwsgi
ended = []

def application(environ, start_response):
    name, _, argument = environ["PATH_INFO"][1:].partition("/")
    return globals()[name or "hello"](argument, environ, start_response)

def answer(start_response, body):
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

def hello(_, environ, start_response): return answer(start_response, b"hello")
def pid(_, environ, start_response): return answer(start_response, str(os.getpid()).encode())
def tell(_, environ, start_response): return answer(start_response, " ".join(ended).encode())

def echo(_, environ, start_response):
    uwsgi.websocket_handshake()
    try:
        while True:
            message = uwsgi.websocket_recv()
            (uwsgi.websocket_send if uwsgi.websocket_is_text() else uwsgi.websocket_send_binary)(message)
    except OSError:
        ended.append("echo")
    return []

def nap(_, environ, start_response):
    import gevent
    gevent.sleep(0.2)
    return answer(start_response, b"rested")

def stream(count, environ, start_response):
    start_response("200 OK", [])
    try:
        for _ in range(int(count)):
            yield b"x" * 20000
    finally:
        ended.append("stream")

def post(_, environ, start_response):
    return answer(start_response, str(len(environ["wsgi.input"].read())).encode())
"""
GET = b"GET %s HTTP/1.1\r\nHost: site\r\n%s\r\n"
CLOSES = b"Connection: close\r\n"
ENGINES = {"threads": ["--threads", "6"], "gevent": ["--gevent", "40"], "asyncio": ["--asyncio", "40"]}
ONE = ["--processes", "1", "--disable-logging", "--socket-timeout", "30", "--virtualenv", sys.prefix]


@pytest.fixture(params=ENGINES)
def engine(request, site):
    return site(args=[*ONE, *ENGINES[request.param]])


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_websockets(engine, version):
    pid = int(engine.get("/pid"))
    files = descriptors(pid)
    context = client(version=version)
    clients = [Websocket(engine.port, "/echo", context=context) for _ in range(4)]
    for one in clients:
        assert one.head.startswith("HTTP/1.1 101 ")
        for opcode, data in (TEXT, "grüß".encode()), (BINARY, b""), (BINARY, b"z" * 900_000):
            one.send(opcode, data)
            assert one.receive() == (opcode, data)
        one.send(PING, b"p")
        assert one.receive() == (PONG, b"p")
    for one in clients[:2]:
        one.send(CLOSE, b"\x03\xe8")
        assert one.closed() == 1000
    for one in clients[2:]:
        one.socket.close()
    eventually(lambda: engine.get("/tell").count(b"echo") == 4)
    eventually(lambda: descriptors(pid) <= files + 2, 15)


def test_frames_behind_the_handshake_are_not_lost(engine):
    with Websocket(engine.port, "/echo", early=frame(TEXT, b"early") + frame(TEXT, b"bird"), context=client()) as one:
        assert [one.receive(), one.receive()] == [(TEXT, b"early"), (TEXT, b"bird")]


def test_slow_readers_do_not_hold_others(engine):
    """More of them than threads would do, where there are none."""
    pid = int(engine.get("/pid"))
    before, files = resident(pid), descriptors(pid)
    lazy = [engine.connect(receive_buffer=4096) for _ in range(5)]
    for one in lazy:
        one.sendall(GET % (b"/stream/1000", CLOSES))
        assert one.recv(12)
    for _ in range(10):
        assert engine.get("/hello") == b"hello"
    assert resident(pid) - before < 60 << 20
    assert len(rest_of(lazy[0])) > 1000 * 20000
    for one in lazy:
        one.close()
    eventually(lambda: engine.get("/tell").count(b"stream") == 5, 15)
    eventually(lambda: descriptors(pid) <= files + 2, 15)


def test_many_at_once(site):
    one = site(args=[*ONE, *ENGINES["gevent"]])
    clients = [one.connect() for _ in range(30)]
    for connection in clients:
        connection.sendall(GET % (b"/nap", CLOSES))
    assert {rest_of(connection)[-6:] for connection in clients} == {b"rested"}


def test_bodies_in_pieces(engine):
    with engine.connect() as connection:
        connection.sendall(b"POST /post HTTP/1.1\r\nHost: site\r\nConnection: close\r\nContent-Length: 600000\r\n\r\n")
        for _ in range(6):
            connection.sendall(b"x" * 100000)
        assert rest_of(connection).endswith(b"\r\n\r\n600000")


ASGI = """
import asyncio
told = []
async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    await globals()[scope["path"][1:]](scope, receive, send)

async def start(send):
    await send({"type": "http.response.start", "status": 200, "headers": []})

async def what(scope, receive, send):
    await start(send)
    await send({"type": "http.response.body", "body": f"{scope['http_version']} {scope['scheme']}".encode()})

async def tell(scope, receive, send):
    await start(send)
    await send({"type": "http.response.body", "body": " ".join(told).encode()})

async def mirror(scope, receive, send):
    await start(send)
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return told.append("mirror")
        if message["body"]:
            await send({"type": "http.response.body", "body": b"<" + message["body"] + b">", "more_body": True})
        if not message["more_body"]:
            return await send({"type": "http.response.body", "body": b"<end>"})

async def waits(scope, receive, send):
    await start(send)
    await send({"type": "http.response.body", "body": b"waiting", "more_body": True})
    while (await receive())["type"] != "http.disconnect":
        pass
    told.append("waits")

async def silent(scope, receive, send):
    while (await receive())["type"] != "http.disconnect":
        pass
    told.append("silent")

async def hints(scope, receive, send):
    await send({"type": "http.response.early_hint", "links": [b"</x.css>; rel=preload"]})
    takes = "http.response.trailers" in scope["extensions"]
    await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": takes})
    await send({"type": "http.response.body", "body": b"body"})
    if takes:
        await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"1")]})

async def echo(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": scope["scheme"] + message["text"]})
    told.append("echo")
"""


@pytest.fixture
def asgi(site):
    return site(args=["--processes", "1", "--disable-logging", "--asgi", "app:application", "--pythonpath", "."], files={"app.py": ASGI})


def test_asgi(asgi):
    assert b"1.1 https" in asgi.get("/what")
    with asgi.connect() as connection:
        connection.sendall(b"POST /mirror HTTP/1.1\r\nHost: site\r\nTransfer-Encoding: chunked\r\n\r\n")
        seen = b""
        for part in (b"one", b"two"):
            connection.sendall(b"3\r\n%s\r\n" % part)
            while b"<" + part + b">" not in seen:
                seen += connection.recv(1000)
        connection.sendall(b"0\r\n\r\n")
        while b"<end>" not in seen:
            seen += connection.recv(1000)
    assert b"HTTP/1.1 103 Early Hints\r\n" in asgi.exchange(GET % (b"/hints", CLOSES))


@pytest.mark.parametrize("path", ["waits", "silent", "mirror"])
def test_asgi_sees_clients_leave(asgi, path):
    connection = asgi.connect()
    if path == "mirror":
        connection.sendall(b"POST /mirror HTTP/1.1\r\nHost: site\r\nContent-Length: 10\r\n\r\none")
        assert connection.recv(1000)
    else:
        connection.sendall(GET % (b"/" + path.encode(), b""))
        if path == "waits":
            while b"waiting" not in connection.recv(1000):
                pass
    connection.close()
    eventually(lambda: path.encode() in asgi.get("/tell"))


def test_asgi_websockets(asgi):
    with Websocket(asgi.port, "/echo", context=client()) as one:
        one.send(TEXT, b"!")
        assert one.receive() == (TEXT, b"wss!")
    eventually(lambda: b"echo" in asgi.get("/tell"))


def test_asgi_over_http_2(asgi):
    with Http2(asgi) as http:
        assert http.ask("/what").body == b"2 https"
        number = http.start("/mirror", "POST", end=False)
        stream = http.streams[number]
        for part in (b"one", b"two"):
            http.send(number, part)
            http.until(lambda: b"<" + part + b">" in stream.body)  # noqa: B023
        http.send(number, b"", end=True)
        assert http.wait(number).body == b"<one><two><end>"


def test_asgi_sees_streams_reset(asgi):
    with Http2(asgi) as http:
        number = http.start("/waits")
        http.until(lambda: http.streams[number].body == b"waiting")
        http.reset(number)
        eventually(lambda: http.ask("/tell").body == b"waits")
        number = http.start("/mirror", "POST", end=False)
        http.send(number, b"one")
        http.until(lambda: b"<one>" in http.streams[number].body)
        http.reset(number)
        eventually(lambda: http.ask("/tell").body == b"waits mirror")


def test_asgi_trailers_and_early_hints_over_http_2(asgi):
    with Http2(asgi) as http:
        stream = http.ask("/hints", more=[("te", "trailers")])
        assert stream.body == b"body"
        assert stream.trailers == {"x-sum": "1"}
        assert [early[":status"] for early in stream.early] == ["103"]
