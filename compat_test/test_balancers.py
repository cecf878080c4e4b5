"""nginx and HAProxy as in examples/, in front of three instances: under load each is reloaded, stopped and started again, and no request
fails."""
import os
import re
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
from http_client import Connection, eventually, get
from load import Load, Several
from server import ROOT, free_port
from transports import Nginx, Transport
from websocket_client import TEXT, Websocket

EXAMPLES = ROOT / "examples"
APP = """
import os, time
from urllib.parse import parse_qs
def application(environ, start_response):
    environ["wsgi.input"].read()
    if environ["PATH_INFO"] == "/hold":
        open("held", "a").close()
        while not os.path.exists("release"):
            time.sleep(0.01)
    if environ["PATH_INFO"] == "/ws/":
        import uwsgi
        uwsgi.websocket_handshake()
        uwsgi.websocket_send(uwsgi.websocket_recv())
        return []
    text = f"{os.environ['NAME']} {environ['HTTP_HOST']} {environ.get('HTTP_X_FORWARDED_PROTO')}".encode()
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text]
"""


def adapted(text, changes):
    """An example with other addresses; each of these has to be in it."""
    for here, there in changes.items():
        assert here in text, here
        text = text.replace(here, there)
    return text


class HAProxy:
    """HAProxy with the example's configuration."""

    def __init__(self, ports):
        self.port, self.dir = free_port(), Path(tempfile.mkdtemp(prefix="envoxyd-haproxy-"))
        self.orders = self.dir / "admin.sock"
        machines = {f"10.0.0.{11 + n}:8080": f"127.0.0.1:{port}" for n, port in enumerate(ports)}
        text = (EXAMPLES / "haproxy/haproxy.cfg").read_text()
        (self.dir / "haproxy.cfg").write_text(adapted(text, {
            **machines, "bind :80\n": f"bind 127.0.0.1:{self.port}\n", "/run/haproxy/admin.sock mode": f"{self.orders} mode",
            "inter 2s": "inter 500ms", "log /dev/log local0": "log stderr format raw local0"}))
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["haproxy", "-db", "-f", self.dir / "haproxy.cfg"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually(self.orders.exists)

    def order(self, text):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.orders))
            client.sendall(text.encode() + b"\n")
            return b"".join(iter(lambda: client.recv(65536), b"")).decode()

    def status(self, name):
        """UP, DOWN, DRAIN, ..."""
        lines = [line.split(",") for line in self.order("show stat").splitlines()]
        return next(line[17] for line in lines if line[:2] == ["shop", name])

    def log(self):
        return (self.dir / "log").read_text()

    def close(self):
        self.process.terminate()
        self.process.wait(10)


def nginx(name, ports):
    port, uwsgi = free_port(), name == "uwsgi.conf"
    machines = {f"10.0.0.{11 + n}:{3031 if uwsgi else 8080}": f"127.0.0.1:{at}" for n, at in enumerate(ports)}
    more = {"include uwsgi": "include /etc/nginx/uwsgi"} if uwsgi else {}
    site = adapted((EXAMPLES / "nginx" / name).read_text(),
                   {**machines, "listen 80;": f"listen 127.0.0.1:{port};", "fail_timeout=5s": "fail_timeout=1s", **more})
    front = Nginx("127.0.0.1:1", site=site)
    front.port, front.log = port, front.errors
    return front


def marked(front, here, there):
    """nginx, reloaded with another configuration; until its worker of before has ended."""
    children = Path(f"/proc/{front.process.pid}/task/{front.process.pid}/children")
    before, conf = set(children.read_text().split()), front.dir / "nginx.conf"
    conf.write_text(adapted(conf.read_text(), {here: there}))
    front.process.send_signal(signal.SIGHUP)
    eventually(lambda: before.isdisjoint(children.read_text().split()), 20)


class Balanced:
    """Three instances behind one of the balancers."""

    def __init__(self, server, kind):
        self.server, self.kind, self.ports, self.ready = server, kind, [free_port() for _ in range(3)], "200"
        self.instances = [self.start(number) for number in range(3)]
        for one, port in zip(self.instances, self.ports):
            one.wait_port(port)
        self.front = HAProxy(self.ports) if kind == "haproxy" else nginx(kind, self.ports)
        self.way = Transport("front", [], self.front.port, True, None)
        eventually(lambda: get(self.way.port).status == 200)

    def start(self, number):
        option = "--socket" if self.kind == "uwsgi.conf" else "--http-socket"
        return self.server(None, [option, f"127.0.0.1:{self.ports[number]}", "--master", "--processes", "2", "--threads", "2",
                                  "--route", f"^/health/ready$ return:{self.ready}"],
                           app=APP, env={"NAME": f"machine-{number}"})

    def take_out(self, number):
        """As examples/README's say before a stop."""
        if self.kind == "haproxy":
            self.front.order(f"set server shop/{'abc'[number]} state drain")
        else:
            marked(self.front, f"127.0.0.1:{self.ports[number]} max_fails", f"127.0.0.1:{self.ports[number]} down max_fails")
        eventually(lambda: not any(self.serves(number) for _ in range(12)))

    def put_back(self, number):
        if self.kind == "haproxy":
            self.front.order(f"set server shop/{'abc'[number]} state ready")
        else:
            marked(self.front, f"127.0.0.1:{self.ports[number]} down max_fails", f"127.0.0.1:{self.ports[number]} max_fails")
        eventually(lambda: self.serves(number), 20)

    def restart(self, number):
        self.instances[number].signal(signal.SIGTERM)
        assert self.instances[number].wait_exit() == 0
        self.instances[number] = self.start(number).wait_port(self.ports[number])

    def serves(self, number):
        """Whether the balancer gives requests to an instance."""
        return get(self.way.port).text.startswith(f"machine-{number} ")


