"""One websocket of an ASGI application."""
import asyncio

from ..uwsgi_module.websockets import BINARY, TEXT, accept_key
from .turns import Ready, Turns

FORBIDDEN = 403  # to a client that is not accepted
EMPTY = [(b"Content-Length", b"0")]


class Websocket:
    def __init__(self, engine, core, scope, serial, key):
        self.engine, self.core, self.extension = engine, core, engine.extension
        self.serial = serial
        self.scope = scope
        del scope["method"]
        scheme = "wss" if scope["scheme"] == "https" else "ws"
        scope["asgi"]["spec_version"] = "2.4"  # send() tells by an OSError that the client has left
        scope.update(type="websocket", scheme=scheme, subprotocols=offered(scope["headers"]), extensions={"websocket.http.response": {}})
        self.key = key.decode("latin-1")
        self.connected = self.accepted = self.closed = self.answering = self.ended = self.gone = False
        self.code = 1006
        self.readable = Ready(engine.loop, engine.loop.add_reader, engine.loop.remove_reader)
        self.writable = Ready(engine.loop, engine.loop.add_writer, engine.loop.remove_writer)
        self.sending = Turns(engine.loop)
        self.decided = asyncio.Event()  # whether the client is accepted

    async def receive(self):
        if not self.connected:
            self.connected = True
            return {"type": "websocket.connect"}
        await self.decided.wait()
        while not self.ended and self.accepted:
            message, opcode, fd, patience = self.extension.websocket_receive(self.core, self.serial)
            if message is not None:
                text = message.decode() if opcode == TEXT else None
                return {"type": "websocket.receive", "text": text, "bytes": None if opcode == TEXT else message}
            if fd < 0:
                self.closed, self.code = True, opcode
                break
            await self.readable.in_time(fd, patience)
        return {"type": "websocket.disconnect", "code": self.code, "reason": ""}

    async def send(self, message):
        kind = message["type"]
        if self.ended:
            raise RuntimeError(f"{kind} after the application has returned")
        if kind == "websocket.accept" and not self.accepted and not self.closed:
            self.accept(message)
        elif kind == "websocket.send" and self.accepted and not self.closed:
            await self.sending.take(self.message, message)
        elif kind == "websocket.close":
            if not self.closed:
                await self.sending.take(self.close, message)
        elif kind == "websocket.http.response.start" and not self.accepted and not self.answering:
            self.extension.asgi_start(self.core, message["status"], message.get("headers", ()), False)
            self.answering = True
        elif kind == "websocket.http.response.body" and self.answering:
            await self.answer(message.get("body", b""), message.get("more_body", False))
        elif self.closed:
            raise OSError("the websocket is closed")
        else:
            raise RuntimeError(f"{kind} does not fit here")

    def accept(self, message):
        protocol = message.get("subprotocol")
        headers = [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade"), (b"Sec-WebSocket-Accept", accept_key(self.key).encode())]
        if protocol:
            headers.append((b"Sec-WebSocket-Protocol", protocol.encode("latin-1")))
        self.extension.asgi_start(self.core, 101, [*headers, *message.get("headers", ())], False)
        self.extension.websocket_open(self.core, self.serial)
        self.accepted = True
        self.decided.set()

    async def message(self, message):
        text = message.get("text")
        opcode, data = (BINARY, bytes(memoryview(message["bytes"]))) if text is None else (TEXT, text.encode())
        waits = self.extension.websocket_send(self.core, self.serial, opcode, data)
        while waits:
            busy, fd, patience = waits
            ready = await self.writable.in_time(fd, patience)
            if busy:
                waits = self.extension.websocket_send(self.core, self.serial, opcode, data)
            else:
                waits = self.extension.websocket_resume(self.core, self.serial, not ready)

    async def close(self, message):
        self.closed = True
        if self.accepted:
            self.code = message.get("code", 1000)
            self.extension.websocket_close(self.core, self.serial, self.code, (message.get("reason") or "").encode())
        else:
            self.extension.asgi_start(self.core, FORBIDDEN, EMPTY, False)
            await self.answer(b"", False)

    async def answer(self, body, more):
        """A part of an answer in place of the handshake."""
        self.extension.asgi_body(self.core, bytes(memoryview(body)), more)
        if not more:
            self.closed = True
            self.decided.set()

    async def returned(self):
        await self.sending.all_written()
        if not self.accepted and not self.closed:
            raise RuntimeError("the application has returned and neither accepted nor closed the websocket")

    async def end(self, error):
        self.ended = True
        self.decided.set()
        await self.sending.end()
        self.readable.let_go()
        if error is not None and self.accepted and not self.closed:
            self.extension.websocket_close(self.core, self.serial, 1011, b"")


def offered(headers):
    """The subprotocols that the client offers."""
    lists = [value.decode("latin-1") for name, value in headers if name == b"sec-websocket-protocol"]
    return [name.strip() for name in ",".join(lists).split(",") if name.strip()]
