"""What runs in place of serving (--pyrun, --test), and options of single requests: sendfile, modifiers."""
import socket
import struct
import subprocess

import pytest
from http_client import get
from server import BINARY, free_port
from transports import TRANSPORTS

FILE = """
import os
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return environ["wsgi.file_wrapper"](open("large", "rb"))
"""


def run(directory, *args):
    return subprocess.run([BINARY, *args], cwd=directory, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("ending, status", [("", 0), ("sys.exit(3)", 3), ("sys.exit('words')", 1), ("1 / 0", 1)])
def test_a_script_in_place_of_serving(tmp_path, ending, status):
    (tmp_path / "script.py").write_text(f"import sys, uwsgi\nprint('ran', sys.argv, __name__, uwsgi.opt['pyrun'])\n{ending}\n")
    done = run(tmp_path, "--pyrun", "script.py", "--pyargv", "a b")
    assert done.returncode == status
    assert "ran ['script.py', 'a', 'b'] __main__ b'script.py'" in done.stdout + done.stderr


@pytest.mark.parametrize("module, status", [("fine", 0), ("broken", 1), ("absent", 1)])
def test_whether_a_module_can_be_imported(tmp_path, module, status):
    (tmp_path / "fine.py").write_text("")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    assert run(tmp_path, "-J", module).returncode == status


@pytest.mark.parametrize("name", ["http-socket", "nginx"])
def test_files_without_sendfile(server, name):
    transport = TRANSPORTS[name]()
    try:
        content = "".join(f"{number:07}\n" for number in range(200_000))
        server(transport, ["--master", "--disable-sendfile", "--static-map", "/static=."], app=FILE, files={"large": content})
        assert get(transport.port).text == get(transport.port, "/static/large").text == content
    finally:
        transport.close()


@pytest.mark.parametrize("options, answered", [
    ([], True), (["--allowed-modifiers", "0,111"], False), (["--allowed-modifiers", "0,100"], True)])
def test_modifiers(server, options, answered):
    """Modifier 100 asks whether the server lives."""
    port = free_port()
    running = server(args=["--master", "--socket", f"127.0.0.1:{port}", *options], app=FILE, files={"large": "text"})
    running.wait_port(port)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(struct.pack("<BHB", 100, 0, 0))
        assert bool(client.recv(4)) == answered
    variables = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SCRIPT_NAME": "", "QUERY_STRING": "", "SERVER_PROTOCOL": "HTTP/1.1"}
    words = [word.encode() for pair in variables.items() for word in pair]
    block = b"".join(struct.pack("<H", len(word)) + word for word in words)
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(struct.pack("<BHB", 0, len(block), 0) + block)
        assert b"".join(iter(lambda: client.recv(65536), b"")).endswith(b"text")
    if not answered:
        running.wait_log("unavailable modifier requested: 100")