@pytest.fixture(params=["http.conf", "uwsgi.conf", "haproxy"])
def balanced(server, request):
    made = Balanced(server, request.param)
    yield made
    print(made.front.log()[-3000:])
    made.front.close()


def post(port):
    """A POST on a connection of its own."""
    with Connection(port, timeout=40) as client:
        client.open()
        client.socket.sendall(b"POST / HTTP/1.1\r\nHost: shop.example.com\r\nConnection: close\r\nContent-Length: 4\r\n\r\nitem")
        assert client.receive().status == 200


def test_machines_come_and_go(balanced):
    """Nobody has told the balancer. What comes to a machine that is starting waits until the application is imported."""
    with Load(balanced.way, clients=4, timeout=40) as load:
        for number, one in enumerate(balanced.instances):
            load.wait_for(30)
            one.signal(signal.SIGHUP)
            one.wait_log("gracefully .RE.spawned uWSGI master")
            load.wait_for(30)
            balanced.restart(number)
            eventually(lambda number=number: balanced.serves(number), 40)
    assert load.failures() == []
    assert sorted(text.split()[0] for text in load.texts) == ["machine-0", "machine-1", "machine-2"]


def test_a_stop_that_was_announced(balanced):
    """No POST is lost, which nobody sends again: neither by a reload nor by a stop after the machine was taken out."""
    done = []

    def step(port, _):
        post(port)
        done.append(1)
    with Several(3, lambda: balanced.way.port, step) as posts:
        balanced.instances[2].signal(signal.SIGHUP)
        balanced.instances[2].wait_log("gracefully .RE.spawned uWSGI master")
        for number in range(3):
            balanced.take_out(number)
            balanced.restart(number)
            balanced.put_back(number)
            before = len(done)
            eventually(lambda before=before: len(done) > before + 30)
    assert posts.failures == []


def test_what_is_in_progress_ends(balanced):
    """A stop lets a slow request end, through the balancer too."""
    with Connection(balanced.way.port, timeout=20) as client:
        client.send("/hold")
        one = eventually(lambda: next((one for one in balanced.instances if (one.dir / "held").exists()), None))
        one.signal(signal.SIGTERM)
        eventually(lambda: not balanced.serves(balanced.instances.index(one)))
        one.write("release", "")
        assert client.receive().status == 200
    assert one.wait_exit() == 0


def test_a_killed_machine(balanced):
    """What is sent afterwards is answered by others; of what was in progress, GET is tried again."""
    with Connection(balanced.way.port, timeout=20) as client:
        client.send("/hold")
        one = eventually(lambda: next((one for one in balanced.instances if (one.dir / "held").exists()), None))
        for other in balanced.instances:
            if other is not one:
                other.write("release", "")
        os.killpg(one.pid, signal.SIGKILL)  # all at once: a worker alone is replaced
        assert client.receive().status == 200
    with Load(balanced.way, clients=4) as load:
        load.wait_for(100)
    assert load.failures() == [] and len(load.texts) == 2
    for _ in range(5):
        post(balanced.way.port)


def test_the_head_that_applications_see(balanced):
    with Connection(balanced.way.port) as client:
        client.open()
        client.socket.sendall(b"GET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\n")
        assert client.receive().text.split()[1:] == ["shop.example.com", "http"]


def test_websockets(balanced):
    if balanced.kind == "uwsgi.conf":
        pytest.skip("nginx has no websockets over this protocol")
    with Websocket(balanced.way.port, "/ws/") as client:
        assert client.head.startswith("HTTP/1.1 101 ")
        client.send(TEXT, b"over two proxies")
        assert client.receive() == (TEXT, b"over two proxies")


@pytest.fixture
def haproxy(server):
    made = Balanced(server, "haproxy")
    yield made
    made.front.close()


def test_a_machine_that_is_not_ready(haproxy):
    """Its check answers 503: it gets nothing, though it would answer."""
    eventually(lambda: haproxy.front.status("a") == "UP" and "L7OK" in haproxy.front.order("show stat"))
    haproxy.ready = "503"
    haproxy.restart(0)
    eventually(lambda: haproxy.front.status("a") == "DOWN", 20)
    assert get(haproxy.ports[0]).status == 200
    assert not any(haproxy.serves(0) for _ in range(12))


def test_the_order_in_the_comment(haproxy):
    """Nothing new while requests go on, and back."""
    order = re.search(r'echo "(.*)" \| socat', (EXAMPLES / "haproxy/haproxy.cfg").read_text())[1]
    with Load(haproxy.way, clients=4) as load:
        load.wait_for(20)
        haproxy.front.order(order)
        eventually(lambda: haproxy.front.status("a") == "DRAIN")
        assert not any(haproxy.serves(0) for _ in range(12))
        haproxy.put_back(0)
    assert load.failures() == []
