"""ASGI applications: HTTP, websockets and lifespan under the master that WSGI has."""
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from asking import exchange, packet, strings
from http_client import Broken, Connection, eventually, get
from load import reloads_under_load
from server import free_port
from websocket_client import BINARY, CLOSE, TEXT, Websocket

APP = """
import asyncio, contextvars, os, uwsgi
told, kept = [], []

async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(scope, receive, send)
    name, _, argument = scope["path"][1:].partition("/")
    await globals()[name or "hello"](argument, scope, receive, send)

async def lifespan(scope, receive, send):
    while True:
        kind = (await receive())["type"]
        if kind == "lifespan.startup":
            if os.path.exists("refuse"):
                return await send({"type": "lifespan.startup.failed", "message": "not today"})
            scope["state"]["since"] = "startup"
            await send({"type": "lifespan.startup.complete"})
        else:
            open("shut-down", "a").write("x")
            return await send({"type": "lifespan.shutdown.complete"})

async def answer(send, text, status=200):
    data = text if isinstance(text, bytes) else str(text).encode()
    length = (b"content-length", str(len(data)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain"), length]})
    await send({"type": "http.response.body", "body": data})

async def hello(_, scope, receive, send): await answer(send, os.getpid())
async def state(_, scope, receive, send): await answer(send, scope["state"]["since"])
async def what(_, scope, receive, send): await answer(send, repr(scope))
async def tell(_, scope, receive, send): await answer(send, " ".join(told))
async def fail(_, scope, receive, send): raise ValueError("meant")
async def nothing(_, scope, receive, send): pass
async def core(_, scope, receive, send):
    child = asyncio.get_running_loop().create_task(inner())
    await answer(send, f"{uwsgi.connection_fd() == await child} {uwsgi.worker_id()}")
async def inner(): return uwsgi.connection_fd()

async def rest(seconds, scope, receive, send):
    await asyncio.sleep(float(seconds))
    await answer(send, os.getpid())

async def hold(name, scope, receive, send):
    open("held-" + name, "w").close()
    while not os.path.exists("release"):
        await asyncio.sleep(0.01)
    await answer(send, os.getpid())

async def echo(_, scope, receive, send):
    if scope["type"] == "websocket":
        return await echo_websocket(scope, receive, send)
    body, messages, more = b"", 0, True
    while more:
        message = await receive()
        body, messages, more = body + message["body"], messages + 1, message["more_body"]
    await answer(send, body)

async def ticks(count, scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    for number in range(int(count)):
        await send({"type": "http.response.body", "body": f"data: {number}\\n\\n".encode(), "more_body": True})
        await asyncio.sleep(0.02)
    await send({"type": "http.response.body"})

async def mirror(_, scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return told.append("mirror-http.disconnect")
        if message["body"]:
            await send({"type": "http.response.body", "body": b"<" + message["body"] + b">", "more_body": True})
        if not message["more_body"]:
            return await send({"type": "http.response.body", "body": b"<end>"})

async def slowly(_, scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d;" % os.getpid(), "more_body": True})
    while not os.path.exists("release"):
        await asyncio.sleep(0.01)
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message["body"]), message["more_body"]
    await send({"type": "http.response.body", "body": b"%d bytes" % size})

async def path(what, scope, receive, send):
    length, _, name = what.partition("/")
    headers = [(b"content-length", b"%d" % os.path.getsize("/" + name))] if length == "length" else []
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.pathsend", "path": "/" + name})

async def trailers(_, scope, receive, send):
    if "http.response.early_hint" in scope["extensions"]:
        await send({"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload", b"</x.js>; rel=preload"]})
    takes = "http.response.trailers" in scope["extensions"]
    await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": takes})
    await send({"type": "http.response.body", "body": b"body"})
    if takes:
        await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"1")], "more_trailers": True})
        await send({"type": "http.response.trailers", "headers": [(b"x-more", b"2")]})

async def stubborn(_, scope, receive, send):
    while True:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            pass

async def endless(_, scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    gone = asyncio.ensure_future(disconnected(receive))
    while not gone.done():
        await send({"type": "http.response.body", "body": b"x" * 200000, "more_body": True})
        await asyncio.sleep(0)
    told.append("endless-ended")

async def disconnected(receive):
    while (await receive())["type"] != "http.disconnect":
        pass

async def poll(_, scope, receive, send):
    open("polled", "w").close()
    await disconnected(receive)
    told.append("poll-left")

async def later(_, scope, receive, send):
    await answer(send, "at once")
    await asyncio.sleep(0.5)
    told.append(f"later-{(await receive())['type']}-{(await receive())['type']}")

async def echo_websocket(scope, receive, send):
    assert (await receive())["type"] == "websocket.connect"
    protocol = scope["subprotocols"][-1] if scope["subprotocols"] else None
    await send({"type": "websocket.accept", "subprotocol": protocol, "headers": [(b"x-extra", b"1")]})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return told.append(f"code-{message['code']}")
        if message.get("text") == "close":
            return await send({"type": "websocket.close", "code": 4000, "reason": "asked"})
        await send({"type": "websocket.send", "text": message["text"], "bytes": message["bytes"]})

async def eager(_, scope, receive, send):
    "Receives in another task, which is there before the client is accepted, as Quart does."
    messages = asyncio.Queue()
    async def listen():
        while True:
            await messages.put(await receive())
    task = asyncio.ensure_future(listen())
    await messages.get()
    await asyncio.sleep(0.05)
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": (await messages.get())["text"]})
    task.cancel()

VAR = contextvars.ContextVar("var", default="none")

async def variable(name, scope, receive, send):
    before = VAR.get()
    VAR.set(name)
    await asyncio.sleep(0.02)
    await answer(send, before)

async def given_up(_, scope, receive, send):
    "Cancels what it sends while the client does not read, and goes on."
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        kind, data, more = "websocket.send", "bytes", {}
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        kind, data, more = "http.response.body", "body", {"more_body": True}
    number = 0
    try:
        while True:
            await asyncio.wait_for(send({"type": kind, data: b"%07d;" % number * 12000, **more}), 0.2)
            number += 1
    except asyncio.TimeoutError:
        pass
    open("given-up", "w").write(str(number))
    await send({"type": kind, data: b"tail", **more})
    if kind == "http.response.body":
        await send({"type": kind})

async def orphans(_, scope, receive, send):
    "Ends while tasks of its own still send."
    await send({"type": "http.response.start", "status": 200, "headers": []})
    async def child():
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x" * 300000, "more_body": True})
        except RuntimeError as error:
            told.append(str(error).replace(" ", "-"))
    kept.extend([asyncio.ensure_future(child()), asyncio.ensure_future(child())])
    await asyncio.sleep(0.2)
    raise ValueError("meant")

async def orphan_websocket(_, scope, receive, send):
    "Ends while tasks of its own still receive."
    await receive()
    await send({"type": "websocket.accept"})
    async def child():
        told.append((await receive())["type"])
    kept.extend([asyncio.ensure_future(child()), asyncio.ensure_future(child())])
    await asyncio.sleep(0.1)

async def deaf(_, scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    try:
        while True:
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await asyncio.sleep(0.01)
    except OSError as error:
        told.append(type(error).__name__)
        raise RuntimeError("as frameworks do") from error

async def whole(_, scope, receive, send):
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        more = message["more_body"]
    await answer(send, "all of it")

async def header(code, scope, receive, send):
    pair = eval(bytes.fromhex(code))
    await send({"type": "http.response.start", "status": 200, "headers": [pair]})
    await send({"type": "http.response.body", "body": b"body"})

async def body(code, scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": eval(bytes.fromhex(code))})

async def undecided(_, scope, receive, send):
    await receive()

async def forbidden(_, scope, receive, send):
    await receive()
    await send({"type": "websocket.close"})

async def denied(_, scope, receive, send):
    await receive()
    await send({"type": "websocket.http.response.start", "status": 401, "headers": [(b"content-length", b"2")]})
    await send({"type": "websocket.http.response.body", "body": b"no"})

async def flood(_, scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    try:
        while True:
            await send({"type": "websocket.send", "bytes": b"x" * 65536})
    except OSError:
        told.append("flood-ended")
"""


