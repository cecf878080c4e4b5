"""Reloads and stops under TLS: no request fails of clients that keep their connections, HTTP/1.1 or HTTP/2."""
import shutil
import signal
import threading
import time

import pytest
from apps import ANSWER
from http_client import Connection, eventually
from load import Load
from sites import client

pytest.importorskip("h2")
from http2_client import Gone, Http2  # noqa: E402

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")

APP = f"""
import os, time
{ANSWER}
def application(environ, start_response):
    name, _, argument = environ["PATH_INFO"][1:].partition("/")
    if name == "pid":
        return answer(start_response, str(os.getpid()))
    if name == "hold":
        open("held-" + argument, "w").close()
        while not os.path.exists("release"):
            time.sleep(0.01)
    return answer(start_response, "held" if name == "hold" else "hello")
"""


class Reached:
    """What Load wants to know."""

    def __init__(self, one):
        self.port, self.keeps, self.context = one.port, True, client()


@pytest.mark.parametrize("args", [
    ["--processes", "2"], ["--processes", "2", "--max-requests", "50"], ["--processes", "3", "--cheaper", "1", "--cheaper-initial", "1"],
], ids=["plain", "max-requests", "cheaper"])
@pytest.mark.parametrize("option", ["https", "https-socket"])
def test_reloads_under_load(site, option, args, authority):
    one = site(option, args=[*args, "--disable-logging", "--http-keepalive=30"])
    with Load(Reached(one), clients=6) as load:
        for number in range(2):
            load.wait_for(60)
            if number:
                authority.issue("site")  # another certificate in its place
            one.server.signal(signal.SIGHUP)
            time.sleep(0.3)
        load.wait_for(150)
    assert load.failures() == []


def test_a_kept_connection_that_idles_over_a_reload(site):
    one = site("https", args=["--processes", "1", "--disable-logging", "--http-keepalive=30"])
    with Connection(one.port, keep=True, context=client()) as connection:
        first = connection.get("/pid").text
        one.server.signal(signal.SIGHUP)
        eventually(lambda: one.get("/pid").decode() != first)
        assert connection.get("/hello").text == "hello"


class Reconnecting:
    """A client that goes on at another connection when it is told that its stream was not looked at (GOAWAY)."""

    def __init__(self, one):
        self.one, self.http = one, None

    def ask(self, path):
        while True:
            if self.http is None or self.http.goaway:
                self.close()
                self.http = Http2(self.one)
            number = self.http.start(path)
            try:
                return self.http.wait(number)
            except (Gone, ConnectionError):
                if self.http.goaway is None or self.http.goaway.last_stream_id >= number:
                    raise

    def close(self):
        if self.http:
            self.http.socket.close()


@pytest.mark.parametrize("args", [["--processes", "2"], ["--processes", "2", "--max-requests", "40"]], ids=["plain", "max-requests"])
def test_reloads_under_load_of_http_2(site, args):
    one = site(args=[*args, "--disable-logging"])
    failures, answered, over = [], [0] * 4, threading.Event()

    def load(index):
        reached = Reconnecting(one)
        while not over.is_set():
            try:
                stream = reached.ask("/hello")
                assert stream.body == b"hello", (stream.status, stream.reset)
                answered[index] += 1
            except Exception as error:
                failures.append(repr(error))
                return
            if index == 0:  # a new connection each time
                reached.close()
                reached.http = None

    clients = [threading.Thread(target=load, args=(index,)) for index in range(4)]
    for thread in clients:
        thread.start()
    for _ in range(3):
        goal = sum(answered) + 60
        eventually(lambda: failures or sum(answered) >= goal, 20)  # noqa: B023
        one.server.signal(signal.SIGHUP)
        time.sleep(0.3)
    goal = sum(answered) + 100
    eventually(lambda: failures or sum(answered) >= goal, 20)
    over.set()
    for thread in clients:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM], ids=["reload", "stop"])
def test_streams_in_flight_are_finished(site, number):
    one = site(args=["--processes", "1", "--threads", "3", "--disable-logging"])
    with Http2(one) as http:
        held = [http.start(f"/hold/{index}") for index in range(2)]
        for index in range(2):
            eventually(lambda: (one.server.dir / f"held-{index}").exists())  # noqa: B023
        one.server.signal(number)
        http.until(lambda: http.goaway)
        one.server.write("release", "")
        assert [http.wait(stream).body for stream in held] == [b"held", b"held"]
