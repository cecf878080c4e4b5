"""One HTTP request of an ASGI application, as ASGI's HTTP & WebSocket specification has it, with pathsend, trailers and early hints."""
import asyncio
import os
from select import POLLERR, POLLHUP, POLLRDHUP, poll

from .futures import settle
from .turns import Ready, Turns

PIECE = 65536  # bytes: what the extension takes at once
LOOKS = 1  # seconds between looks at a client that has sent its next request already
UNHEARD = 1  # seconds that an application may go on with its response to a client that has left

# What extends HTTP: for every client, and for those that speak HTTP/1.1 themselves.
EXTENSIONS = {"http.response.pathsend": {}}
EXTENSIONS_11 = {**EXTENSIONS, "http.response.trailers": {}, "http.response.early_hint": {}}


def scope_base(state, extensions):
    """The keys of a scope that no request changes."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "",
        "raw_path": b"",
        "query_string": b"",
        "root_path": "",
        "headers": (),
        "client": None,
        "server": None,
        "state": state,
        "extensions": extensions,
    }


class ClientLeft(OSError):
    """Ends a response that nobody receives; no error of the application's."""


class HTTP:
    __slots__ = ("arrival", "body", "body_given", "complete", "core", "ended", "engine", "fd", "gone", "left", "over", "scope", "sending",
                 "started", "trailers", "watched", "writable")

    def __init__(self, engine, core, scope, fd, body):
        self.engine, self.core, self.scope, self.fd, self.body = engine, core, scope, fd, body
        self.body_given = self.started = self.complete = self.ended = self.gone = self.trailers = False
        self.over = None  # a future: the response is complete, or the client has left
        self.arrival = None  # (descriptor, future) of a receive that waits for more of the body
        self.watched = -1
        self.sending = self.writable = None  # Turns, and Ready: from the first time on that the client is waited for

    async def receive(self):
        if not self.body_given and not (self.complete and self.body.__class__ is not bytes):
            message = await self.arrived() if self.body is None else self.whole()
            if message:
                return message
        if not self.complete and not self.gone and not self.ended:
            if self.over is None:
                self.over = self.engine.loop.create_future()
            self.watch_client()
            await asyncio.shield(self.over)
        return {"type": "http.disconnect"}

    def whole(self):
        """A piece of a body that is there."""
        body = self.body
        if body.__class__ is bytes:
            self.body_given, self.body = True, b""
            return {"type": "http.request", "body": body, "more_body": False}
        try:
            piece = body.read(PIECE)
        except OSError:  # the client has not sent all of it
            return self.leave()
        more = len(piece) == PIECE
        self.body_given = not more
        return {"type": "http.request", "body": piece, "more_body": more}

    async def arrived(self):
        """A piece of a body that arrives; None: the client has left."""
        while not self.ended:
            got = self.engine.extension.asgi_receive(self.core)
            if got.__class__ is tuple:
                self.body_given = not got[1]
                return {"type": "http.request", "body": got[0], "more_body": got[1]}
            if got is None:
                return self.leave()
            if not self.arrival:
                self.arrival = got, self.engine.loop.create_future()
                self.engine.loop.add_reader(got, self.arrives)
            await asyncio.shield(self.arrival[1])
        return None

    def arrives(self):
        """There is more of the body, or the request has ended."""
        if self.arrival:
            fd, future = self.arrival
            self.arrival = None
            self.engine.loop.remove_reader(fd)
            settle(future)

    def let_go(self):
        """Before the last of the response: when that has left, the descriptors are another request's."""
        if self.watched >= 0:
            self.engine.loop.remove_reader(self.watched)
            self.watched = -1
        if self.arrival:
            self.arrives()

    def watch_client(self):
        """Has `over` come true when the client leaves."""
        if self.watched < 0:
            self.watched = self.fd
            self.engine.loop.add_reader(self.watched, self.look)

    def look(self):
        """Something has come from the client: the end, or its next request, which waits."""
        if self.watched < 0:
            return
        self.engine.loop.remove_reader(self.watched)
        look = poll()
        look.register(self.watched, POLLRDHUP)
        if any(events & (POLLRDHUP | POLLHUP | POLLERR) for _, events in look.poll(0)):
            self.leave()
        else:
            self.engine.loop.call_later(LOOKS, self.look)

    def leave(self):
        if not self.gone:
            self.gone, self.left = True, self.engine.loop.time()
        if self.over:
            settle(self.over)

    async def send(self, message):
        kind = message["type"]
        if self.ended:
            raise RuntimeError(f"{kind} after the application has returned")
        if kind == "http.response.body" and self.sending is None:
            more = message.get("more_body", False)
            waits = self.begin_body(message.get("body", b""), more)
            if waits is not None:
                await self.in_turn(self.rest_of_body, waits, more)
            elif not more:
                self.completed()
            elif self.gone:
                await self.unheard()
        elif kind == "http.response.start":
            self.start(message)
        else:
            await self.in_turn(self.other, kind, message)

    async def in_turn(self, function, *args):
        if self.sending is None:
            self.sending = Turns(self.engine.loop)
        await self.sending.take(function, *args)

    async def unheard(self):
        """More of the response comes, and the client has left: who listens for that ends by itself, who does not is ended."""
        if self.engine.loop.time() - self.left >= UNHEARD:
            raise ClientLeft("the client has left")
        await asyncio.sleep(0)

    def start(self, message):
        if self.started:
            raise RuntimeError("http.response.start comes twice")
        self.trailers = bool(message.get("trailers"))
        self.engine.extension.asgi_start(self.core, message["status"], message.get("headers", ()), self.trailers)
        self.started = True

    def begin_body(self, body, more):
        """None: all of it is on its way. Else (what asgi_body has returned for the last piece, the body, where the rest of it begins)."""
        if not self.started:
            raise RuntimeError("http.response.body comes before http.response.start")
        if self.complete:
            raise RuntimeError("http.response.body comes after the last")
        if self.gone:
            return None
        if body.__class__ is not bytes:
            body = bytes(memoryview(body))
        if not more and not self.trailers:
            self.let_go()
        at = 0
        try:
            while True:
                waits = self.engine.extension.asgi_body(self.core, body[at:at + PIECE], more or at + PIECE < len(body))
                at += PIECE
                if waits:
                    return waits, body, at
                if at >= len(body):
                    return None
        except OSError:  # the client has left: what follows goes nowhere
            self.leave()
            return None

    async def rest_of_body(self, begun, more):
        waits, body, start = begun
        try:
            await self.written(waits)
            for at in range(start, len(body), PIECE):
                last = at + PIECE >= len(body)
                await self.written(self.engine.extension.asgi_body(self.core, body[at:at + PIECE], more or not last))
        except OSError:
            self.leave()
        if not more:
            self.completed()

    async def written(self, waits):
        while waits:
            if self.writable is None:
                self.writable = Ready(self.engine.loop, self.engine.loop.add_writer, self.engine.loop.remove_writer)
            waits = self.engine.extension.asgi_resume(self.core, not await self.writable.in_time(*waits))

    async def other(self, kind, message):
        if kind == "http.response.body":
            more = message.get("more_body", False)
            begun = self.begin_body(message.get("body", b""), more)
            if begun:
                await self.rest_of_body(begun, more)
            elif not more:
                self.completed()
            elif self.gone:
                await self.unheard()
        elif kind == "http.response.pathsend":
            await self.path(message["path"])
        elif kind == "http.response.trailers":
            await self.trail(message)
        elif kind == "http.response.early_hint":
            links = [(b"link", link) for link in message.get("links", ())]
            await self.attempt(self.engine.extension.asgi_hint, links)
        else:
            raise ValueError(f"{kind} is no message of a response")

    async def attempt(self, function, *args):
        """A call of the extension's that writes, and what it waits for."""
        if self.gone:
            return
        try:
            await self.written(function(self.core, *args))
        except OSError:
            self.leave()

    async def path(self, path):
        if not self.started or self.complete:
            raise RuntimeError("http.response.pathsend comes before http.response.start, or after the last of the body")
        with open(path, "rb") as file:
            try:
                sent = self.gone or self.engine.extension.asgi_file(self.core, file.fileno(), os.fstat(file.fileno()).st_size)
            except OSError:
                sent = True
                self.leave()
            while not sent:  # in chunks
                piece = file.read(PIECE)
                await self.attempt(self.engine.extension.asgi_body, piece, bool(piece))
                sent = not piece
        self.completed()

    async def trail(self, message):
        if not self.trailers or not self.complete:
            raise RuntimeError("http.response.trailers comes before the last of the body, or was not announced")
        more = message.get("more_trailers", False)
        if not more:
            self.let_go()
        await self.attempt(self.engine.extension.asgi_trailers, message.get("headers", ()), more)
        self.trailers = more

    def completed(self):
        self.complete = True
        if self.over:
            settle(self.over)

    async def returned(self):
        if self.sending:
            await self.sending.all_written()
        if not self.gone and (not self.complete or self.trailers):
            raise RuntimeError("the application has returned without a response" if not self.started
                               else "the application has returned before the end of its response")

    async def end(self, _error):
        self.ended = True
        if self.sending:
            await self.sending.end()
        self.let_go()
        if self.over:
            settle(self.over)


def left(error):
    """Whether the error has come of a client that has left, perhaps by way of one of the framework's."""
    seen = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, ClientLeft):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False
