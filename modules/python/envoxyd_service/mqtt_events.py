"""MQTT messages in a worker: from the gateway's deliveries to the handlers of the service."""
import importlib
import json
import mmap
import os
import sys
import time
import traceback

from envoxyd_worker import gateway
from envoxyd_worker.layouts import (
    ELSEWHERE,
    FAILED,
    HANDLED,
    LATER,
    MESSAGE_HEAD,
    PROGRESS_SLOT,
    REPEATED,
    RETAINED,
    VAR_NAMES,
    VAR_OWNER,
    VAR_SERVER,
    VAR_SHARED,
    VAR_SLOT,
)

from . import loader

LONGEST = 0.1  # seconds that one delivery may take before the rest goes back to the gateway
AWAY = 0.01  # seconds that a worker is busy after a message that is another process's
FLUSH = 0.001  # seconds that marks may be held back
MOST_TOPICS = 1000  # whose handlers are remembered


class Message:
    """What paho-mqtt's handlers get."""

    __slots__ = ("topic", "payload", "qos", "retain", "mid", "dup", "timestamp")

    def __repr__(self):
        return f"<Message {self.mid} of {self.topic!r}: {len(self.payload)} bytes, QoS {self.qos}>"


class Client:
    """Stands where paho-mqtt's client stood: publishes and subscribes at one broker."""

    def __init__(self, server):
        self.server = server

    def publish(self, topic, payload=b"", qos=0, retain=False):
        publish(self.server, topic, payload, qos, retain)

    def subscribe(self, topic, qos=0, shared=None):
        subscribe(self.server, topic, None, qos, shared)

    def is_connected(self):
        return connected(self.server)


# An origin is a server, and whether the instances of the service share its messages.
handlers = []  # (origin, filter, callback) that every worker has
own = []  # the same of callbacks that only this process can call
_matching = {}  # (origin, topic) -> callbacks
_named = {}  # name -> callback


def matches(wanted, topic):
    """Whether a topic falls under a filter (MQTT 3.1.1, section 4.7)."""
    if topic.startswith("$") and wanted[:1] in "+#":
        return False
    levels = topic.split("/")
    steps = wanted.split("/")
    for i, step in enumerate(steps):
        if step == "#":
            return True
        if i >= len(levels) or step not in ("+", levels[i]):
            return False
    return len(steps) == len(levels)


def is_shared(server, shared):
    """Whether each message is for one instance of the service: what a subscription says, or else its server in envoxy.json."""
    if shared is None:
        conf = sys.modules["uwsgi"].opt.get("conf_content") or {}
        shared = ((conf.get("mqtt_servers") or {}).get(server) or {}).get("shared", False)
    return str(shared).lower() in ("true", "1", "yes", "on")


def subscribe(server, topic, callback, qos=0, shared=None):
    """Have a callback called with (client, userdata, message) for each message under the filter.

    shared: each message is for one instance of the service, of all that run; None: as envoxy.json has it for the server.
    At import every worker gets it. Later the callback is found by its name in whichever worker has the
    message; one without a name, such as a lambda, is called in this process only, for as long as it lives.
    """
    events = gateway.current()
    origin = server, is_shared(server, shared)
    if not events.registered:
        events.subscribe(server, topic, qos, origin[1])
        if callback is not None:
            handlers.append((origin, topic, callback))
            _matching.clear()
        return
    name = name_of(callback) if callback is not None else ""
    owner = 0
    if name is None:
        owner, name = os.getpid(), ""
        own.append((origin, topic, callback))
    events.call("subscribe", server=server, topic=topic, qos=qos, owner=owner, callback=name, shared=origin[1])


def unsubscribe(server, topic):
    """End what subscribe began, for all callbacks of the filter."""
    own[:] = [one for one in own if (one[0][0], one[1]) != (server, topic)]
    gateway.current().call("unsubscribe", server=server, topic=topic)


def publish(server, topic, payload, qos=0, retain=False):
    """Hand a message to the gateway, which publishes it; GatewayError when it cannot."""
    if isinstance(payload, str):
        payload = payload.encode()
    gateway.current().call("publish", bytes(payload or b""), server=server, topic=topic, qos=qos, retain=bool(retain))


def connected(server):
    """Whether the gateway is connected to the broker."""
    answer, _ = gateway.current().call("connected", server=server)
    return answer["ok"]


# ---- names of callbacks -------------------------------------------------------


def name_of(callback):
    """A name under which another worker finds the same callback; None when there is none."""
    qualified = getattr(callback, "__qualname__", "")
    if not qualified or "<" in qualified or getattr(callback, "__self__", None) is not None:
        return None
    place = getattr(callback, "__module__", None)
    for path, module in loader.loaded.items():
        if getattr(callback, "__globals__", None) is module.__dict__:
            place = "@" + path
    name = f"{place}:{qualified}"
    try:
        return name if find(name) is callback else None
    except (ImportError, AttributeError, KeyError):
        return None


def find(name):
    """The callback of a name."""
    place, _, qualified = name.rpartition(":")
    if place.startswith("@"):
        found = loader.loaded[place[1:]]
    else:
        found = sys.modules.get(place) or importlib.import_module(place)
    for step in qualified.split("."):
        found = getattr(found, step)
    return found


