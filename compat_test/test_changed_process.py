"""An application may change the process that imports it: its streams, print, threads. It is served all the same."""
import json
import os
import signal
import socket
import sys

import pytest
from apps import ANSWER
from http_client import Broken, Connection, eventually, get
from server import alive, free_port
from test_pythons import interpreter
from transports import http_socket

APP = f"""
import os, sys, uwsgi
{ANSWER}
def application(environ, start_response):
    errors = environ["wsgi.errors"]
    path = environ["PATH_INFO"]
    if path == "/errors":
        errors.write("one line ")
        errors.write("\\udc80\\u00e9\\n")
        errors.writelines(["two", " lines\\n"])
        errors.write("rest")
        errors.flush()
        errors.close()
    if path == "/fork":
        pid = os.fork()
        if pid == 0:
            try:
                os.fstat(uwsgi.sockets[0])
            except OSError:
                os._exit(7)
            os._exit(8)
        return answer(start_response, str(os.waitpid(pid, 0)[1] >> 8))
    if path == "/raise":
        raise ValueError("as wanted")
    uwsgi.log("a line of the log")
    return answer(start_response, str(os.getpid()))
"""

WRITE_ONLY = """
class Writer:
    def write(self, text):
        return len(text)
sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = Writer()
"""

FLUSH_RAISES = """
class Stream:
    def write(self, text):
        raise OSError("write")
    def flush(self):
        raise SystemExit("flush")
sys.stdout = sys.stderr = Stream()
"""

PRINT = """
import builtins, traceback
def fail(*args, **kwargs):
    raise RuntimeError("print is not for you")
builtins.print = traceback.print_exc = traceback.format_exception = traceback.print_exception = fail
"""

CHANGES = {
    "write-only": WRITE_ONLY,
    "none": "sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = None\n",
    "deleted": "del sys.stdout, sys.stderr\n",
    "closed": "sys.stdout.close(); sys.stderr.close()\n",
    "detached": "kept = sys.stdout.detach(), sys.stderr.detach()\n",
    "flush-raises": FLUSH_RAISES,
    "print": PRINT,
}


def another(port, pid):
    """The pid of the worker that has come in place of one."""
    def answer():
        try:
            text = get(port).text
        except (OSError, Broken):  # its connection
            return None
        return text if text != pid else None
    return eventually(answer)


def lives_through_everything(running, port):
    """One worker serves, reports an exception, has a successor when it is killed, is replaced by a reload, and stops with status 0."""
    first = get(port).text
    assert [get(port, "/errors").status for _ in range(3)] == [200] * 3
    assert get(port, "/raise").status == 500
    assert get(port, "/fork").text == "7"  # without our sockets
    running.signal_process(int(first), signal.SIGKILL)
    second = another(port, first)
    running.signal(signal.SIGHUP)
    another(port, second)
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    running.wait_gone()


BOTH = pytest.mark.parametrize("more", [[], ["--lazy-apps"]], ids=["plain", "lazy-apps"])


@BOTH
@pytest.mark.parametrize("change", CHANGES)
def test_streams_are_the_applications(server, change, more):
    transport = http_socket()
    running = server(transport, ["--master", "--processes", "1", *more], app="import sys\n" + CHANGES[change] + APP)
    lives_through_everything(running, transport.port)
    assert "one line \\udc80é\ntwo lines\nrest" in running.log()
    assert "ValueError: as wanted" in running.log()
    assert "a line of the log" in running.log()
    assert "ignored" not in running.log()  # as exceptions of fork hooks are


def test_what_is_held_back_at_the_fork_is_written_once(server):
    transport = http_socket()
    held = "import sys\nsys.stdout.write('held back')\nsys.stdout = open(1, 'w', closefd=False)\nsys.stdout.write('also held')\n"
    running = server(transport, ["--master", "--processes", "1"], app=held + APP)
    lives_through_everything(running, transport.port)
    log = running.log()
    assert (log.count("held back"), log.count("also held")) == (2, 2), log  # by each of the two imports


@BOTH
def test_a_full_log_costs_nothing_but_lines(server, more):
    transport = http_socket()
    running = server(transport, ["--master", "--processes", "1", *more], app="print('while importing', flush=True)\n" + APP,
                     wrapper=["sh", "-c", 'exec "$@" >/dev/full 2>&1', "sh"])
    lives_through_everything(running, transport.port)


