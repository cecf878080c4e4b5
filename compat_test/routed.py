"""Routers and nodes for tests: both are servers of ours, or uWSGI's."""

import json
import re
import socket
import struct

from http_client import Connection, eventually
from server import BINARY, free_port
from transports import Transport

NODE = """
import os, time
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/env":
        import json
        body = json.dumps({k: v for k, v in environ.items() if isinstance(v, str)}).encode()
    elif path == "/body":
        body, size = b"", 0
        while True:
            data = environ["wsgi.input"].read(65536)
            if not data:
                break
            size += len(data)
        body = b"%d" % size
    elif path == "/unsized":
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"one ", b"two"]
    elif path.startswith("/big/"):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return (b"x" * 65536 for _ in range(int(path[5:])))
    elif path.startswith("/sleep/"):
        time.sleep(float(path[7:]))
        body = b"NAME"
    elif path == "/die":
        os.kill(os.getpid(), 9)
    else:
        body = b"NAME"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""


def node(server, name="node", *args, binary=None, protocol="socket", app=None, port=None):
    """A server with an address at `.port`; what it answers is its name."""
    port = port or free_port()
    given = ["--master", f"--{protocol}", f"127.0.0.1:{port}", *args]
    if binary:
        given += ["--die-on-term"]
    one = server(None, given, app=app or NODE.replace("NAME", name), binary=binary or BINARY)
    one.port = port
    one.wait_port(port)
    return one


def router(server, *args, binary=None, keepalive=True, wait=True, files=None):
    """An HTTP router at `.port`, with a `.transport` for Load."""
    port = free_port()
    given = ["--master", "--http", f"127.0.0.1:{port}", *(["--http-keepalive=30"] if keepalive else []), *args]
    if binary:
        given += ["--die-on-term"]
    one = server(None, given, binary=binary or BINARY, files=files)
    one.port, one.transport = port, Transport("router", [], port, keepalive, port)
    if wait:
        one.wait_port(port)
        one.wait_log(r"spawned uWSGI http 1 \(pid: \d+\)")
    return one


def router_pid(running, kind="http"):
    """The pid of the newest router process."""
    return int(re.findall(rf"uWSGI {kind} \d+ \(pid: (\d+)\)", running.log())[-1])


def ask(port, path="/", host="localhost", headers="", method="GET", body=b"", timeout=10.0):
    """One request on a connection of its own, and its Reply."""
    connection = Connection(port, timeout=timeout)
    connection.open()
    size = f"Content-Length: {len(body)}\r\n" if body else ""
    connection.socket.sendall(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{size}{headers}\r\n".encode() + body)
    return connection.receive()


def environ(port, **more):
    return json.loads(ask(port, "/env", **more).text)


def packet(pairs, body=b"", modifier1=0):
    block = b"".join(struct.pack("<H", len(part)) + part.encode() for pair in pairs for part in pair)
    return struct.pack("<BHB", modifier1, len(block), 0) + block + body


def uwsgi_ask(port, host, path="/", method="GET", body=b"", more=(), timeout=10.0):
    """One request by the uwsgi protocol, and all that is answered."""
    pairs = [
        ("REQUEST_METHOD", method),
        ("PATH_INFO", path),
        ("REQUEST_URI", path),
        ("QUERY_STRING", ""),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("SERVER_NAME", "s"),
        ("SERVER_PORT", "80"),
        ("HTTP_HOST", host),
        ("CONTENT_LENGTH", str(len(body)) if body else ""),
        ("REMOTE_ADDR", "192.0.2.7"),
        *more,
    ]
    with socket.create_connection(("127.0.0.1", port), timeout) as client:
        client.sendall(packet(pairs, body))
        return client.makefile("rb").read()


def statistics(port):
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        return json.loads(client.makefile("rb").read())


def subscribed(stats_port, key, count):
    """Wait until that many nodes are there for a key."""

    def there():
        return [n for p in statistics(stats_port)["subscriptions"] if p["key"] == key for n in p["nodes"]]

    return eventually(lambda: len(there()) == count and (there() or True))
