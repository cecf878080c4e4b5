"""Requests that become websockets: any thread or greenlet may use one, by the context of its request."""
from base64 import b64encode
from hashlib import sha1
from select import POLLIN, POLLOUT

from .connections import wait
from .state import named

MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
TEXT, BINARY = 1, 2
TURN = 0.005  # seconds until a frame behind another one is tried again


class RequestContext:
    """Names the request that a websocket belongs to, for threads and greenlets other than its own."""

    __slots__ = ("core", "serial")

    def __init__(self, core, serial):
        self.core, self.serial = core, serial


def accept_key(key):
    """What a handshake answers to the client's key."""
    return b64encode(sha1((key + MAGIC).encode("latin-1")).digest()).decode()


def functions(mine):
    received = {}  # the opcode of each core's last message

    def websocket_handshake(key=None, origin=None, proto=None):
        """Answers 101; what is not given is taken from the request."""
        environ = mine.request("environ")
        key = key or environ.get("HTTP_SEC_WEBSOCKET_KEY")
        if not key:
            raise OSError("unable to complete websocket handshake: the request has no Sec-WebSocket-Key")
        protocol = proto or environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", "").split(",")[0].strip()
        headers = [
            ("Upgrade", "WebSocket"), ("Connection", "Upgrade"),
            ("Sec-WebSocket-Origin", origin or environ.get("HTTP_ORIGIN") or "*"),
            *([("Sec-WebSocket-Protocol", protocol)] if protocol else []),
            ("Sec-WebSocket-Accept", accept_key(key)),
        ]
        mine.request("start_response")("101 Web Socket Protocol Handshake", headers)
        core, serial = names(None)
        mine.request("websocket_open", core, serial)
        received.pop(core, None)

    def request_context():
        return RequestContext(*mine.request("websocket_context"))

    def names(context):
        if context is None:
            return mine.request("websocket_context")
        if not isinstance(context, RequestContext):
            raise TypeError("request_context must be what uwsgi.request_context() has returned")
        return context.core, context.serial

    def receive(core, serial):
        """The next message, or None, with what to wait for."""
        message, opcode, fd, patience = mine.request("websocket_receive", core, serial)
        if message is not None:
            received[core] = opcode
        elif fd < 0:
            raise OSError("unable to receive websocket message")
        return message, fd, patience

    def websocket_recv(request_context=None):
        """The next message, as bytes; OSError when the client has left."""
        core, serial = names(request_context)
        while True:
            message, fd, patience = receive(core, serial)
            if message is not None:
                return message
            wait_in_turn(fd, POLLIN, patience)

    def websocket_recv_nb(request_context=None):
        """As websocket_recv(); b"" when there is no message yet."""
        return receive(*names(request_context))[0] or b""

    def websocket_is_text(request_context=None):
        """Whether the last message was a text: True, False, or None before the first. uWSGI does not tell."""
        return {TEXT: True, BINARY: False}.get(received.get(names(request_context)[0]))

    def send(opcode, message, context):
        if isinstance(message, str):
            message = message.encode()
        message = bytes(message)
        core, serial = names(context)
        waits = mine.request("websocket_send", core, serial, opcode, message)
        while waits:
            busy, fd, patience = waits
            if busy:
                mine.loop.wait_any([], [], TURN)
                waits = mine.request("websocket_send", core, serial, opcode, message)
            else:
                waits = mine.request("websocket_resume", core, serial, not read_in_time(core, serial, fd, patience))

    def read_in_time(core, serial, fd, patience):
        try:
            return wait_in_turn(fd, POLLOUT, patience)
        except BaseException:  # a greenlet that is to end: its frame is cut short
            try:
                mine.request("websocket_resume", core, serial, True)
            except OSError:
                pass
            raise

    def wait_in_turn(fd, what, milliseconds):
        """Whether fd is ready in time; in a loop, others go on meanwhile."""
        return (mine.loop.wait if mine.loop else wait)(fd, what, milliseconds)

    def websocket_send(message, request_context=None):
        send(TEXT, message, request_context)

    def websocket_send_binary(message, request_context=None):
        send(BINARY, message, request_context)

    def websocket_send_from_sharedarea(area, pos, length=0):
        send(TEXT, mine.uwsgi.sharedarea_read(area, pos, length or None), None)

    def websocket_send_binary_from_sharedarea(area, pos, length=0):
        send(BINARY, mine.uwsgi.sharedarea_read(area, pos, length or None), None)

    return named(
        websocket_handshake, request_context, websocket_recv, websocket_recv_nb, websocket_is_text, websocket_send,
        websocket_send_binary, websocket_send_from_sharedarea, websocket_send_binary_from_sharedarea)
