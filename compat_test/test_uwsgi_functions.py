"""Functions of the `uwsgi` module, as an application calls them within a request."""
import ast
import importlib.util
import os
import signal
import socket

import protocols
import pytest
from http_client import Connection, eventually
from server import ROOT

ASKED = """
import os, time, uwsgi

def application(environ, start_response):
    text = repr(eval(environ["QUERY_STRING"].replace("%20", " "))).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text]
"""


def ask(transport, code):
    """The value of a Python expression in a worker."""
    with Connection(transport.port) as client:
        reply = client.get("/?" + code.replace(" ", "%20"))
    assert reply.status == 200, (code, reply.status)
    return ast.literal_eval(reply.text)


def exchange(transport, request):
    """All that comes for a request until the connection is closed."""
    with socket.create_connection(("127.0.0.1", transport.port), 10) as s:
        s.sendall(request)
        return b"".join(iter(lambda: s.recv(65536), b""))


def get(path, *headers):
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


SENDING = """
import uwsgi

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/hints":
        uwsgi.send(b"HTTP/1.1 103 Early Hints\\r\\nLink: </a.css>\\r\\n\\r\\n")
        start_response("200 OK", [("Content-Length", "5")])
        return [b"plain"]
    if path == "/late":
        start_response("200 OK", [("Content-Length", "5")])
        uwsgi.send(b"HTTP/1.1 103 Early Hints\\r\\n\\r\\n")
        return [b"plain"]
    if path == "/closed":
        uwsgi.send(b"HTTP/1.1 200 OK\\r\\n\\r\\nshort")
        uwsgi.close(uwsgi.connection_fd())
        return [b" and never seen"]
    uwsgi.send(b"HTTP/1.1 299 Raw\\r\\n")
    uwsgi.send(uwsgi.connection_fd(), b"X-A: b\\r\\n\\r\\nby hand")
    if path == "/broken":
        raise ZeroDivisionError("after the head")
    return [b", and ", b"the rest"]
"""


def test_a_response_may_be_sent_by_hand(server, transport):
    if transport.name == "nginx":
        pytest.skip("nginx wants a response of its own kind")
    running = server(transport, app=SENDING)
    head = b"HTTP/1.1 299 Raw\r\nX-A: b\r\n\r\nby hand"
    assert exchange(transport, get("/")) == head + b", and the rest"
    assert exchange(transport, get("/broken")) == head  # and no second response behind it
    running.wait_log("ZeroDivisionError: after the head")
    assert exchange(transport, get("/closed")) == b"HTTP/1.1 200 OK\r\n\r\nshort"
    for path in ("/hints", "/late"):
        hints, _, answer = exchange(transport, get(path, "Connection: close")).partition(b"\r\n\r\n")
        assert hints.startswith(b"HTTP/1.1 103 ") and answer.startswith(b"HTTP/1.1 200 OK\r\n") and answer.endswith(b"\r\n\r\nplain"), path


@pytest.mark.parametrize("protocol", protocols.PROTOCOLS)
def test_every_protocol_carries_what_is_sent_by_hand(server, protocol):
    sockets = protocols.Sockets(server, SENDING)
    answer = sockets.post(protocol, b"body")
    if protocol == "fastcgi":
        answer, whole = protocols.stdout(answer)
        assert whole
    assert answer == b"HTTP/1.1 299 Raw\r\nX-A: b\r\n\r\nby hand, and the rest"


SENDFILE = """
import uwsgi

def application(environ, start_response):
    headers = [("Content-Type", "text/plain")]
    if environ["PATH_INFO"] == "/sized":
        headers.append(("Content-Length", "100000"))
    start_response("200 OK", headers)
    assert uwsgi.sendfile("big.txt") is True and uwsgi.sendfile("none.txt") is None
    return []
"""


def test_a_file_is_a_part_of_the_response(server, transport):
    server(transport, ["--http-auto-chunked"], app=SENDFILE, files={"big.txt": "0123456789" * 100000})
    with Connection(transport.port) as client:
        assert client.get("/").body == b"0123456789" * 100000
    with Connection(transport.port) as client:
        assert client.get("/sized").body == b"0123456789" * 10000  # no more than was promised
    head, _, body = exchange(transport, get("/sized", "Connection: close").replace(b"GET", b"HEAD")).partition(b"\r\n\r\n")
    assert b"Content-Length: 100000" in head and body == b""


CHUNKS = """
import uwsgi

class Stream:  # as uwsgi-chunked has it
    def read(self):
        return list(iter(uwsgi.chunked_read_nb, b""))

def application(environ, start_response):
    environ["wsgi.input"] = Stream()
    try:
        parts = environ["wsgi.input"].read()
        assert uwsgi.chunked_read(1) == uwsgi.chunked_read() == b""
        text = repr([(len(part), part[:1]) for part in parts])
    except OSError as error:
        text = repr("refused")
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text.encode()]
"""


