"""--status-page: the page, its stream of events through reloads and upgrades, who is answered, and what Chromium makes of it."""
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import threading

import chromium
import pytest
from apps import ANSWER
from http_client import Connection, eventually, get
from server import free_port
from test_upgrade import Upgraded

APP = f"""
import os, time
{ANSWER}
def application(environ, start_response):
    if environ["PATH_INFO"].startswith("/slow"):
        while not os.path.exists("release"):
            time.sleep(0.01)
    return answer(start_response, "hello")
"""

HOSTILE = b"/slow?<script>alert(1)</script>&x='\"\xff\xe2\x80\xae" + b"a" * 4000


class Stream:
    """A viewer of the page: its events, one after the other."""

    def __init__(self, port, headers=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.connection.request("GET", "/events", headers=headers or {})
        self.answer = self.connection.getresponse()
        assert (self.answer.status, self.answer.headers["Content-Type"]) == (200, "text/event-stream")

    def close(self):
        self.answer.close()
        self.connection.close()

    def event(self):
        """The next one: (name, text of the document); None at the end."""
        lines = []
        for line in iter(self.answer.readline, b""):
            if line == b"\n":
                name, data = lines
                assert name.startswith(b"event: ") and data.startswith(b"data: ")
                return name[7:].decode(), data[6:].decode()
            lines.append(line[:-1])
        return None

    def state(self, wanted=lambda state: True, most=40):
        """The first state from now on that is as wanted."""
        for _ in range(most):
            name, text = self.event()
            if name == "state":
                state = json.loads(text)
                if wanted(state):
                    return state
        raise AssertionError(f"no such state: {state}")


@contextlib.contextmanager
def watch(port):
    stream = Stream(port)
    try:
        yield stream
    finally:
        stream.close()


@pytest.fixture
def started(server, way):
    """started(*args) starts a server with a status page: (the server, the page's port)."""

    def start(*args, app=APP, address="{}", **rest):
        port = free_port()
        running = server(way, ["--master", "--processes", "2", "--status-page", address.format(port), *args], app=app, **rest)
        running.wait_log(f"status page enabled on 127.0.0.1:{port} ")
        running.wait_log("spawned uWSGI master process")
        return running, port

    return start


def ask(port, method="GET", path="/", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


def test_the_page_and_who_is_answered(started):
    _, port = started()
    status, headers, body = ask(port)
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'" and policy["connect-src"] == "'self'" and policy["frame-ancestors"] == "'none'"
    assert not re.search(rb'(src|href)="(?!data:)', body), "it needs nothing else"
    head = ask(port, "HEAD")
    assert (head[0], head[1]["Content-Length"], head[2]) == (200, str(len(body)), b"")
    assert ask(port, "HEAD", "/events")[0] == 200
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        status, headers, _ = ask(port, method)
        assert (status, headers["Allow"]) == (405, "GET, HEAD"), method
    assert ask(port, "POST", "/events")[0] == 405
    assert ask(port, path="/nowhere")[0] == 404
    for host in ("localhost", f"127.0.0.1:{port}", "[::1]:80"):
        assert ask(port, Host=host)[0] == 200, host
    for host in ("evil.example", f"evil.example:{port}"):
        assert ask(port, Host=host)[0] == 421, host
    assert ask(port, path="/events", Host="evil.example")[0] == 421
    assert ask(port, path="/events", Sec_Fetch_Site="cross-site")[0] == 403


def test_a_colon_and_a_port_are_this_machine_only(started):
    _, port = started(address=":{}")
    with socket.socket() as other:
        other.bind(("127.0.0.2", port))  # it would be in use, were all addresses served
    assert ask(port)[0] == 200


def test_the_stream_goes_on_through_reloads(started, way):
    running, port = started()
    with watch(port) as stream:
        name, text = stream.event()
        assert name == "history" and json.loads(text)["length"] == 600
        before = stream.state()
        assert before["instance"]["pid"] == running.pid and len(before["workers"]) == 2 and before["reloads"] == []
        for _ in range(5):
            assert get(way.port).text == "hello"
        stream.state(lambda s: s["totals"]["requests"] == 5 and s["totals"]["responses"][2] == 5)
        running.signal(signal.SIGHUP)
        after = stream.state(lambda s: s["reloads"])
        assert after["reloads"][0]["problem"] == "" and after["totals"]["reloads"] == 1
        assert after["totals"]["requests"] == 5, "what was counted before the reload stays"
        assert {w["pid"] for w in after["workers"]}.isdisjoint(w["pid"] for w in before["workers"])
        running.write("app.py", "raise RuntimeError('<broken>')")
        running.signal(signal.SIGHUP)
        failed = stream.state(lambda s: len(s["reloads"]) == 2)
        assert failed["reloads"][0]["problem"].endswith("app.py:1: RuntimeError: <broken>") and failed["totals"]["failed_reloads"] == 1
        assert [f["level"] for f in failed["findings"] if f["about"] == "reloads"] == ["bad"]
        assert get(way.port).text == "hello"
    with watch(port) as late:
        history = json.loads(late.event()[1])
        assert sum(history["reloads"]) == 1 and sum(history["failed_reloads"]) == 1
        assert any(v and v > 0 for v in history["requests"]) and any(v and v > 0 for v in history["p95"])
        assert all(len(history[key]) == len(history["t"]) for key in history if key not in ("t", "length"))


def test_what_clients_send_is_only_text(started, way):
    """A request in hand is shown, oldest first, with nothing in it that is not printable."""
    running, port = started("--harakiri", "60", "--buffer-size", "8192")
    with socket.create_connection(("127.0.0.1", way.port)) as client, watch(port) as stream:
        client.sendall(b"GET " + HOSTILE + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        seen = stream.state(lambda s: s["requests"])
        request = seen["requests"][0]
        assert request["uri"].startswith("/slow?<script>alert(1)</script>&x='\"\\xff\\xe2\\x80\\xae") and len(request["uri"]) < 200
        assert request["method"] == "GET" and request["addr"] == "127.0.0.1" and 0 < request["harakiri"] <= 60
        assert seen["in_hand"] == 1 and [w["in_hand"] for w in seen["workers"] if w["oldest"]] == [1]
        name, text = stream.event()
        assert "<" not in text and text.isprintable()
        running.write("release", "")
        stream.state(lambda s: not s["requests"])


def test_a_harakiri_is_told(started, way):
    _, port = started("--harakiri", "1")
    with Connection(way.port, timeout=60) as victim, watch(port) as stream:
        victim.send("/slow")
        state = stream.state(lambda s: s["totals"]["harakiris"] == 1 and s["findings"])
        assert "1 harakiri in the last minute" in " ".join(f["text"] for f in state["findings"])


def test_viewers_hold_nobody_up(started, way):
    running, port = started()
    with watch(port), watch(port) as stream, socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")  # and reads nothing
        stream.state()
        running.signal(signal.SIGTERM)
        while stream.event():
            pass
        assert running.wait_exit(10) == 0


def test_the_number_of_viewers_is_bounded(started):
    _, port = started()
    with contextlib.ExitStack() as all_of_them:
        for _ in range(32):
            all_of_them.enter_context(watch(port))
        assert ask(port)[0] == 200
        status, headers, _ = ask(port, path="/events")
        assert (status, headers["Retry-After"]) == (503, "10")

    def admitted():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/events")
        with contextlib.closing(connection):
            return connection.getresponse().status == 200

    eventually(admitted)  # those that have gone are noticed with the next event


def test_after_an_upgrade_the_new_master_answers(started):
    running, port = started("--pidfile", "server.pid", "--virtualenv", os.path.dirname(os.path.dirname(os.sys.executable)))
    upgraded, old = Upgraded(running), running.pid
    with watch(port) as stream:
        assert stream.state()["instance"]["pid"] == old
        ended = threading.Event()

        def read():
            with contextlib.suppress(http.client.HTTPException, OSError):
                while stream.event():
                    pass
            ended.set()

        reader = threading.Thread(target=read)
        reader.start()
        os.kill(old, signal.SIGUSR2)
        pid = upgraded.wait_other_than(old)
        assert ended.wait(10)
        reader.join()
    with watch(port) as stream:
        assert stream.state()["instance"]["pid"] == pid


def test_connectors_of_a_service(service):
    port, gone, broker = free_port(), free_port(), free_port()
    service("class Nothing(View):\n    pass\n", {
        "redis_servers": {"cache": {"bind": f"127.0.0.1:{gone}"}},
        "mqtt_servers": {"broker": {"bind": f"mqtt://127.0.0.1:{broker}", "embedded": True}},
    }, args=["--status-page", str(port)])
    with watch(port) as stream:
        state = stream.state(lambda s: [c["status"] for c in s["connectors"]] == ["up", "down"])
        assert state["instance"]["name"] == "tested"
        assert [c["name"] for c in state["connectors"]] == ["mqtt.broker", "redis.cache"]
        assert "refused" in state["connectors"][1]["problem"]
        assert [f["level"] for f in state["findings"] if f["about"] == "connectors"] == ["bad"]


@pytest.mark.skipif(not chromium.PROGRAM, reason="chromium is not installed")
def test_chromium_shows_the_workers_without_a_complaint(started, way):
    running, port = started("--harakiri", "60", "--buffer-size", "8192")
    with chromium.Browser() as browser, socket.create_connection(("127.0.0.1", way.port)) as client:
        client.sendall(b"GET " + HOSTILE + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        browser.open(f"http://127.0.0.1:{port}/")
        browser.until("document.querySelectorAll('#workers tbody tr').length === 2")
        browser.until("document.querySelector('#requests tbody')?.textContent.includes('<script>alert(1)</script>')")
        browser.until("document.querySelectorAll('#charts svg path.line').length >= 4")
        assert browser.value("document.scripts.length") == 1
        for width in (1280, 800, 390):
            browser.size(width, 900)
            browser.until(f"document.documentElement.clientWidth <= {width} && document.documentElement.scrollWidth <= {width}")
        running.signal(signal.SIGHUP)
        running.write("release", "")
        browser.until("document.querySelector('#reloads')?.textContent.includes('done')")
        assert browser.problems == []
