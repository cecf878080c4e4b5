"""The master's fifo: each command does something, or the log says why it does not."""
import os

import pytest
from apps import ANSWER, versioned
from http_client import Broken, eventually, get
from transports import http_socket


@pytest.fixture
def transport():
    return http_socket()


def write(running, commands, name="fifo"):
    """Write to the fifo, once the master reads it."""
    def sent():
        try:
            descriptor = os.open(running.dir / name, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return False
        os.write(descriptor, commands)
        os.close(descriptor)
        return True
    eventually(sent)


def start(server, transport, *options, app=None):
    running = server(transport, ["--master", "--master-fifo", "fifo", *options], app=app or versioned(1))
    if app is None:
        running.wait_log("spawned uWSGI master process")
    return running


def pid(port):
    return int(get(port).text.split()[-1])


@pytest.mark.parametrize("command, said", [
    (b"B", "command B is not there: .*let cheaper add workers"),
    (b"E", "command E is not there: .*looks every emperor-freq seconds"),
    (b"f", "command f is not there: .*SIGUSR2"),
    (b"S", "command S does nothing: this instance subscribes to no router"),
    (b"x", r"'x' is no command; there are \+ - \(workers\), c \(chain reload\)"),
    (b"\xff", "'ÿ' is no command"),
    (b"+", "does not change without --cheaper"),
])
def test_what_is_no_command_is_told(server, transport, command, said):
    running = start(server, transport)
    first = pid(transport.port)
    write(running, command)
    running.wait_log(said)
    assert pid(transport.port) == first


def test_line_ends_are_nothing(server, transport):
    running = start(server, transport)
    write(running, b" \t\r\n\ns\n")
    running.wait_log("workers total requests")
    assert "no command" not in running.log()


def test_what_is_no_text_has_one_line_in_a_second(server, transport):
    running = start(server, transport)
    write(running, b"xyz" * 1000 + b"s")
    running.wait_log("workers total requests")
    assert 1 <= running.log().count("is no command") <= 3


def test_workers_that_do_not_serve_yet(server, transport):
    loading = f"""
import os, time
while not os.path.exists("go"):
    time.sleep(0.01)
{ANSWER}
def application(environ, start_response):
    return answer(start_response, str(os.getpid()))
"""
    running = start(server, transport, app=loading)
    write(running, b"pc")
    running.wait_log("command p does nothing: there are no workers that serve")
    running.wait_log("command c does nothing")
    running.write("go", "")
    assert pid(transport.port)
    assert "PAUSE" not in running.log()


def test_workers_that_are_asleep(server, transport):
    running = start(server, transport, "--processes", "2", "--cheaper", "1")
    pid(transport.port)
    write(running, b"C")
    running.wait_log("cheap mode enabled")
    write(running, b"+")
    running.wait_log("does not change while they are asleep")
    assert pid(transport.port)


@pytest.mark.parametrize("command", [b"w", b"W", b"c", b"r", b"R"])
def test_commands_that_replace_workers(server, transport, command):
    running = start(server, transport, "--lazy-apps" if command == b"c" else "--need-app")
    first = pid(transport.port)

    def successor():
        try:
            return pid(transport.port) != first
        except (OSError, Broken):  # it was a brutal one
            return False

    write(running, command)
    eventually(successor, 20)


def test_commands_for_the_log(server, transport):
    running = server(transport, ["--master", "--master-fifo", "fifo", "--logto", "log"], app=versioned(1))
    eventually(lambda: "spawned uWSGI master process" in (running.dir / "log").read_text())
    os.rename(running.dir / "log", running.dir / "old")
    write(running, b"l")
    eventually(lambda: (running.dir / "log").exists())
    write(running, b"L")
    eventually(lambda: list(running.dir.glob("log.*")))
