"""What a person at a terminal sees; pipes and files get the lines as they are."""
import os
import pty
import re
import signal
import subprocess

import pytest
from http_client import eventually, get
from server import BINARY, free_port

HELLO = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]
"""


@pytest.fixture
def at_terminal(tmp_path):
    """A factory of servers whose standard error is a terminal; returns the port and a function that reads what has been shown."""
    started = []

    def start(*args, env=None):
        (tmp_path / "app.py").write_text(HELLO)
        port = free_port()
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [BINARY, "--http-socket", f"127.0.0.1:{port}", "--wsgi-file", "app.py", "--master", *args],
            cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm", **(env or {})},
        )
        os.close(theirs)
        os.set_blocking(ours, False)
        started.append((process, ours))
        seen = bytearray()

        def shown():
            try:
                while piece := os.read(ours, 1 << 16):
                    seen.extend(piece)
            except (BlockingIOError, OSError):
                pass
            return seen.decode().replace("\r\n", "\n")

        return port, shown

    yield start
    for process, ours in started:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
        os.close(ours)


def test_a_summary_and_short_lines_in_colour(at_terminal):
    port, shown = at_terminal()
    eventually(lambda: "Ctrl-C, or kill -INT" in shown())
    assert get(port, "/hello?x").status == 200
    eventually(lambda: "GET /hello?x" in shown())
    text = shown()
    assert f"  listening   http://127.0.0.1:{port}/ (http)\n" in text and "  application app.py\n" in text
    assert "\x1b[1;32menvoxyd is ready after" in text and "\x1b[33m*** WARNING" in text or os.geteuid() != 0
    assert re.search(r"^\x1b\[2mspawned uWSGI master process \(pid: \d+\)\x1b\[0m$", text, re.M)
    assert re.search(r"^\x1b\[2m\d\d:\d\d:\d\d\x1b\[0m \x1b\[32m200\x1b\[0m GET /hello\?x\x1b\[2m \d+ B \d+\.\d ms\x1b\[0m$", text, re.M)
    assert "[pid: " not in text


def test_no_color_leaves_words_alone(at_terminal):
    port, shown = at_terminal(env={"NO_COLOR": "1"})
    eventually(lambda: "Ctrl-C" in shown())
    get(port, "/x")
    eventually(lambda: re.search(r"^\d\d:\d\d:\d\d 200 GET /x ", shown(), re.M))
    assert "\x1b" not in shown()


def test_never_shows_what_a_file_would_have(at_terminal):
    port, shown = at_terminal("--log-color", "never")
    eventually(lambda: "spawned uWSGI master process" in shown())
    get(port, "/x")
    eventually(lambda: re.search(r"^\[pid: \d+\|app: 0\|req: 1/1\] .* GET /x => ", shown(), re.M))
    assert "\x1b" not in shown() and "is ready after" not in shown()


@pytest.mark.parametrize("transport", ["http-socket"], indirect=True)
def test_a_pipe_gets_neither(server, transport):
    running = server(transport, ["--master"], app=HELLO)
    get(transport.port, "/x")
    running.wait_log(r"^\[pid: \d+\|app: 0\|req: 1/1\] .* GET /x => ")
    assert "\x1b" not in running.log() and "is ready after" not in running.log()
