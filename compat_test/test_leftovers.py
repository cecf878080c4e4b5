"""What an instance has started ends with it, whatever it does about that."""
import signal

import pytest
from apps import versioned
from http_client import eventually, get

WAYS = pytest.mark.parametrize("transport", ["http-socket"], indirect=True)
DEAF = """
trap "" TERM
sh -c 'trap "" TERM; echo > up-$$; while :; do sleep 1000; done' &
while :; do sleep 1000; done
"""
LEAVING = """
sh -c 'trap "" TERM; echo > up-$$; while :; do sleep 1000; done' &
"""


def start(server, transport, args, script):
    running = server(transport, ["--master", *args], app=versioned("first"), files={"script": script})
    eventually(lambda: list(running.dir.glob("up-*")))
    assert get(transport.listens).text.startswith("first")
    return running


@WAYS
@pytest.mark.parametrize("script", [DEAF, LEAVING], ids=["deaf", "leaving"])
def test_a_daemon_ends_with_its_children(server, transport, script):
    running = start(server, transport, ["--reload-mercy", "1", "--attach-daemon", "sh script"], script)
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    running.wait_gone()


@WAYS
def test_children_of_a_daemon_end_at_a_reload(server, transport):
    running = start(server, transport, ["--reload-mercy", "1", "--attach-daemon", "sh script"], DEAF)
    (first,) = running.dir.glob("up-*")
    running.signal(signal.SIGHUP)
    eventually(lambda: len(list(running.dir.glob("up-*"))) == 2)
    assert int(first.name[3:]) not in running.processes()


@WAYS
def test_a_logger_that_ignores_the_end_of_its_input(server, transport):
    running = start(server, transport, ["--logger", "pipe:sh script"], DEAF)
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    running.wait_gone()