@pytest.mark.parametrize("size", [1, 3 << 20])
def test_chunks_come_one_by_one(server, http, size):
    server(http, app=CHUNKS)
    head = get("/", "Transfer-Encoding: chunked", "Connection: close").replace(b"GET", b"POST")
    chunks = b"3\r\nabc\r\n%x;ext=1\r\n%s\r\n4\r\ndefg\r\n0\r\nTrailer: x\r\n\r\n" % (size, b"x" * size)
    answer = exchange(http, head + chunks).partition(b"\r\n\r\n")[2]
    assert ast.literal_eval(answer.decode()) == [(3, b"a"), (size, b"x"), (4, b"d")]
    answer = exchange(http, get("/", "Content-Length: 3", "Connection: close").replace(b"GET", b"POST") + b"abc")
    assert answer.endswith(b"'refused'")


AFTER = ASKED + """
def after():
    if os.path.exists("fail"):
        raise ZeroDivisionError("of the hook")
    while not os.path.exists("release"):
        time.sleep(0.01)
    with open("after", "a") as f:
        f.write(uwsgi.env["QUERY_STRING"] + "\\n")
uwsgi.after_req_hook = after
"""


def test_the_client_has_its_response_before_after_req_hook_ends(server, http):
    running = server(http, app=AFTER)
    assert ask(http, "1") == 1
    assert not (running.dir / "after").exists()
    running.write("release", "")
    assert ask(http, "2") == 2
    eventually(lambda: (running.dir / "after").read_text() == "1\n2\n")
    running.write("fail", "")
    pid = ask(http, "os.getpid()")
    running.wait_log("ZeroDivisionError: of the hook")
    assert ask(http, "os.getpid()") == pid


def test_figures_of_workers(server, http):
    running = server(http, ["--master", "--processes", "2", "--memory-report", "--chdir", "."], app=ASKED)
    eventually(lambda: all(one["pid"] for one in ask(http, "uwsgi.workers()")))
    one, two = ask(http, "uwsgi.workers()")
    assert {one["pid"], two["pid"]} < set(running.processes()) and sorted((one["status"], two["status"])) == [b"busy", b"idle"]
    assert one["respawn_count"] == two["respawn_count"] == 0
    assert abs(one["last_spawn"] - ask(http, "uwsgi.started_on")) < 60 and 1 << 20 < one["rss"] < one["vsz"]
    (app,) = one["apps"]
    assert (app["id"], app["mountpoint"], app["requests"], app["chdir"]) == (0, b"", one["requests"], os.fsencode(running.dir))
    assert ask(http, "uwsgi.workers() is uwsgi.workers() and uwsgi.workers()[0] is uwsgi.workers()[0]")
    victim = ask(http, "uwsgi.worker_id()")
    before = ask(http, "uwsgi.workers()")[victim - 1]
    running.signal_process(before["pid"], signal.SIGKILL)

    def replaced():
        after = ask(http, "uwsgi.workers()")[victim - 1]
        return after["pid"] not in (0, before["pid"]) and after["respawn_count"] == 1 and after

    after = eventually(replaced)
    assert after["requests"] >= before["requests"] > 0 and after["delta_requests"] < after["requests"]


def test_what_the_configuration_says_by_placeholders(server, http):
    ini = "[uwsgi]\nwsgi-file = app.py\nmode = live\nset = where=%d\n"
    running = server(http, ["--ini", "u.ini"], files={"u.ini": ini, "app.py": ASKED})
    table, version, mode, where = ask(http, "(uwsgi.magic_table, uwsgi.version, uwsgi.mode, uwsgi.opt['where'])")
    assert table[b"d"] == where == os.fsencode(running.dir) + b"/"
    assert (table[b"n"], table[b"V"], table[b"h"], mode) == (b"u", version, os.fsencode(socket.gethostname()), b"live")


def test_what_add_var_adds_is_in_the_log(server, http):
    running = server(http, ["--log-format", "added=%(var.COLOUR)"], app=ASKED)
    assert ask(http, "uwsgi.add_var('COLOUR', 'red')") is True
    running.wait_log(r"^added=red$")


def test_every_name_of_the_documentation_is_there_with_its_option(server, http):
    spec = importlib.util.spec_from_file_location("write_python_api", ROOT / "docs/python_api/write.py")
    api = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(api)
    rows = [row for row in api.rows("uwsgi") if api.available(row) and not row.section.startswith("Hooks")]
    options = ["--queue", "10", "--sharedarea", "1", "--py-sharedarea", "4096", "--spooler", "jobs", "--mode", "live", "--pidfile", "x.pid",
               "--snmp"]
    assert {row.status[5:] for row in rows if row.status.startswith("with ")} <= {option.lstrip("-") for option in options}
    server(http, ["--master", *options], app=ASKED)
    names = [row.name for row in rows]
    for some in (names[at:at + 40] for at in range(0, len(names), 40)):
        assert ask(http, f"[n for n in {some!r} if not hasattr(uwsgi,n)]".replace(", ", ",")) == []