@pytest.fixture
def started(server):
    def start(transport, args=(), **more):
        files = {"service.py": more.pop("app", APP), **more.pop("files", {})}
        return server(transport, ["--master", "--virtualenv", sys.prefix, "--asgi", "service", *args], files=files, **more)
    return start


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


def until(client, wanted):
    """What comes up to the end of `wanted`, or of the connection."""
    received = b""
    while wanted not in received:
        piece = client.recv(65536)
        if not piece:
            break
        received += piece
    return received


def resident(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) * 1024


def test_errors_are_the_clients_500_and_the_logs_traceback(started, way):
    running = started(way)
    assert get(way.port, "/fail").status == 500
    assert get(way.port, "/nothing").status == 500
    assert "ValueError: meant" in running.log()
    assert "returned without a response" in running.log()
    assert get(way.port).status == 200


def test_reloads_under_load_lose_no_request(started, transport):
    running = started(transport, ["-p", "2"])
    load = reloads_under_load(running, transport, "/rest/0.03?{number}")
    assert load.failures() == []
    assert len(load.texts) >= 4


def test_a_stop_drains_and_shuts_down(started, way):
    running = started(way)
    held = Connection(way.port, timeout=20)
    held.send("/hold/one")
    eventually((running.dir / "held-one").exists)
    running.signal(signal.SIGTERM)
    running.write("release", "")
    assert held.receive().status == 200
    assert running.wait_exit() == 0
    assert (running.dir / "shut-down").read_text() == "x"


