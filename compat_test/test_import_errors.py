"""An application that does not load: the log shows its own frames and ends with one line that says where and what."""
import re
import socket

import pytest
from http_client import eventually, get
from server import free_port

APP = "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'']\n"


@pytest.mark.parametrize("more", [[], ["--lazy-apps"]], ids=["plain", "lazy-apps"])
@pytest.mark.parametrize("files, args, line", [
    ({"app.py": "import other\n", "other.py": "\nimport not_there\n"}, ["--module", "app"],
     r"^\S+/other\.py:2: ModuleNotFoundError: No module named 'not_there'$"),
    ({"app.py": "x = \n"}, ["--wsgi-file", "app.py"], r"^app\.py:1: SyntaxError: invalid syntax$"),
    ({"app.py": "def create_app(): pass\n"}, ["--module", "app:wsgi"],
     r"^module app \(\S+/app\.py\): there is no 'wsgi' in it; what can be called there: create_app$"),
], ids=["import", "syntax", "callable"])
def test_the_last_line_before_the_end(server, files, args, line, more):
    running = server(None, ["--master", "--need-app", "--http-socket", f"127.0.0.1:{free_port()}", *args, *more], files=files)
    assert running.wait_exit() == 22
    log = running.log()
    assert re.search(line, log, re.M), log
    assert re.search(line + r"\nunable to load app 0", log, re.M), log
    assert "envoxyd_worker" not in log and "importlib" not in log


def test_a_failed_reload_says_it_too(server):
    port = free_port()
    running = server(None, ["--master", "--http-socket", f"127.0.0.1:{port}", "--need-app"], app=APP).wait_port(port)
    assert get(port).status == 200
    running.write("app.py", "1 / 0\n")
    running.signal(1)
    running.wait_log(r"^app\.py:1: ZeroDivisionError: division by zero$")
    assert get(port).status == 200


def test_a_port_that_the_previous_generation_holds(server):
    """What starts where os.getpid() == uwsgi.masterpid() is there; a reload that fails for it says why."""
    port, own = free_port(), free_port()
    starts = ("import os, _socket, uwsgi\nif os.getpid() == uwsgi.masterpid():\n    server = _socket.socket()\n"
              f"    server.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)\n    server.bind(('127.0.0.1', {own}))\n"
              "    server.listen(5)\n")
    running = server(None, ["--master", "--http-socket", f"127.0.0.1:{port}", "--need-app"], app=starts + APP).wait_port(port)
    assert get(port).status == 200
    socket.create_connection(("127.0.0.1", own)).close()
    running.signal(1)
    running.wait_log("Address already in use.*\n.* previous generation, .* may hold that address.*\nunable to load app 0")
    running.wait_log("reload failed")
    assert get(port).status == 200


def test_autoreload_goes_on_after_a_reload_that_failed(server):
    """It asks once for each change: what is broken stays alone until it is mended."""
    port = free_port()
    running = server(None, ["--master", "--http-socket", f"127.0.0.1:{port}", "--need-app", "--py-autoreload", "1"], app=APP)
    running.wait_port(port)
    assert get(port).status == 200
    for attempt in (1, 2):
        running.write("app.py", f"1 / 0  # {attempt}\n")
        eventually(lambda: running.log().count("reload failed") == attempt)
    assert running.log().count("has been modified") == 2
    running.write("app.py", APP.replace("b''", "b'mended'"))
    eventually(lambda: get(port).text == "mended")
    assert running.log().count("reload failed") == 2
