"""Options of the interpreter and of applications: which exceptions replace a worker, aliases, hosts, applications that requests name."""
import os
import socket
import struct

import pytest
from apps import ANSWER
from http_client import eventually, get
from server import free_port
from transports import http_socket

# /raise/NAME/TEXT raises, anything else answers the expression SHOWN.
APP = f"""
import builtins, os, sys, threading
{ANSWER}
SHOWN = "os.getpid()"
def application(environ, start_response):
    path = environ["PATH_INFO"].split("/")
    if path[1] == "raise":
        raise getattr(builtins, path[2])(path[3])
    return answer(start_response, str(eval(SHOWN)))
"""


@pytest.fixture
def transport():
    return http_socket()


def shows(expression):
    return APP.replace("os.getpid()", expression)


def named(name):
    """An application that answers its name."""
    return f"{ANSWER}\ndef application(environ, start_response):\n    return answer(start_response, {name!r} + environ['SCRIPT_NAME'])\n"


def uwsgi_request(variables):
    """A packet of the uwsgi protocol."""
    words = [word.encode() for pair in variables.items() for word in pair]
    block = b"".join(struct.pack("<H", len(word)) + word for word in words)
    return struct.pack("<BHB", 0, len(block), 0) + block


def ask(port, path="/", headers=()):
    with socket.create_connection(("127.0.0.1", port)) as client:
        lines = [f"GET {path} HTTP/1.0", *headers, "", ""]
        client.sendall("\r\n".join(lines).encode())
        return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.mark.parametrize("option, hits, misses", [
    (["--reload-on-exception-type", "KeyError"], "KeyError/x", "ValueError/x"),
    (["--reload-on-exception-value", "bad luck"], "ValueError/bad luck", "ValueError/good luck"),
    (["--reload-on-exception-repr", "ValueError: bad"], "ValueError/bad", "TypeError/bad"),
])
def test_some_exceptions_replace_the_worker(server, transport, option, hits, misses):
    running = server(transport, ["--master", *option], app=APP)
    first = get(transport.port).text
    ask(transport.port, f"/raise/{misses}".replace(" ", "%20"))
    assert get(transport.port).text == first
    ask(transport.port, f"/raise/{hits}".replace(" ", "%20"))
    running.wait_log("monitored exception detected")
    eventually(lambda: get(transport.port).text != first)  # the old one may still take a request


@pytest.mark.parametrize("options, expression, want", [
    (["--pymodule-alias", "other=json"], "__import__('other').__name__", "json"),
    (["--post-pymodule-alias", "other=extra.py"], "__import__('other').WORD", "word"),
    (["--early-python-path", "early"], "__import__('hidden').WORD", "hidden"),
    (["--py-executable", "/opt/python"], "sys.executable", "/opt/python"),
    (["--no-site"], "'site' in sys.modules", "False"),
    (["--thread-stacksize", "512", "--threads", "2"], "threading.stack_size()", str(512 << 10)),
])
def test_the_interpreter(server, transport, options, expression, want):
    files = {"extra.py": "WORD = 'word'", "early/hidden.py": "WORD = 'hidden'"}
    server(transport, ["--master", *options], app=shows(expression), files=files)
    assert get(transport.port).text == want


def test_applications_by_host(server, transport):
    files = {"a.py": named("a"), "b.py": named("b"), "c.py": named("c")}
    mounts = ["--mount", "one.example=a.py", "--mount", "two.example/x=b.py", "--mount", "/x=c.py"]
    server(transport, ["--master", "--vhost", "--vhost-host", "--manage-script-name", *mounts], files=files)
    got = {(host, path): ask(transport.port, path, [f"Host: {host}"]).rpartition(b"\r\n\r\n")[2].decode()
           for host in ("one.example", "two.example") for path in ("/", "/x/y")}
    assert got == {("one.example", "/"): "a", ("one.example", "/x/y"): "a", ("two.example", "/"): "a", ("two.example", "/x/y"): "b/x"}


def test_each_worker_mounts_applications(server, transport):
    counting = f"{ANSWER}\nimport os\nLOADED = os.getpid()\ndef application(e, s):\n    return answer(s, str(LOADED == os.getpid()))\n"
    running = server(transport, ["--master", "--manage-script-name", "--worker-mount", "/w=w.py"], app=APP, files={"w.py": counting})
    assert get(transport.port, "/w/").text == "True"
    assert get(transport.port).text.isdigit()
    assert "mountpoint='/w'" in running.log()


def test_a_pecan_application(server, transport):
    fake = named("pecan ") + "\ndef deploy(path):\n    assert path == 'config.py'\n    return application\n"
    server(transport, ["--master", "--pecan", "config.py"], files={"pecan/__init__.py": "", "pecan/deploy.py": fake})
    assert get(transport.port).text == "pecan "