def test_an_application_that_refuses_to_start_does_not_replace_the_old(started, way):
    running = started(way)
    old = get(way.port).text
    running.write("refuse", "")
    running.signal(signal.SIGHUP)
    running.wait_log("not today")
    for _ in range(10):
        assert get(way.port).text == old
        time.sleep(0.05)


@pytest.mark.parametrize("mode, serves", [("auto", True), ("off", True), ("on", False)])
def test_an_application_without_lifespan(started, way, mode, serves):
    app = APP.replace("return await lifespan(scope, receive, send)", "raise RuntimeError('no lifespan here')")
    running = started(way, ["--asgi-lifespan", mode, "--need-app"], app=app, ready=False)
    if serves:
        running.wait_port(way.port)
        assert get(way.port).status == 200
    else:
        running.wait_log("no lifespan here")
        with pytest.raises((OSError, Broken)):
            get(way.port, timeout=1)


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


def test_a_reload_in_the_middle_of_a_request_ends_its_connection(started, http):
    running = started(http)
    with Connection(http.port, keep=True) as client:
        client.send("/hold/it")
        eventually((running.dir / "held-it").exists)
        running.signal(signal.SIGHUP)
        running.wait_log("Gracefully killing worker 1")
        (running.dir / "release").touch()
        assert client.receive().headers.get("connection") == "close"


def test_work_after_the_response_holds_nobody_up(started, http):
    started(http)
    begun = time.monotonic()
    assert Connection(http.port, keep=True).get("/later").text == "at once"
    assert time.monotonic() - begun < 0.4
    eventually(lambda: get(http.port, "/tell").text == "later-http.request-http.disconnect")


def test_websockets(started, way):
    started(way)
    with Websocket(way.port, "/echo", more="Sec-WebSocket-Protocol: chat, super\r\n") as client:
        assert client.head.startswith("HTTP/1.1 101 Switching Protocols")
        assert "Sec-WebSocket-Protocol: super" in client.head and "x-extra: 1" in client.head
        for opcode, data in (TEXT, "grüß".encode()), (BINARY, b"\0\xff"), (TEXT, b""), (BINARY, b""), (BINARY, b"z" * 900_000):
            client.send(opcode, data)
            assert client.receive() == (opcode, data)
        client.send(CLOSE, b"\x0f\xa1bye")
        assert client.closed() == 4001
    with Websocket(way.port, "/echo") as client:
        client.send(TEXT, b"close")
        assert client.closed() == 4000
    with Websocket(way.port, "/echo") as client:
        client.socket.close()
    eventually(lambda: get(way.port, "/tell").text == "code-4001 code-1006")
    with Websocket(way.port, "/eager") as client:
        client.send(TEXT, b"x")
        assert client.receive() == (TEXT, b"x")
        assert client.closed() == 1000
    assert Websocket(way.port, "/forbidden").head.startswith("HTTP/1.1 403 ")
    denied = Websocket(way.port, "/denied")
    assert denied.head.startswith("HTTP/1.1 401 ") and denied._exactly(2) == b"no"


def test_a_websocket_that_does_not_read_holds_nobody_up(started, way):
    started(way, ["--socket-timeout", "2"])
    slow = Websocket(way.port, "/flood", receive_buffer=8192)
    begun = time.monotonic()
    for _ in range(10):
        get(way.port)
    assert time.monotonic() - begun < 2
    eventually(lambda: get(way.port, "/tell").text == "flood-ended")
    slow.socket.close()


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


def test_what_a_cancelled_task_has_begun_to_send_is_a_whole_message(started, way):
    running = started(way)
    with Websocket(way.port, "/given_up", receive_buffer=8192) as client:
        eventually((running.dir / "given-up").exists)
        for number in range(int((running.dir / "given-up").read_text()) + 1):
            assert client.receive() == (BINARY, b"%07d;" % number * 12000)
        assert client.receive() == (BINARY, b"tail")
        assert client.closed() == 1000


