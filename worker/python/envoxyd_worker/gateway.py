"""The way to the gateways: calls to them, and what they have handled here.

They are processes of their own: the event gateway holds the connections to brokers, the ZeroMQ gateway the
sockets of peers. A call goes over a stream that each thread opens at its first one; events come as requests.
"""
import json
import mmap
import os
import struct
import threading
from _socket import socketpair
from socket import AF_UNIX, SCM_RIGHTS, SOCK_STREAM, SOL_SOCKET, socket, timeout
from time import sleep

from . import log, tracing
from .failures import trace

from .layouts import FAILED, FRAME_HEAD, HANDLED, NOTE_HEAD, VAR_KIND

REPLY_TIME = 60.0  # seconds that an answer may take beyond what the call itself waits for


class GatewayError(Exception):
    """A call that the gateway refused; kind is full, timeout, lost, unknown or invalid."""

    def __init__(self, text, kind="lost"):
        super().__init__(text)
        self.kind = kind


class Channel:
    """One process's way to one gateway; a fork gets streams of its own."""

    def __init__(self, spec, report, calls, title):
        self.spec = spec
        self.report = report  # what the master is told when there is to be one
        self.calls = calls  # the descriptor's name in spec["gateway"]
        self.title = title
        self.worker = 0
        self.generation = spec["generation"]
        self.threads = threading.local()
        self.needed = False

    def require(self):
        """Tell the master that there is to be a gateway."""
        if self.needed:
            return
        self.needed = True
        fd = self.spec["event_fd"] if self.worker else self.spec["control_fd"]
        if fd < 0:
            raise GatewayError("the process that forked this one has not used the gateway: nobody has started it")
        report = {"kind": self.report, "worker": self.worker, "pid": os.getpid()}
        os.write(fd, json.dumps(report).encode())

    def call(self, op, payload=b"", wait=0.0, **head):
        """One call and its answer's payload; GatewayError when it is refused.

        A stream that has broken, because the gateway ended and another takes its place, is opened anew once.
        """
        if self.spec.get("check"):  # --check imports, and sends nothing anywhere
            if op == "zmq":
                raise GatewayError("--check asks no other service")
            return {"ok": True}, b""
        head = json.dumps({"op": op, "generation": self.generation, **head}).encode()
        frame = FRAME_HEAD.pack(len(head), len(payload)) + head + payload
        for last in (False, True):
            stream = self.stream()
            try:
                stream.settimeout(wait + REPLY_TIME)
                stream.sendall(frame)
                sizes = FRAME_HEAD.unpack(self.exactly(stream, FRAME_HEAD.size))
                answer = json.loads(self.exactly(stream, sizes[0]))
                content = self.exactly(stream, sizes[1])
            except OSError as error:
                self.forget_stream()
                if last or isinstance(error, timeout):
                    raise GatewayError(f"the {self.title} does not answer: {error}") from None
                continue
            except BaseException:  # somebody raised in the middle: the stream's next answer would be this call's
                self.forget_stream()
                raise
            if "kind" in answer:
                raise GatewayError(answer["error"], answer["kind"])
            return answer, content

    def tell(self, **document):
        """Register: what this generation has to say."""
        try:
            self.call("register", json.dumps(document).encode())
        except GatewayError as error:  # HTTP is served all the same
            log.line(f"*** events are not handled: {error} ***")

    def stream(self):
        """This thread's stream; opening one is sending its other end."""
        kept = self.threads.__dict__
        if kept.get("pid") != os.getpid():
            self.require()
            ours, theirs = (socket(fileno=end.detach()) for end in socketpair(AF_UNIX, SOCK_STREAM))
            with theirs:
                rights = [(SOL_SOCKET, SCM_RIGHTS, struct.pack("i", theirs.fileno()))]
                with socket(fileno=os.dup(self.spec["gateway"][self.calls])) as calls:
                    calls.settimeout(REPLY_TIME)
                    calls.sendmsg([b"c"], rights)
            kept.update(pid=os.getpid(), stream=ours)
        return kept["stream"]

    def forget_stream(self):
        stream = self.threads.__dict__.pop("stream", None)
        self.threads.__dict__.pop("pid", None)
        if stream is not None:
            stream.close()

    @staticmethod
    def exactly(stream, size):
        data = b""
        while len(data) < size:
            more = stream.recv(size - len(data))
            if not more:
                raise ConnectionError("it has closed the connection")
            data = data + more if data else more
        return data


