"""Request bodies that do not fit into memory: the application sees a whole body or none, whatever the disk does."""
import hashlib
import os
import socket

import pytest
from apps import ANSWER
from http_client import Connection, get
from protocols import PROTOCOLS, Sockets, status
from transports import http

# Answers how the body reads; notes in the file `seen` that the application was entered.
APP = f"""
import hashlib, os
{ANSWER}
def truncate():
    for name in os.listdir("/proc/self/fd"):
        path = f"/proc/self/fd/{{name}}"
        if os.path.lexists(path) and os.readlink(path).startswith("/tmp/#"):
            os.truncate(path, 1_000_000)

def application(environ, start_response):
    body = environ["wsgi.input"]
    if environ["REQUEST_METHOD"] != "POST":
        return answer(start_response, "small")
    open("seen", "a").write("x")
    path = environ["PATH_INFO"]
    if path.startswith("/truncated"):
        truncate()
        path = path[len("/truncated"):]
    if path == "/lines":
        data = b"".join(body)
    elif path == "/pieces":
        data = b"".join(iter(lambda: body.read(70_000) + body.readline(100), b""))
    else:
        data = body.read()
    return answer(start_response, f"{{len(data)}} {{hashlib.sha256(data).hexdigest()}}")
"""

ROOT = os.geteuid() == 0
# TMPDIR on a disk of 1 MB, which nobody else sees.
SMALL_DISK = ["unshare", "-m" if ROOT else "-Urm", "sh", "-c", 'mkdir disk && mount -t tmpfs -o size=1m disk disk && exec "$@"', "sh"]

WAYS = pytest.mark.parametrize("protocol", PROTOCOLS)


def digest(body):
    return f"{len(body)} {hashlib.sha256(body).hexdigest()}".encode()


def random_lines(size):
    return (os.urandom(1 << 16).replace(b"\n", b"N") * (size >> 16) + os.urandom(size & 0xffff))[:size]


@WAYS
@pytest.mark.parametrize("over", [1, 100_000, 3 << 20])
def test_a_body_for_which_the_disk_has_no_room(server, protocol, over):
    """507, a log line, and no request is lost with it; what does fit is read as it was sent."""
    sockets = Sockets(server, APP, wrapper=SMALL_DISK, env={"TMPDIR": "disk"})
    answer = sockets.post(protocol, os.urandom((1 << 20) + over))
    assert status(answer) == 507
    assert not (sockets.running.dir / "seen").exists()
    sockets.running.wait_log(r"request body: .*no space left on device.*answered with 507")
    assert "Client closed" not in sockets.running.log()
    body = os.urandom(1 << 20)
    assert digest(body) in sockets.post(protocol, body)
    assert get(sockets.ports["http-socket"]).text == "small"
    assert "died" not in sockets.running.log() and "DAMN" not in sockets.running.log()


@WAYS
@pytest.mark.parametrize("path", ["/", "/lines", "/pieces"])
def test_a_body_in_a_file_is_read_as_it_was_sent(server, protocol, path):
    sockets = Sockets(server, APP)
    sockets.path = path
    body = b"\n".join((random_lines(200_000), b"", b"x" * 65_535, b"y" * 65_536, os.urandom(2 << 20), b"z"))
    assert digest(body) in sockets.post(protocol, body)


def test_a_refused_upload_gets_its_answer(server):
    """Far more is on its way than fits: the client has the answer and no reset."""
    sockets = Sockets(server, APP, wrapper=SMALL_DISK, env={"TMPDIR": "disk"})
    with Connection(sockets.ports["http-socket"], timeout=20) as client:
        client.open()
        client.socket.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (20 << 20))
        for _ in range(20):
            client.socket.sendall(bytes(1 << 20))
        assert client.receive().status == 507


READ_ONLY = [*SMALL_DISK[:4], 'mkdir disk && mount -t tmpfs -o ro disk disk && exec "$@"', "sh"]


@WAYS
@pytest.mark.parametrize("wrapper, directory", [((), "none"), ((), "app.py"), (READ_ONLY, "disk")], ids=["missing", "file", "read-only"])
def test_a_temporary_directory_that_cannot_be_used(server, protocol, wrapper, directory):
    """Bodies are kept in memory then, and the log says so."""
    sockets = Sockets(server, APP, wrapper=wrapper, env={"TMPDIR": directory})
    body = os.urandom(3 << 20)
    answer = sockets.post(protocol, body)
    assert status(answer) == 200 and digest(body) in answer
    sockets.running.wait_log(f"large request bodies are kept in memory .*{directory}")


@pytest.mark.parametrize("path", ["/", "/lines", "/pieces"])
def test_a_file_that_ends_early_is_an_error(server, path):
    """It may on a network's or a failing disk: the application gets an exception, and the worker lives."""
    sockets = Sockets(server, APP, env={"TMPDIR": "/tmp"})
    sockets.path = "/truncated" + path
    assert status(sockets.post("http", random_lines(2 << 20))) == 500
    sockets.running.wait_log("OSError: error reading the file of wsgi.input: it is shorter than it was")
    sockets.running.wait_log(r"^\[uwsgi-body-read\] Error reading the file of a request body")
    assert get(sockets.ports["http-socket"]).text == "small"
    assert "died" not in sockets.running.log()


COUNTING_APP = """
def application(environ, start_response):
    size = len(environ["wsgi.input"].read())
    start_response("200 OK", [])
    return [str(size).encode()]
"""


@pytest.mark.parametrize("options, wanted", [
    (["--request-body-files", "3000000"], 413), (["--request-body-files-total", "3000000"], 413),
    (["--request-body-files", "6000000"], 200),
])
def test_a_body_over_the_budget_for_files_is_refused(server, options, wanted):
    transport = http()
    one = server(transport, ["--master", *options], app=COUNTING_APP)
    with socket.create_connection(("127.0.0.1", transport.port)) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.settimeout(20)
        try:
            for _ in range(5):
                client.sendall(b"100000\r\n" + b"x" * (1 << 20) + b"\r\n")
            client.sendall(b"0\r\n\r\n")
        except OSError:
            assert wanted != 200
        reply = client.makefile("rb").read()
    assert reply.startswith(f"HTTP/1.1 {wanted} ".encode()), reply
    if wanted != 200:
        one.wait_log(options[0] + r".*answered with 413")
