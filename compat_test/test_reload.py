"""SIGHUP under load: no request is lost, new code follows old, and broken code changes nothing."""
import re
import signal
import time

import pytest
from apps import versioned
from http_client import Broken, Connection, eventually, get
from load import Load
from server import alive

MASTER = ["--master", "--processes", "2", "--disable-logging"]


def version_of(text):
    return int(text.split()[0])


def reload_to(server, load, version):
    """Put code of that version in place and reload; return when the last worker of older code has gone."""
    server.write("app.py", versioned(version))
    server.signal(signal.SIGHUP)
    eventually(lambda: any(version_of(text) == version for text in list(load.texts)), 20)
    older = [int(text.split()[1]) for text in list(load.texts) if version_of(text) < version]
    eventually(lambda: not any(alive(pid) for pid in older), 20)


def test_twenty_reloads_under_load(server, transport):
    """Every request is answered, each version of the code serves, and none comes back after it was replaced."""
    running = server(transport, MASTER, app=versioned(0))
    replaced = {}
    with Load(transport) as load:
        load.wait_for(20)
        for version in range(1, 21):
            reload_to(running, load, version)
            replaced[version] = time.monotonic()
    assert load.failures() == []
    assert list(dict.fromkeys(version_of(text) for text in load.texts)) == list(range(21))
    late = [(version, request) for version, moment in replaced.items() for request in load.requests
            if request.sent > moment and version_of(request.text) < version]
    assert late == []
    assert running.running()


@pytest.mark.parametrize("broken, named", [
    ("raise RuntimeError('no such luck')", "RuntimeError: no such luck"),
    ("def application(:", "SyntaxError"),
    ("import a_module_that_is_not_there", "a_module_that_is_not_there"),
    ("import os; os._exit(7)", "status 7"),
])
def test_broken_code_leaves_the_service_unharmed(server, transport, broken, named):
    """The old workers go on, the log names the error, and mended code is served after the next reload."""
    running = server(transport, MASTER, app=versioned(1))
    with Load(transport) as load:
        load.wait_for(20)
        before = len(running.log())
        running.write("app.py", broken)
        running.signal(signal.SIGHUP)
        eventually(lambda: re.search(named, running.log()[before:]), 20)
        load.wait_for(50)
        reload_to(running, load, 2)
    assert load.failures() == []
    assert {version_of(text) for text in load.texts} == {1, 2}


def test_reload_waits_for_no_silent_client(server, transport):
    """A client that holds a connection without a word, and one that has sent half a request, delay nothing."""
    running = server(transport, MASTER, app=versioned(1))
    silent, half = Connection(transport.port), Connection(transport.port)
    silent.open()
    half.open()
    half.socket.sendall(b"GET / HTTP/1.1\r\nHost: local")
    running.write("app.py", versioned(2))
    running.signal(signal.SIGHUP)
    eventually(lambda: version_of(get(transport.port).text) == 2, 8)
    half.socket.sendall(b"host\r\n\r\n")
    assert half.receive().status == 200


def test_request_in_flight_outlives_the_reload(server, transport):
    """A request that the old code is answering is answered by the old code, while new ones get the new code."""
    running = server(transport, MASTER, app=versioned(1))
    held = Connection(transport.port, timeout=30)
    held.send("/hold/one")
    eventually((running.dir / "held-one").exists)
    running.write("app.py", versioned(2))
    running.signal(signal.SIGHUP)
    eventually(lambda: version_of(get(transport.port, timeout=20).text) == 2, 20)
    running.write("release", "")
    assert version_of(held.receive().text) == 1


@pytest.mark.parametrize("option", ["--fs-reload", "--fs-brutal-reload"])
def test_a_change_that_the_kernel_tells_of(server, transport, option):
    """A file that is written reloads once; one that comes later, and a replaced one, do so too."""
    running = server(transport, [*MASTER, option, "app.py", option, "late"], app=versioned(0))

    def is_served(version):
        try:
            return version_of(get(transport.port).text) == version
        except (OSError, Broken):
            if "brutal" not in option:
                raise
            return False  # workers that are killed answer nobody

    def serves(version):
        return eventually(lambda: is_served(version), 20)

    serves(0)
    running.write("app.py", versioned(1))
    serves(1)
    (running.dir / "new.py").write_text(versioned(2))
    (running.dir / "new.py").rename(running.dir / "app.py")
    serves(2)
    reloads = running.log().count("has changed... reloading")
    running.write("late", "")
    eventually(lambda: running.log().count("has changed... reloading") > reloads, 20)