def test_ini_paste_reads_options_and_the_application(server, transport):
    fake = named("paste ") + "\ndef loadapp(uri, name=None):\n    assert uri.startswith('config:/'), uri\n    return application\n"
    files = {"site.ini": "[uwsgi]\nmaster = true\n", "paste/__init__.py": "", "paste/deploy.py": fake}
    server(transport, ["--ini-paste", "site.ini"], files=files)
    assert get(transport.port).text == "paste "


@pytest.mark.parametrize("options, want", [(["--dynamic-apps"], [b"named", b"named"]), ([], [b"default", b"default"]),
                                           (["--dynamic-apps", "--max-apps", "0"], [b"default", b"default"])])
def test_requests_name_applications_only_where_that_is_switched_on(server, options, want):
    port = free_port()
    running = server(args=["--master", "--socket", f"127.0.0.1:{port}", *options], app=named("default"), files={"other.py": named("named")})
    running.wait_port(port)
    variables = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SCRIPT_NAME": "", "QUERY_STRING": "", "SERVER_PROTOCOL": "HTTP/1.1"}
    answers = []
    for more in ({"UWSGI_FILE": "other.py"}, {"UWSGI_SCRIPT": "other"}):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(uwsgi_request({**variables, **more}))
            answers.append(b"".join(iter(lambda: client.recv(65536), b"")).rpartition(b"\r\n\r\n")[2])
    assert answers == want


def test_start_response_sends_the_head_at_once(server, transport):
    app = """
import os, time
def application(environ, start_response):
    start_response("200 OK", [("X-Early", "yes")])
    while not os.path.exists("release"):
        time.sleep(0.01)
    return [b"body"]
"""
    running = server(transport, ["--master", "--start_response-nodelay"], app=app)
    with socket.create_connection(("127.0.0.1", transport.port)) as client:
        client.settimeout(10)
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert b"X-Early: yes" in client.recv(65536)
        running.write("release", "")
        assert client.recv(65536) == b"body"


def test_the_tracebacker_tells_what_threads_are_at(server, transport):
    app = f"""
import os, time
{ANSWER}
def linger():
    open("held", "w").close()
    while not os.path.exists("release"):
        time.sleep(0.01)
def application(environ, start_response):
    linger()
    return answer(start_response, "done")
"""
    running = server(transport, ["--master", "--py-tracebacker", "stacks-"], app=app)
    with socket.create_connection(("127.0.0.1", transport.port)) as held:
        held.sendall(b"GET / HTTP/1.0\r\n\r\n")
        eventually(lambda: os.path.exists(running.dir / "held"))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(running.dir / "stacks-1"))
            text = b"".join(iter(lambda: client.recv(65536), b"")).decode()
        running.write("release", "")
    assert "thread_id = uWSGIWorker1Core0" in text and "in linger" in text


def test_after_req_hook_may_take_longer_than_harakiri(server, transport):
    app = f"""
import os, time, uwsgi
{ANSWER}
def after():
    open("began", "w").close()
    time.sleep(3)
    open("ended", "w").close()
uwsgi.after_req_hook = after
def application(environ, start_response):
    return answer(start_response, str(os.getpid()))
"""
    running = server(transport, ["--master", "--harakiri", "1", "--harakiri-no-arh"], app=app)
    ask(transport.port)
    eventually(lambda: (running.dir / "ended").exists())
    assert "HARAKIRI" not in running.log()


def test_a_program_is_the_worker(server, transport):
    program = """#!/usr/bin/env python3
import os, socket
listener = socket.socket(fileno=0)
while True:
    client, _ = listener.accept()
    client.recv(65536)
    client.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nprogram %d" % os.getpid())
    client.close()
"""
    running = server(transport, ["--master", "--worker-exec", "python3 program.py"], files={"program.py": program})
    first = ask(transport.port).rpartition(b"\r\n\r\n")[2]
    assert first.startswith(b"program ")
    running.signal_process(int(first.split()[1]), 9)

    def answer():
        try:
            return ask(transport.port).rpartition(b"\r\n\r\n")[2]
        except ConnectionError:  # it was the killed one's
            return b""

    eventually(lambda: answer() not in (b"", first))
    running.signal(15)
    assert running.wait_exit() == 0


def test_a_program_is_the_worker_after_its_hooks(server, transport):
    """worker-exec2; without a shell, so that the program itself is the worker."""
    program = """
import os, socket
listener = socket.socket(fileno=0)
while True:
    client, _ = listener.accept()
    client.recv(65536)
    client.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n%d" % os.path.exists("forked"))
    client.close()
"""
    options = ["--master", "--worker-exec2", "python3 program.py", "--hook-post-fork", "create:forked"]
    running = server(transport, options, files={"program.py": program})
    assert ask(transport.port).endswith(b"\r\n\r\n1")
    running.signal(15)
    assert running.wait_exit() == 0
