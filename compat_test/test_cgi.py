"""CGI programs beside an application: which of them answers, what it is told, and what becomes of it."""
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time

import pytest
from certificates import Authority
from http_client import Connection, eventually, get
from protocols import Sockets, rest_of, status, stdout
from server import alive, free_port

APP = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "3")])
    return [b"app"]
"""

SCRIPTS = {
    "vars.sh": 'printf "Content-Type: text/plain\\n\\n"; env | sort; echo "PWD_IS=$(pwd)"; echo "ARGS=$#"; '
               'echo "FDS=$(echo /proc/$$/fd/*)"; sed -n "s/^SigIgn:\\s*/IGNORED=/p" /proc/$$/status',
    "cat.sh": 'printf "Content-Type: text/plain\\n\\n"; echo "$CONTENT_LENGTH $CONTENT_TYPE"; cat',
    "status.sh": 'printf "Status: 404\\nX-A: b\\n\\nnope"',
    "location.sh": 'printf "Location: /elsewhere\\r\\n\\r\\n"',
    "nph-x.sh": 'printf "HTTP/1.1 299 Fine\\r\\n\\r\\nnph"',
    "length.sh": 'printf "Content-Length: 4\\n\\nbody and more"',
    "short.sh": 'printf "Content-Length: 9\\n\\nbody"',
    "empty.sh": 'exit 3',
    "split.sh": 'printf "X: a\\rSet-Cookie: b\\n\\nbody"',
    "stderr.sh": 'echo "words of a program" >&2; printf "Content-Length: 0\\n\\n"',
    # It tells its number, and says more when there is a file "go".
    "wait.sh": 'echo $$ > "$0.pid"; [ "$QUERY_STRING" = silent ] || printf "Content-Type: text/plain\\n\\nfirst\\n"; '
               'while [ ! -e go ]; do sleep 0.02; done; echo last',
    "endless.sh": 'echo $$ > "$0.pid"; printf "Content-Type: text/plain\\n\\n"; exec cat /dev/zero',
    "background.sh": 'sleep 60 >/dev/null & echo $! > "$0.pid"; printf "Content-Length: 2\\n\\nok"',
}
FILES = {f"cgi/{name}": f"#!/bin/sh\n{text}\n" for name, text in SCRIPTS.items()}


@pytest.fixture
def programs(server):
    """programs(args, **files) is (server, port of --http-socket for CGI programs, port of --socket)."""
    def start(args=(), files=None, mount="/cgi=cgi", app=APP):
        port, other = free_port(), free_port()
        listeners = ["--http-socket", f"127.0.0.1:{port}", "--http-socket-modifier1", "9", "--socket", f"127.0.0.1:{other}"]
        every = {**FILES, **(files or {})}
        one = server(None, ["--master", *listeners, "--cgi", mount, *args], app=app, files=every, wrapper=EXECUTABLE)
        return one.wait_port(port), port, other
    return start


# Files are written without the right to run: the wrapper gives it to them.
EXECUTABLE = ("sh", "-c", 'chmod +x cgi/*.sh; exec "$@"', "sh")


def variables(reply):
    return dict(line.split("=", 1) for line in reply.text.splitlines() if "=" in line)


def ask_uwsgi(port, modifier, **given):
    """The raw answer to a packet of the uwsgi protocol."""
    given = {"REQUEST_METHOD": "GET", "SERVER_PROTOCOL": "HTTP/1.1", "SERVER_NAME": "h", "SERVER_PORT": "80", "QUERY_STRING": "",
             "REQUEST_URI": given.get("PATH_INFO", "/"), **given}
    block = b"".join(struct.pack("<H", len(part)) + part for pair in given.items() for part in map(str.encode, pair))
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(struct.pack("<BHB", modifier, len(block), 0) + block)
        return rest_of(client)


def pid_of(one, name):
    path = one.dir / f"cgi/{name}.pid"
    return int(eventually(lambda: path.exists() and path.read_text().strip()))


def test_what_a_program_is_told(programs):
    one, port, _ = programs()
    with Connection(port) as client:
        client.open()
        client.socket.sendall(b"GET /cgi/vars.sh/a/b?q+r HTTP/1.1\r\nHost: h\r\nProxy: evil\r\nX-Y: z\r\n\r\n")
        told = variables(client.receive())
    expected = {
        "GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET", "SCRIPT_NAME": "/cgi/vars.sh", "PATH_INFO": "/a/b", "QUERY_STRING": "q+r",
        "SCRIPT_FILENAME": f"{one.dir}/cgi/vars.sh", "DOCUMENT_ROOT": f"{one.dir}/cgi", "PATH_TRANSLATED": f"{one.dir}/cgi/a/b",
        "REQUEST_URI": "/cgi/vars.sh/a/b?q+r", "REMOTE_ADDR": "127.0.0.1", "SERVER_PROTOCOL": "HTTP/1.1", "HTTP_X_Y": "z",
        "PWD_IS": f"{one.dir}/cgi", "ARGS": "0", "HOME": os.environ["HOME"],
    }
    assert {name: told.get(name) for name in expected} == expected
    assert "HTTP_PROXY" not in told and "CONTENT_LENGTH" not in told
    ours = {"0", "1", "2", "3", "4", "10"}  # from 3 on: the shell's
    assert {path.rsplit("/", 1)[1] for path in told["FDS"].split()} <= ours, told["FDS"]
    assert int(told["IGNORED"], 16) & 1 << (signal.SIGPIPE - 1) == 0


def test_what_a_program_says(programs):
    one, port, _ = programs()
    for path, expected in {
        "status.sh": (404, "nope"), "location.sh": (302, ""), "nph-x.sh": (299, "nph"), "length.sh": (200, "body"),
        "empty.sh": (500, "Internal Server Error"), "split.sh": (500, "Internal Server Error"), "none.sh": (404, "Not Found"),
        "../app.py": (404, "Not Found"), "%2e%2e/app.py": (404, "Not Found"),
    }.items():
        reply = get(port, f"/cgi/{path}")
        assert (reply.status, reply.text) == expected, path
    assert get(port, "/other").status == 404
    one.wait_log(r"invalid CGI response: it ended before its head did: /cgi/empty\.sh")
    one.wait_log(r"CGI: /cgi/empty\.sh: exit status 3")
    assert get(port, "/cgi/stderr.sh").status == 200
    one.wait_log("^words of a program$")


def test_a_connection_is_kept_where_the_answer_has_an_end(programs):
    _, port, _ = programs()
    with Connection(port, keep=True) as client:
        for _ in range(3):
            assert client.get("/cgi/length.sh").text == "body"
        assert client.opened == 1
        client.socket.sendall(b"GET /cgi/length.sh HTTP/1.1\r\nHost: h\r\n\r\n" * 3)
        assert [client.receive().text for _ in range(3)] == ["body"] * 3
        assert client.get("/cgi/status.sh").text == "nope"  # its end is that of the connection


def test_less_than_was_announced_ends_the_connection(programs):
    one, port, _ = programs()
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(b"GET /cgi/short.sh HTTP/1.1\r\nHost: h\r\n\r\n")
        assert rest_of(client).endswith(b"Content-Length: 9\r\n\r\nbody")
    one.wait_log("is shorter than its Content-Length")


def test_a_head_request_has_no_body(programs):
    _, port, _ = programs()
    for path in ("length.sh", "none.sh"):
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(f"HEAD /cgi/{path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
            answer = rest_of(client)
        assert b"Content-Length: " in answer and answer.endswith(b"\r\n\r\n"), path


@pytest.mark.parametrize("size", [0, 10, 200_000, 3_000_000])
def test_a_body_is_the_programs_input(programs, size):
    _, port, _ = programs()
    body = os.urandom(size)
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        client.sendall(b"POST /cgi/cat.sh HTTP/1.0\r\nHost: h\r\nContent-Type: a/b\r\nContent-Length: %d\r\n\r\n" % size + body)
        answer = rest_of(client).split(b"\r\n\r\n", 1)[1]
    assert answer == (b"%d a/b\n" % size if size else b" a/b\n") + body


def test_a_body_in_chunks_has_a_length_for_the_program(programs):
    _, port, _ = programs()
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(b"POST /cgi/cat.sh HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
                       b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        assert rest_of(client).endswith(b"\r\n\r\n5 \nabcde")


@pytest.mark.parametrize("engine", ["--threads=1", f"--async=2 --home={sys.prefix}"])
def test_no_core_waits_for_a_program(programs, engine):
    """One worker: programs run, and the application answers meanwhile."""
    one, port, other = programs([*engine.split(), "--processes", "1"])
    with Connection(port) as slow:
        slow.send("/cgi/wait.sh")
        pid_of(one, "wait.sh")
        assert ask_uwsgi(other, 0, PATH_INFO="/").endswith(b"\r\n\r\napp")
        one.write("cgi/go", "")
        assert slow.receive().text == "first\nlast\n"
    one.wait_log(r"GET /cgi/wait\.sh => generated 11 bytes in \d+ msecs \(HTTP/1\.1 200\) 1 headers")


def test_output_is_passed_on_as_it_comes(programs):
    one, port, _ = programs()
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(b"GET /cgi/wait.sh HTTP/1.1\r\nHost: h\r\n\r\n")
        answer = b""
        while not answer.endswith(b"first\n"):
            answer += client.recv(4096)
        one.write("cgi/go", "")
        assert rest_of(client) == b"last\n"


def test_as_many_programs_at_once_as_cores(programs):
    """Others wait for its end, as many as the listen queue has room for; one more is turned away."""
    one, port, _ = programs(["--listen", "2"])
    clients = [Connection(port) for _ in range(4)]
    clients[0].send("/cgi/wait.sh")
    pid_of(one, "wait.sh")
    for client in clients[1:]:
        client.send("/cgi/length.sh")
    one.wait_log("more than 3 requests for CGI programs at once")
    one.write("cgi/go", "")
    assert clients[0].receive().text == "first\nlast\n"
    assert sorted(client.receive().status for client in clients[1:]) == [200, 200, 503]


@pytest.mark.parametrize("limit,log", [
    (["--cgi-timeout", "1"], "CGI timeout !!!"), (["--harakiri", "1"], "HARAKIRI ON A CGI PROGRAM"),
])
def test_a_program_that_takes_too_long_is_killed(programs, limit, log):
    one, port, _ = programs(limit)
    reply = get(port, "/cgi/wait.sh?silent")
    assert reply.status == 504
    one.wait_log(f"{log}.*/cgi/wait.sh")
    eventually(lambda: not alive(pid_of(one, "wait.sh")))
    with Connection(port) as client:  # it has begun to answer: only the end of the connection can tell
        client.send("/cgi/wait.sh")
        assert client.receive().text == "first\n"
    assert get(port, "/cgi/length.sh").text == "body"


def test_the_routers_client_does_not_wait_for_ever(server):
    port = free_port()
    one = server(None, ["--http", f"127.0.0.1:{port}", "--http-modifier1", "9", "--http-timeout", "1", "--cgi", "cgi"],
                 files=FILES, wrapper=EXECUTABLE)
    one.wait_port(port)
    assert get(port, "/wait.sh?silent").status == 504
    eventually(lambda: not alive(pid_of(one, "wait.sh")))
    assert get(port, "/length.sh").text == "body"


def test_a_program_may_be_left_running(programs):
    one, port, _ = programs(["--cgi-timeout", "1", "--cgi-do-not-kill-on-error"])
    assert get(port, "/cgi/wait.sh?silent").status == 504
    assert alive(pid_of(one, "wait.sh"))
    one.write("cgi/go", "")
    eventually(lambda: not alive(pid_of(one, "wait.sh")))


@pytest.mark.parametrize("script", ["endless.sh", "wait.sh"])
def test_a_program_is_killed_when_its_client_leaves(programs, script):
    one, port, _ = programs()
    client = socket.create_connection(("127.0.0.1", port), 10)
    client.sendall(f"GET /cgi/{script} HTTP/1.1\r\nHost: h\r\n\r\n".encode())
    client.recv(100)
    pid = pid_of(one, script)
    started = time.monotonic()
    eventually(lambda: time.monotonic() - started > 1.2)  # what is closed sooner may be a client that only has said all
    client.close()
    eventually(lambda: not alive(pid))


def test_a_client_that_has_said_all_gets_its_answer(programs):
    one, port, _ = programs()
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(b"GET /cgi/wait.sh HTTP/1.1\r\nHost: h\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        pid_of(one, "wait.sh")
        one.write("cgi/go", "")
        assert rest_of(client).endswith(b"first\nlast\n")


def test_a_slow_client_holds_no_memory(programs):
    """The program waits for its client: what it has written meanwhile is a pipe's and a socket's content at most."""
    one, port, _ = programs()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(10)
        client.connect(("127.0.0.1", port))
        client.sendall(b"GET /cgi/endless.sh HTTP/1.1\r\nHost: h\r\n\r\n")
        pid = pid_of(one, "endless.sh")

        def written():
            return int(re.search(r"wchar: (\d+)", open(f"/proc/{pid}/io").read()).group(1))
        last = -1

        def stands():
            nonlocal last
            last, before = written(), last
            return last == before and last > 0
        eventually(stands, every=0.3)
        assert last < 16 << 20


def test_programs_die_with_their_worker(programs):
    one, port, _ = programs()
    client = Connection(port)
    client.send("/cgi/wait.sh")
    pid = pid_of(one, "wait.sh")
    worker = int(re.search(r"spawned uWSGI worker 1 \(pid: (\d+)", one.log()).group(1))
    one.signal_process(worker, signal.SIGKILL)
    eventually(lambda: not alive(pid))
    client.close()


def test_a_stop_and_a_reload_wait_for_programs(programs):
    one, port, _ = programs()
    with Connection(port) as client:
        client.send("/cgi/wait.sh")
        pid_of(one, "wait.sh")
        one.signal(signal.SIGHUP)
        one.wait_log("Gracefully killing worker 1")
        assert get(port, "/cgi/length.sh").text == "body"  # the new worker's
        one.write("cgi/go", "")
        assert client.receive().text == "first\nlast\n"


def test_what_a_program_starts_in_the_background_goes_on(programs):
    one, port, _ = programs()
    assert get(port, "/cgi/background.sh").text == "ok"
    pid = pid_of(one, "background.sh")
    assert get(port, "/cgi/length.sh").text == "body"
    assert alive(pid)
    one.signal_process(pid, signal.SIGKILL)


def test_packets_for_programs(programs):
    one, _, port = programs()
    assert ask_uwsgi(port, 9, PATH_INFO="/cgi/length.sh").endswith(b"\r\n\r\nbody")
    assert b"DOCUMENT_ROOT=/www\n" in ask_uwsgi(port, 9, PATH_INFO="/cgi/vars.sh", DOCUMENT_ROOT="/www")
    assert ask_uwsgi(port, 0, PATH_INFO="/cgi/length.sh").endswith(b"\r\n\r\napp")
    assert status(ask_uwsgi(port, 9, PATH_INFO="/cgi/length.sh\0.txt")) == 404
    assert status(ask_uwsgi(port, 9, PATH_INFO="/cgi/length.sh", HTTP_X="a\0b")) == 400


def test_no_programs_no_modifier(server, way):
    port = free_port()
    one = server(way, ["--socket", f"127.0.0.1:{port}"], app=APP)
    assert ask_uwsgi(port, 9, PATH_INFO="/") == b""
    one.wait_log("-- unavailable modifier requested: 9 --")


def test_fastcgi_and_scgi(server):
    fastcgi, scgi = free_port(), free_port()
    one = server(None, ["--fastcgi-socket", f"127.0.0.1:{fastcgi}", "--fastcgi-modifier1", "9", "--scgi-socket", f"127.0.0.1:{scgi}",
                        "--scgi-modifier1=9", "--cgi", "cgi"], files=FILES, wrapper=EXECUTABLE)
    one.wait_port(fastcgi)
    asked = Sockets.__new__(Sockets)
    asked.ports = {"fastcgi-socket": fastcgi, "scgi-socket": scgi}
    for path, code, end in (("/cat.sh", 200, b"4 \nbody"), ("/none.sh", 404, b"Not Found")):
        asked.path = path
        assert (answer := asked.post("scgi", b"body")).startswith(b"Status: ") and status(answer) == code and answer.endswith(end), answer
        answer, ended = stdout(asked.post("fastcgi", b"body"))
        assert ended and answer.startswith(b"Status: ") and status(answer) == code and answer.endswith(end), answer


def test_programs_behind_tls(server, tmp_path):
    """Over HTTP/1.1 and HTTP/2: bodies, answers without a length, and clients that leave."""
    cert, key = Authority(tmp_path).issue("localhost")
    port = free_port()
    one = server(None, ["--https-socket", f"127.0.0.1:{port},{cert},{key}", "--https-socket-modifier1", "9", "--cgi", "cgi"],
                 files=FILES, wrapper=EXECUTABLE).wait_port(port)

    def curl(*args):
        return subprocess.run(["curl", "-sk", *args], capture_output=True, timeout=30).stdout

    for version in ("--http1.1", "--http2"):
        answer = curl(version, "--data-binary", "x" * 100_000, f"https://127.0.0.1:{port}/cat.sh")
        assert answer == b"100000 application/x-www-form-urlencoded\n" + b"x" * 100_000
        assert b"HTTPS=on\n" in curl(version, f"https://127.0.0.1:{port}/vars.sh")
        assert curl(version, "-m", "2", f"https://127.0.0.1:{port}/wait.sh") == b"first\n"
        pid = pid_of(one, "wait.sh")
        eventually(lambda: not alive(pid))
        (one.dir / "cgi/wait.sh.pid").unlink()


def test_programs_beside_asgi_get_whole_bodies(server):
    """An ASGI application starts before the body is there; a program does not."""
    port = free_port()
    files = {**FILES, "asgi.py": "async def application(scope, receive, send):\n    raise RuntimeError\n"}
    server(None, ["--http-socket", f"127.0.0.1:{port}", "--http-socket-modifier1", "9", "--cgi", "cgi", "--asgi-file", "asgi.py"],
           files=files, wrapper=EXECUTABLE).wait_port(port)
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        client.sendall(b"POST /cat.sh HTTP/1.0\r\nHost: h\r\nContent-Length: 200000\r\n\r\n" + b"x" * 100_000)
        client.sendall(b"y" * 100_000)
        assert rest_of(client).endswith(b"\r\n\r\n200000 \n" + b"x" * 100_000 + b"y" * 100_000)


def test_options_about_programs(programs):
    one, port, _ = programs(
        ["--cgi", "/one=cgi/vars.sh", "--cgi-index", "index.pl", "--cgi-allowed-ext", ".pl", "--cgi-allowed-ext", ".SH",
         "--cgi-helper", ".pl=sh", "--cgi-unset", "HOME", "--static-map", "/cgi/icons=icons",
         "--add-header", "X-Added: 1", "--del-header", "X-A"],
        files={"cgi/index.pl": FILES["cgi/vars.sh"], "cgi/a.txt": FILES["cgi/vars.sh"], "icons/i.txt": "icon"})
    told = variables(get(port, "/cgi/"))
    assert told["SCRIPT_NAME"] == "/cgi/index.pl" and "HOME" not in told
    reply = get(port, "/cgi")
    assert (reply.status, reply.headers["location"]) == (301, "/cgi/")
    assert get(port, "/cgi/a.txt").status == 403
    told = variables(get(port, "/one/more"))
    assert (told["SCRIPT_NAME"], told["PATH_INFO"], told["PWD_IS"]) == ("/one", "/more", str(one.dir))
    assert get(port, "/cgi/icons/i.txt").text == "icon"  # files go first
    headers = get(port, "/cgi/status.sh").headers
    assert headers["x-added"] == "1" and "x-a" not in headers


def test_what_programs_cannot_be(server):
    for args, words in {
        ("--http-socket-modifier1", "9"): "add --cgi", ("--cgi", "x=cgi"): "begins with a slash", ("--cgi", "/x="): "names no file",
        ("--cgi", "nowhere"): "nowhere",
        ("--cgi-helper", ".py"): "SUFFIX=PROGRAM", ("--cgi-helper", ".py=sym://f"): "C function", ("--cgi-loadlib", "x.so"): "cgi-helper",
        ("--http-socket-modifier1", "5"): "is not served",
    }.items():
        one = server(None, ["--http-socket", f"127.0.0.1:{free_port()}", *args])
        assert one.wait_exit() == 1, args
        assert words in one.log(), args