@BOTH
def test_nor_does_one_that_nobody_reads_any_more(server, more):
    transport = http_socket()
    reader, writer = os.pipe()
    try:
        changed = "print('while importing', flush=True)\nimport signal\nsignal.signal(signal.SIGPIPE, signal.SIG_DFL)\n"
        running = server(transport, ["--master", "--processes", "1", *more], app=changed + APP,
                         wrapper=["sh", "-c", f'exec "$@" >/proc/{os.getpid()}/fd/{writer} 2>&1', "sh"])
        assert get(transport.port).status == 200
    finally:
        os.close(reader)
        os.close(writer)
    lives_through_everything(running, transport.port)


GREEN = {
    "none": "",
    "gevent": "from gevent import monkey\nmonkey.patch_all()\n",
    "gevent-loop": "from gevent import monkey\nmonkey.patch_all()\nimport gevent\ngevent.sleep(0)\n",
    "eventlet": "import eventlet\neventlet.monkey_patch()\n",
    "eventlet-loop": "import eventlet\neventlet.monkey_patch()\neventlet.sleep(0)\n",
}

TOGETHER = f"""
import os, threading, time
{ANSWER}
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path != "/":
        open("inside" + path.replace("/", "-"), "w").close()
        while sum(name.startswith("inside-") for name in os.listdir()) < 4:
            time.sleep(0.01)
    return answer(start_response, f"{{os.getpid()}} {{threading.current_thread().name}}")
"""


@pytest.mark.parametrize("green", GREEN)
def test_threads_are_real_whatever_was_patched(server, green):
    """Four requests are in the application at the same time; reload and stop do what they do elsewhere."""
    transport = http_socket()
    running = server(transport, ["--master", "--threads", "4", "--virtualenv", sys.prefix], app=GREEN[green] + TOGETHER)
    clients = [Connection(transport.port, timeout=10) for _ in range(4)]
    for number, client in enumerate(clients):
        client.send(f"/{number}")
    answers = [client.receive().text.split() for client in clients]
    assert len({pid for pid, _ in answers}) == 1
    assert sorted(name for _, name in answers) == [f"uWSGIWorker1Core{core}" for core in range(4)]
    assert "started threads while it was imported" not in running.log()
    running.signal(signal.SIGHUP)
    eventually(lambda: get(transport.port).text.split()[0] != answers[0][0])
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0


STARTS = f"""
import json, multiprocessing, os, subprocess, time, uwsgi
{ANSWER}
def links(pid):
    found = set()
    for fd in os.listdir(f"/proc/{{pid}}/fd"):
        try:
            if int(fd) > 2:
                found.add(os.readlink(f"/proc/{{pid}}/fd/{{fd}}"))
        except OSError:  # of the listing itself
            pass
    return set(link for link in found if "memfd" not in link)  # locks and counters, which children may use

servers = links("self")
manager = multiprocessing.get_context("fork").Manager()
shared = manager.dict(count=0)
forked = os.fork()
while forked == 0:
    time.sleep(60)
daemon = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,), daemon=True)
daemon.start()
started = [manager._process.pid, forked, daemon.pid]
"""

USES = """
def application(environ, start_response):
    if environ["PATH_INFO"] == "/leave":
        raise SystemExit(0)
    if environ["PATH_INFO"] == "/hold":
        open("held", "w").close()
        while not os.path.exists("release"):
            time.sleep(0.01)
    shared["count"] += 1
    told = {"pid": os.getpid(), "count": shared["count"], "started": started,
            "held": sorted(link for pid in started for link in links(pid) & servers)}
    return answer(start_response, json.dumps(told))
"""


def told(port, path="/"):
    return json.loads(get(port, path).text)


@BOTH
def test_what_an_import_starts_holds_nothing_of_the_servers(server, more):
    transport = http_socket()
    program = "started.append(subprocess.Popen(['sleep', '600'], close_fds=False).pid)\n"
    server(transport, ["--master", *more], app=STARTS + program + USES)
    assert told(transport.port)["held"] == []


def test_what_an_import_starts_lives_as_long_as_its_generation(server):
    """Through deaths of workers, until the last worker that was forked after it has gone."""
    transport = http_socket()
    running = server(transport, ["--master"], app=STARTS + USES)
    first = told(transport.port)
    running.signal_process(first["pid"], signal.SIGKILL)
    another(transport.port, None)
    assert get(transport.port, "/leave").status == 500  # and the worker ends in good order
    another(transport.port, None)
    assert told(transport.port)["count"] == 4
    assert set(first["started"]) <= set(running.processes())
    holding = Connection(transport.port, timeout=20)
    holding.send("/hold")
    eventually((running.dir / "held").exists)
    running.signal(signal.SIGHUP)
    second = eventually(lambda: (found := told(transport.port))["started"] != first["started"] and found)
    running.write("release", "")
    assert json.loads(holding.receive().text)["count"] == 5
    eventually(lambda: not set(first["started"]) & set(running.processes()))
    assert set(second["started"]) <= set(running.processes())
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    running.wait_gone()
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", transport.port))