# ---- deliveries -----------------------------------------------------------------


def application(environ, start_response):
    """The WSGI application of a delivery: one mark for each message, as soon as it is handled."""
    start_response("200 OK", [])
    owner = environ.get(VAR_OWNER)
    if owner and int(owner) != os.getpid():
        return elsewhere()
    server = environ[VAR_SERVER]
    origin = server, VAR_SHARED in environ
    names = json.loads(environ.get(VAR_NAMES) or "[]")
    data = environ["wsgi.input"].read()
    client, userdata = Client(server), {"server_key": server}
    size, topic_size, *_ = MESSAGE_HEAD.unpack_from(data)
    if len(data) == MESSAGE_HEAD.size + topic_size + size:
        return [handle(client, userdata, message, wanted) for message, wanted in messages(data, origin, owner, names)]
    return several(client, userdata, messages(data, origin, owner, names), int(environ[VAR_SLOT]) * PROGRESS_SLOT.size)


def elsewhere():
    """The owner's turn must come: this worker stays away from the next attempt."""
    yield ELSEWHERE
    time.sleep(AWAY)


def progress():
    """The memory in which the gateway finds what a worker had handled that was killed."""
    global _progress
    if _progress is None:
        _progress = mmap.mmap(gateway.current().spec["gateway"]["progress_fd"], 0)
    return _progress


_progress = None


def several(client, userdata, delivery, place):
    memory, done, held = progress(), 0, b""
    note, clock = PROGRESS_SLOT.pack_into, time.monotonic
    started = flushed = clock()
    for message, wanted in delivery:
        if flushed - started > LONGEST:
            held += LATER
            break
        held += handle(client, userdata, message, wanted)
        done += 1
        note(memory, place, done)
        now = clock()
        if now - flushed > FLUSH:
            yield held
            flushed, held = now, b""
    if held:
        yield held


def messages(data, origin, owner, names):
    """(message, its handlers) for each message of a delivery."""
    at, end, skip, unpack = 0, len(data), MESSAGE_HEAD.size, MESSAGE_HEAD.unpack_from
    last = topic = wanted = None
    arrived = time.monotonic()
    while at < end:
        size, topic_size, mid, qos, flags = unpack(data, at)
        begin = at + skip
        middle = begin + topic_size
        at = middle + size
        name = data[begin:middle]
        if name != last:  # a topic's messages come together
            last, topic = name, name.decode("utf-8", "replace")
            try:
                wanted = callbacks(origin, topic, owner, names)
            except Exception:  # one that was added by name is not there any more
                report(topic)
                wanted = None
            if owner or wanted is None:  # what this process alone has may change with each message
                last = None
        message = Message()
        message.topic = topic
        message.payload = data[middle:at]
        message.qos = qos
        message.retain = flags & RETAINED != 0
        message.mid = mid
        message.dup = flags & REPEATED != 0
        message.timestamp = arrived
        yield message, wanted


def callbacks(origin, topic, owner, names):
    if owner:
        return [callback for key, wanted, callback in own if key == origin and matches(wanted, topic)]
    place = (origin, topic)
    found = _matching.get(place)
    if found is None:
        if len(_matching) >= MOST_TOPICS:
            _matching.clear()
        found = [callback for key, wanted, callback in handlers if key == origin and matches(wanted, topic)]
        if not found:  # a reload has changed what is shared, and this message was waiting
            found = [callback for key, wanted, callback in handlers if key[0] == origin[0] and matches(wanted, topic)]
        _matching[place] = found
    for wanted, name in names:
        if not matches(wanted, topic):
            continue
        if name not in _named:
            _named[name] = find(name)
        if _named[name] not in found:
            found = [*found, _named[name]]
    return found


def handle(client, userdata, message, wanted):
    """The mark of a message: its handlers are called, within a span where such are exported."""
    spans = gateway.spans()
    if spans is None:
        return call_handlers(client, userdata, message, wanted)
    with spans.message(client.server, message.topic, sender(message.payload)) as span:
        mark = call_handlers(client, userdata, message, wanted)
        span.failed = mark == FAILED
    return mark


def sender(payload):
    """The context of who has published an enveloped message, a traceparent; "" if it does not say."""
    if b'"traceparent"' not in payload:
        return ""
    try:
        found = json.loads(payload)["headers"]["traceparent"]
    except Exception:  # whatever others send, RecursionError too: the message itself is the handlers'
        return ""
    return found if isinstance(found, str) else ""


def call_handlers(client, userdata, message, wanted):
    """Call every handler of a message; what one raises is logged with the topic, and does not keep the others from it."""
    if wanted is None:
        return FAILED
    mark = HANDLED
    for callback in wanted:
        try:
            callback(client, userdata, message)
        except Exception:
            report(message.topic)
            mark = FAILED
    return mark


def report(topic):
    from envoxy import log

    log.error(f'[MQTT] The handler of topic "{topic}" failed - Traceback: {traceback.format_exc()}')