def test_tasks_that_outlive_their_request_do_not_touch_the_next(started, way):
    """It has the core and the descriptor that they knew."""
    running = started(way, ["--asgi-limit-concurrency", "1", "--socket-timeout", "1"])
    slow = Connection(way.port, receive_buffer=8192)
    slow.send("/orphans")
    running.wait_log("ValueError: meant")
    slow.close()
    assert get(way.port, "/ticks/100").text.count("data") == 100  # longer than the timeout
    assert get(way.port, "/tell").text == "the-request-has-ended the-request-has-ended"


def test_tasks_that_outlive_their_websocket_do_not_touch_the_next(started, way):
    started(way)
    with Websocket(way.port, "/orphan_websocket") as client:
        assert client.closed() == 1000
    with Websocket(way.port, "/echo") as client:
        for _ in range(3):
            client.send(TEXT, b"x")
            assert client.receive() == (TEXT, b"x")
    assert get(way.port, "/tell").text.split()[:2] == ["websocket.disconnect"] * 2


def test_who_does_not_listen_for_the_client_is_told_in_the_end(started, way):
    running = started(way)
    client = Connection(way.port)
    client.send("/deaf")
    client.close()
    eventually(lambda: "ClientLeft" in get(way.port, "/tell").text)
    assert "Traceback" not in running.log(), "that is no error of the application's"


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


@pytest.mark.parametrize("change", [
    (b"GET", b"POST"), (b"/1.1", b"/1.0"), (b"Connection: Upgrade", b"X-Other: 1"), (b"Version: 13", b"Version: 12"),
    (b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhl"), (b"websocket", b"websockets"),
])
def test_what_is_no_handshake_is_a_plain_request(started, way, change):
    started(way)
    head = (b"GET /what HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
    with socket.create_connection(("127.0.0.1", way.port)) as s:
        s.settimeout(10)
        s.sendall(head.replace(*change))
        assert b"'type': 'http'" in until(s, b"'type': 'http'")


def test_a_websocket_that_is_not_decided_on_is_an_error(started, way):
    running = started(way)
    assert Websocket(way.port, "/undecided").head.startswith("HTTP/1.1 500 ")
    assert "neither accepted nor closed" in running.log()


def test_a_stop_ends_websockets(started, way):
    running = started(way)
    with Websocket(way.port, "/echo") as client:
        client.send(TEXT, b"x")
        client.receive()
        running.signal(signal.SIGTERM)
        assert client.closed() == 1001
        assert running.wait_exit() == 0


def test_harakiri_cancels_the_task_of_one_request(started, way):
    running = started(way, ["--harakiri", "1"])
    pid = get(way.port).text
    with Connection(way.port) as client:
        assert client.get("/hold/for-ever").status == 500
    assert "its task is cancelled" in running.log() and "CancelledError" in running.log()
    assert get(way.port).text == pid


def test_harakiri_kills_where_cancelling_does_not_help(started, way):
    running = started(way, ["--harakiri", "1"])
    pid = get(way.port).text
    Connection(way.port).send("/stubborn")
    running.wait_log("HARAKIRI ON WORKER")
    eventually(lambda: get(way.port).text != pid)


def test_what_is_asked_of_the_server_itself_does_not_reach_the_application(started):
    port = free_port()
    app = APP + "\nuwsgi.register_rpc('twice', lambda text: text * 2)\n"
    running = started(None, ["--socket", f"127.0.0.1:{port}"], app=app)
    running.wait_port(port)
    assert exchange(port, packet(173, strings(b"twice", b"ab"))).endswith(b"abab")
    assert "Traceback" not in running.log()


@pytest.mark.parametrize("args, said", [
    (["--module", "x"], 'option "asgi"'), (["--threads", "2"], 'option "threads"'), (["--gevent", "5"], 'option "asgi"'),
    (["--asgi-loop", "nosuch"], "is not one of auto, asyncio, uvloop"), (["--asgi-lifespan", "maybe"], "is not one of auto, on, off"),
])
def test_what_cannot_be_is_refused(server, args, said):
    running = server(None, ["--http-socket", "127.0.0.1:0", "--asgi", "service", *args])
    assert running.wait_exit() == 1
    assert said in running.log()


def test_uvloop_where_it_is_asked_for(server, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    args = ["--http-socket", "127.0.0.1:0", "--asgi", "service", "--asgi-loop", "uvloop", "--virtualenv", tmp_path / "bare"]
    running = server(None, args, files={"service.py": APP})
    assert running.wait_exit() == 1
    assert "-m pip install uvloop" in running.log()
