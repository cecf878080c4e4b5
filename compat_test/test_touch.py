"""Files whose change does something: every touch option but those of the log and of signals, which have tests of their own."""
import itertools
import os
import time

import pytest
from apps import versioned
from http_client import eventually, get
from transports import http_socket


@pytest.fixture
def transport():
    return http_socket()


SECONDS = itertools.count(100)


def touch(path):
    """Give it a time of change that it has never had."""
    path.touch()
    stamp = time.time() + next(SECONDS)
    os.utime(path, (stamp, stamp))


def start(server, transport, *options, files=None):
    running = server(transport, ["--master", *options], app=versioned(1), files=files)
    running.wait_log("spawned uWSGI master process")
    return running


def answer(port):
    version, pid = get(port).text.split()
    return version, int(pid)


TOUCHES = [
    ("touch-reload", [], "2", r"f has been touched... grace them all !!!"),
    ("touch-workers-reload", [], "1", r"f has been touched... workers reload !!!"),
    ("touch-workers-reload", ["--lazy-apps"], "2", r"f has been touched... workers reload !!!"),
    ("touch-chain-reload", ["--lazy-apps"], "2", r"f has been touched... chain reload !!!"),
]
CHANGES = [("fs-reload", [], "2", r"f has changed... reloading"), ("fs-brutal-reload", [], "2", r"f has changed... reloading")]


@pytest.mark.parametrize("option, more, version, said, there",
                         [(*one, there) for one in TOUCHES for there in (True, False)] + [(*one, True) for one in CHANGES])
def test_workers_are_replaced(server, transport, option, more, version, said, there):
    """By a file that is there from the start, or is made later."""
    running = start(server, transport, f"--{option}", "f", *more, files={"f": ""} if there else {})
    _, first = answer(transport.port)
    running.write("app.py", versioned(2))
    touch(running.dir / "f")

    def replaced():
        try:
            return answer(transport.port)
        except (OSError, ValueError):
            return None

    eventually(lambda: (replaced() or ("", first))[1] != first, 20)
    eventually(lambda: (replaced() or ("", 0))[0] == version)
    running.wait_log(said)


def test_spoolers_are_replaced_alone(server, transport):
    running = start(server, transport, "--spooler", "jobs", "--touch-spoolers-reload", "f", files={"f": ""})
    spawned = r"spawned the uWSGI spooler on dir .* with pid (\d+)"
    first = running.wait_log(spawned)[1]
    _, worker = answer(transport.port)
    touch(running.dir / "f")
    running.wait_log("f has been touched... reloading all the spoolers !!!")
    eventually(lambda: int(first) not in running.processes())
    running.wait_log(rf"(?s)with pid {first}.*{spawned}")
    assert answer(transport.port) == ("1", worker)


@pytest.mark.parametrize("option, act, fails", [("touch-exec", "echo done >> made", "false"),
                                                ("hook-touch", "appendn:made done", "exec:false")])
def test_something_is_done_each_time(server, transport, option, act, fails):
    running = start(server, transport, f"--{option}", f"f {act}", f"--{option}", f"g {fails}", files={"f": "", "g": ""})
    made = running.dir / "made"
    for count in (1, 2):
        touch(running.dir / "f")
        eventually(lambda count=count: made.exists() and made.read_text() == "done\n" * count)
    touch(running.dir / "g")  # what fails is told, and ends nothing
    running.wait_log("exited with non-zero code: 1")
    assert get(transport.port).status == 200
