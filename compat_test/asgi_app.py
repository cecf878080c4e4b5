"""The ASGI application of the tests, and how it is started."""
import re
import sys
from pathlib import Path

import pytest

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
