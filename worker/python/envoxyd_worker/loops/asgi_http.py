"""One HTTP request of an ASGI application, as ASGI's HTTP & WebSocket specification 2.4 has it."""
import asyncio
from select import POLLERR, POLLHUP, POLLRDHUP, poll

from .futures import settle

PIECE = 65536  # bytes: what the extension takes at once
LOOKS = 1  # seconds between looks at a client that has sent its next request already


def scope_of(environ, kind):
    """What both kinds of scopes have in common."""
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    uri = environ.get("REQUEST_URI", path)
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": environ.get("SERVER_PROTOCOL", "HTTP/1.1").partition("/")[2],
        "path": path.encode("latin-1").decode("utf-8", "replace"),
        "raw_path": uri.partition("?")[0].encode("latin-1"),
        "query_string": environ.get("QUERY_STRING", "").encode("latin-1"),
        "root_path": environ.get("SCRIPT_NAME", "").encode("latin-1").decode("utf-8", "replace"),
        "headers": headers_of(environ),
        "client": address(environ.get("REMOTE_ADDR"), environ.get("REMOTE_PORT")),
        "server": address(environ.get("SERVER_NAME"), environ.get("SERVER_PORT")),
    }


def headers_of(environ):
    found = [(name[5:].lower().replace("_", "-").encode("latin-1"), value.encode("latin-1"))
             for name, value in environ.items() if name.startswith("HTTP_")]
    for name, header in (("CONTENT_TYPE", b"content-type"), ("CONTENT_LENGTH", b"content-length")):
        if environ.get(name):
            found.append((header, environ[name].encode("latin-1")))
    return found


def address(host, port):
    return (host, int(port)) if host and (port or "").isdigit() else (host, 0) if host else None


def texts(headers):
    """Pairs of bytes as pairs of str."""
    return [(bytes(name).decode("latin-1"), bytes(value).decode("latin-1")) for name, value in headers]


class HTTP:
    def __init__(self, engine, core, environ, fd, _serial):
        self.engine, self.core, self.extension = engine, core, engine.extension
        self.scope = scope_of(environ, "http")
        self.scope.update(method=environ["REQUEST_METHOD"], scheme=environ["wsgi.url_scheme"], state=dict(engine.state), extensions={})
        self.input = environ["wsgi.input"]
        self.body_given = self.started = self.complete = self.ended = self.gone = False
        self.over = engine.loop.create_future()  # the response is complete, or the client has left
        self.fd, self.watched = fd, -1
        self.sending = asyncio.Lock()  # of tasks that send at the same time, one does

    async def receive(self):
        if not self.body_given:
            body = self.input.read(PIECE)
            more = len(body) == PIECE
            self.body_given = not more
            return {"type": "http.request", "body": body, "more_body": more}
        if not self.over.done():
            self.watch_client()
            await asyncio.shield(self.over)
        return {"type": "http.disconnect"}

    def watch_client(self):
        """Has `over` come true when the client leaves."""
        if self.watched >= 0 or self.ended:
            return
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
        self.gone = True
        settle(self.over)

    async def send(self, message):
        kind = message["type"]
        if self.ended:
            raise RuntimeError(f"{kind} after the application has returned")
        if kind == "http.response.start":
            self.start(message)
        elif kind == "http.response.body":
            async with self.sending:
                await self.body(message)
        else:
            raise ValueError(f"{kind} is no message of a response")

    def start(self, message):
        if self.started:
            raise RuntimeError("http.response.start comes twice")
        self.extension.asgi_start(self.core, str(message["status"]), texts(message.get("headers", ())))
        self.started = True

    async def body(self, message):
        if not self.started:
            raise RuntimeError("http.response.body comes before http.response.start")
        if self.complete:
            raise RuntimeError("http.response.body comes after the last")
        body, more = message.get("body", b""), message.get("more_body", False)
        try:
            for at in range(0, max(len(body), 1), PIECE):
                await self.piece(bytes(body[at:at + PIECE]), more or at + PIECE < len(body))
        except OSError:  # the client has left: what follows goes nowhere
            self.leave()
        if not more:
            self.complete = True
            settle(self.over)

    async def piece(self, data, more):
        waits = None if self.gone else self.extension.asgi_body(self.core, data, more)
        while waits:
            waits = self.extension.asgi_resume(self.core, not await self.engine.writable(*waits))

    async def returned(self):
        if not self.complete and not self.gone:
            raise RuntimeError("the application has returned without a response" if not self.started
                               else "the application has returned before the end of its response")

    def end(self, _error):
        self.ended = True
        if self.watched >= 0:
            self.engine.loop.remove_reader(self.watched)
            self.watched = -1
        settle(self.over)