@pytest.mark.parametrize("version", ["3.8", "3.13"])
def test_all_of_it_in_the_oldest_and_the_newest_python(server, version):
    if not interpreter(version):
        pytest.skip(f"this machine has no Python {version}")
    transport = http_socket()
    changed = "import sys\n" + STARTS + PRINT + "sys.stderr.close()\nsys.stdout = None\n"
    running = server(transport, ["--master"], app=changed + APP, env={"PATH": f"{interpreter(version).parent}:{os.environ['PATH']}"})
    lives_through_everything(running, transport.port)


def test_nothing_stays_of_an_import_that_fails(server):
    running = server(None, ["--master", "--need-app", "--http-socket", "127.0.0.1:0"], app=STARTS + "1 / 0\n")
    assert running.wait_exit() == 22
    running.wait_gone()


IDENTITY = f"""
import json, os, uwsgi
{ANSWER}
reader, writer = os.pipe()
if os.fork() == 0:
    os.write(writer, json.dumps([os.getpid(), uwsgi.masterpid()]).encode())
    os._exit(0)
imported = [os.getpid(), uwsgi.masterpid()]
child = json.loads(os.read(reader, 100))
os.wait()

def application(environ, start_response):
    return answer(start_response, json.dumps([imported, child, [os.getpid(), uwsgi.masterpid()]]))
"""


@pytest.mark.parametrize("args, at_import", [(["--master"], True), (["--master", "--lazy-apps"], False), ([], False)],
                         ids=["plain", "lazy-apps", "no-master"])
def test_the_process_that_imports_is_the_master_to_the_application(server, args, at_import):
    """Exporters start where os.getpid() is uwsgi.masterpid(); in a worker that is the master's, without one it is 0."""
    transport = http_socket()
    running = server(transport, args, app=IDENTITY)
    (pid, master), (child, childs_master), (worker, workers_master) = told(transport.port)
    masters = running.pid if args else 0
    assert (master == pid) is at_import
    assert master == childs_master == (pid if at_import else masters)
    assert child not in (pid, worker)
    assert workers_master == masters


def test_projects_with_modules_of_the_same_name_are_told(server):
    """Both are mounted; the second would have another's settings, so the log says which modules those are."""
    files = {}
    for name in "ab":
        files[f"{name}/wsgi.py"] = ("import os, sys\nsys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))\nimport settings\n"
                                    "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'']\n")
        files[f"{name}/settings.py"] = ""
    transport = http_socket()
    running = server(transport, ["--master", "--mount", "/a=a/wsgi.py", "--mount", "/b=b/wsgi.py"], files=files)
    running.wait_log(rf"/b \({running.dir}/b\) gets modules of /a \({running.dir}/a\): settings\. .* instance of its own")
    assert len([line for line in running.log().splitlines() if "gets modules" in line]) == 1


EXPORTER = """
import os, threading, uwsgi
from wsgiref.simple_server import make_server, WSGIRequestHandler

class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass

def export(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]

if os.getpid() == uwsgi.masterpid():
    server = make_server("127.0.0.1", PORT, export, handler_class=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()

def application(environ, start_response):
    start_response("200 OK", [])
    return [b"ok"]
"""


def exporter(port):
    """The number of the process that exports; 0: none answers."""
    try:
        return int(get(port, timeout=2).text)
    except (OSError, Broken):
        return 0


def test_an_exporter_that_is_started_once_survives_reloads(server):
    """It holds a port in the importing process; the next generation's binds it beside, and takes over."""
    port, own = free_port(), free_port()
    running = server(None, ["--master", "--http-socket", f"127.0.0.1:{port}", "--processes", "2"], app=EXPORTER.replace("PORT", str(own)))
    pid = eventually(lambda: exporter(own))
    for number in range(1, 4):
        running.signal(signal.SIGHUP)
        running.wait_log(f"(?s)(gracefully .RE.spawned.*){{{number}}}")
        eventually(lambda old=pid: exporter(own) not in (0, old) and not alive(old))
        pid = eventually(lambda: exporter(own))
        assert get(port).text == "ok"
    assert "reload failed" not in running.log()