class Gateway(Channel):
    """One process's side of the event gateway; peers is that of the other one."""

    def __init__(self, spec):
        super().__init__(spec, "gateway", "calls_fd", "event gateway")
        self.peers = Channel(spec, "zmq", "zmq_calls_fd", "ZeroMQ gateway")
        self.registered = False
        self.subscriptions = []  # dicts: server, filter, qos, shared
        self.timers = []  # dicts: name, every, cron, once
        self.functions = {}  # of timers, by name
        self.spans = tracing.Spans() if spec.get("tracing") else None
        self.handlers = {"timer": self.run_timer}  # kind of event -> WSGI application
        self._health = None

    def in_worker(self, number):
        """Note that this is a worker now."""
        self.worker = self.peers.worker = number

    # -- what the service wants to hear of ------------------------------------

    def subscribe(self, server, topic, qos, shared):
        """Note a filter at import; all workers have its handler."""
        wanted = {"server": server, "filter": topic, "qos": qos, "shared": shared}
        if wanted not in self.subscriptions:
            self.subscriptions.append(wanted)

    def add_timer(self, function, every=0, cron="", once=False):
        if self.registered:
            raise GatewayError("every() and cron() are for functions of modules, while they are imported", "invalid")
        name = f"{function.__module__}.{function.__qualname__}"
        while self.functions.get(name, function) is not function:  # service modules are all called __init__
            name += "'"
        self.functions[name] = function
        self.timers.append({"name": name, "every": every, "cron": cron, "once": bool(once)})

    def register(self, opt):
        """Tell the gateways, once everything is imported, what there is; one that nothing needs is not told, nor started."""
        if self.registered:
            return
        self.registered = True
        conf = opt.get("conf_content") or {}
        self.check_shared(conf)
        service = {"generation": self.generation, "service": (conf.get("boot") or [{}])[0].get("name", ""), "conf": conf}
        if self.needed or self.subscriptions or self.timers or any(conf.get(section) for section in SECTIONS):
            credentials = opt.get("credentials") or {}
            self.tell(
                **service, subscriptions=self.subscriptions, timers=self.timers,
                login={"user": text(credentials.get("client_id")), "password": text(credentials.get("access_token"))})
        if self.peers.needed or conf.get("zmq_servers") or any((boot.get("zmq") or {}).get("bind") for boot in conf.get("boot") or ()):
            self.peers.tell(**service, zmq="zmq" in self.handlers)

    def check_shared(self, conf):
        """GatewayError if what instances of the service share has no name, or no place to agree on it."""
        once = any(timer["once"] for timer in self.timers)
        if (once or any(one["shared"] for one in self.subscriptions)) and not (conf.get("boot") or [{}])[0].get("name"):
            raise GatewayError(
                "shared subscriptions and timers with once=True need boot[0].name in envoxy.json: by that the instances of a service know"
                " each other", "invalid")
        if not once:
            return
        section, _, name = str((conf.get("timers") or {}).get("once") or "").partition(".")
        if section and (section not in ("psql_servers", "redis_servers") or name not in (conf.get(section) or {})):
            raise GatewayError(
                f"envoxy.json: timers.once: there is no {section}.{name}; it names one of psql_servers or redis_servers", "invalid")
        if not (conf.get("psql_servers") or conf.get("redis_servers")):
            raise GatewayError(
                "timers with once=True need psql_servers or redis_servers in envoxy.json: there the instances of the service agree on"
                " which one calls them", "invalid")

    # -- what comes from it -----------------------------------------------------

    def application(self, environ, start_response):
        """What a worker calls for an event; its output is marks, one for each message."""
        handler = self.handlers.get(environ.get(VAR_KIND))
        if handler is None:
            start_response("404 Not Found", [])
            return [HANDLED]
        if self.spans is None:
            return handler(environ, start_response)
        with tracing.attached(environ.get(tracing.VARIABLE, "")):
            return handler(environ, start_response)

    def run_timer(self, environ, start_response):
        function = self.functions.get(environ["PATH_INFO"])
        mark = HANDLED
        if function is not None:
            try:
                function()
            except Exception as error:
                log.put(f"timer {environ['PATH_INFO']}:\n{trace(error)}")
                mark = FAILED
        start_response("200 OK", [])
        return [mark]

    def health(self):
        """{"connectors": {name: condition}} as the gateway saw them last; None before it has looked."""
        if self._health is None:
            fd = self.spec["gateway"]["health_fd"]
            self._health = mmap.mmap(fd, os.fstat(fd).st_size, prot=mmap.PROT_READ)
        for _ in range(1000):
            before, size = NOTE_HEAD.unpack_from(self._health)
            content = self._health[NOTE_HEAD.size:NOTE_HEAD.size + size]
            if before % 2 == 0 and NOTE_HEAD.unpack_from(self._health)[0] == before:
                return json.loads(content) if before else None
            sleep(0)
        return None


SECTIONS = ("mqtt_servers", "zmq_servers", "psql_servers", "redis_servers", "couchdb_servers", "amqp_servers", "cache")


def text(value):
    return "" if value is None else str(value)


_mine = None


def open_gateway(spec):
    """This process's gateway; None where there is no Envoxy service."""
    global _mine
    _mine = Gateway(spec) if spec.get("gateway") else None
    return _mine


def current():
    """The gateway of this process; GatewayError outside a server."""
    if _mine is None:
        raise GatewayError("there is no event gateway: this process was not started by envoxyd with an envoxy.json")
    return _mine


def spans():
    """What makes spans of messages; None where none are exported."""
    return getattr(_mine, "spans", None)
