"""The spooler: jobs survive kills, reloads and restarts, run when they are due, and are uWSGI's files.

The tests need the server's own part: `spawned the uWSGI spooler on dir ...` in the log for each process, forked from the zygote and
respawned, `spooler_pids()`, and modifier 17 on a uwsgi socket.
"""
import ast
import os
import re
import signal
import socket
import struct
import time

import pytest
from http_client import Connection, eventually
from server import free_port
from transports import http_socket

APP = """
import os, time, uwsgi

HERE = os.path.dirname(os.path.abspath(__file__))

def note(name, text):
    fd = os.open(os.path.join(HERE, name), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(fd, f"{text}\\n".encode())
    os.close(fd)

def spooler(job):
    name = job[b"n"].decode()
    note("begun", f"{name} {os.getpid()}")
    while os.path.exists(os.path.join(HERE, "hold-" + name)):
        time.sleep(0.01)
    note("done", name)
    return uwsgi.SPOOL_OK

uwsgi.spooler = spooler

def application(environ, start_response):
    text = repr(eval(environ["QUERY_STRING"].replace("%20", " "))).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text]
"""


class Spooled:
    """A server with a spooler, and what its jobs have noted."""

    def __init__(self, running, transport):
        self.running, self.dir, self.port = running, running.dir, transport.port

    def ask(self, code):
        with Connection(self.port) as client:
            reply = client.get("/?" + code.replace(" ", "%20"))
        assert reply.status == 200, (code, reply.status)
        return ast.literal_eval(reply.text)

    def spool(self, name, more=""):
        return self.ask(f"uwsgi.spool({{b'n':b'{name}'{more}}})").decode()

    def lines(self, name):
        path = self.dir / name
        return path.read_text().splitlines() if path.exists() else []

    def wait(self, name, *want):
        eventually(lambda: sorted(line.split()[0] for line in self.lines(name)) == sorted(want))

    def files(self):
        return sorted(name for _, _, names in os.walk(self.dir / "jobs") for name in names)

    def hold(self, name):
        (self.dir / f"hold-{name}").touch()

    def release(self, name):
        (self.dir / f"hold-{name}").unlink()

    def pids(self):
        return eventually(lambda: self.ask("uwsgi.spooler_pids()"))


@pytest.fixture
def spooled(server):
    """spooled(options) starts a server with a spooler, over --http-socket: jobs do not depend on how requests come."""
    transport = http_socket()

    def start(*args, app=APP, **rest):
        return Spooled(server(transport, ["--master", "--spooler", "jobs", *args], app=app, **rest), transport)

    return start


def content(pairs, body=b""):
    block = b"".join(struct.pack("<H", len(text)) + text for pair in pairs.items() for text in pair)
    return struct.pack("<BHB", 17, len(block), 0) + block + body


def test_a_spooler_that_is_killed_in_a_job_runs_it_again(spooled):
    one = spooled()
    one.hold("1")
    one.spool("1")
    one.wait("begun", "1")
    pid = int(one.lines("begun")[0].split()[1])
    assert [pid] == one.pids()
    one.running.signal_process(pid, signal.SIGKILL)
    one.wait("begun", "1", "1")
    one.release("1")
    one.wait("done", "1")
    eventually(lambda: one.files() == [])
    assert int(one.lines("begun")[1].split()[1]) != pid


def test_a_job_that_kills_its_process_each_time_does_not_stop_the_others(spooled):
    app = APP.replace('    note("done"', '    os.kill(os.getpid(), 9) if name == "bad" else None\n    note("done"')
    one = spooled("--forkbomb-delay", "0", app=app)
    one.spool("bad")
    eventually(lambda: len(one.lines("begun")) >= 2)
    for n in range(5):
        one.spool(str(n))
    one.wait("done", *"01234")
    assert len(one.files()) == 1


def test_a_reload_lets_the_job_in_hand_end_and_loses_none(spooled):
    one = spooled()
    one.hold("1")
    one.spool("1")
    one.wait("begun", "1")
    one.running.signal(signal.SIGHUP)
    one.spool("2")
    one.release("1")
    one.wait("done", "1", "2")
    assert [line.split()[0] for line in one.lines("begun")] == ["1", "2"]
    eventually(lambda: one.files() == [])


def test_a_stop_lets_the_job_in_hand_end_and_a_start_goes_on_with_the_rest(spooled):
    one = spooled()
    one.hold("1")
    one.spool("1")
    one.wait("begun", "1")
    one.spool("2")
    one.running.signal(signal.SIGTERM)
    one.running.wait_log("received")
    one.release("1")
    assert one.running.wait_exit() == 0
    assert one.lines("done") == ["1"] and len(one.files()) == 1
    one.running.start()
    one.running.wait_port(one.port)
    one.wait("done", "1", "2")


def test_a_job_is_complete_and_not_seen_before(spooled):
    """The directory has whole files only, with a body that takes its time to write."""
    one = spooled("--spooler-external", "elsewhere")
    directory = one.dir / "elsewhere"
    assert directory.stat().st_mode & 0o777 == 0o750
    name = one.ask(f"uwsgi.spool({{b'n':b'1',b'body':b'x'*5000000,b'spooler':{os.fsencode(directory)!r}}})").decode()
    assert open(name, "rb").read() == content({b"n": b"1", b"spooler": os.fsencode(directory)}, b"x" * 5000000)
    assert os.listdir(directory) == [os.path.basename(name)] and os.stat(name).st_mode & 0o777 == 0o600
    assert len(one.pids()) == 1


def test_a_job_from_a_child_of_the_application_wakes_the_spooler(spooled):
    one = spooled()
    pid = one.ask("[pid for pid in [os.fork()] if pid or (uwsgi.spool({b'n':b'child'}), os._exit(0))][0]")
    assert pid > 0
    one.wait("done", "child")


def test_jobs_that_are_due_at_a_time_do_not_wait_for_the_next_look(spooled):
    one = spooled()
    due = int(time.time()) + 2
    one.spool("later", f",b'at':b'{due}'")
    one.spool("now")
    one.wait("done", "later", "now")
    assert one.lines("done") == ["now", "later"] and due <= time.time() < due + 10


def test_two_processes_share_the_work(spooled):
    one = spooled("--spooler-processes", "2")
    eventually(lambda: len(set(one.pids())) == 2)
    for name in ("1", "2"):
        one.hold(name)
        one.spool(name)
    one.wait("begun", "1", "2")
    assert len({line.split()[1] for line in one.lines("begun")}) == 2
    for name in ("1", "2"):
        one.release(name)
    one.wait("done", "1", "2")


def test_jobs_over_the_network(spooled):
    port = free_port()
    one = spooled("--socket", f"127.0.0.1:{port}")

    def send(pairs):
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(content(pairs))
            return b"".join(iter(lambda: client.recv(100), b""))

    assert send({b"n": b"1"}) == b"\xff\0\0\1"
    one.wait("done", "1")
    assert send({b"n": b"2", b"priority": b"../x"}) == b"\xff\0\0\0" == send({b"n": b"2", b"spooler": b"/nosuch"})
    assert one.files() == [] and not (one.dir / "x").exists()


def test_harakiri_ends_a_long_job_which_is_tried_again(spooled):
    one = spooled("--spooler-harakiri", "1")
    one.hold("1")
    one.spool("1")
    one.wait("begun", "1", "1")
    one.release("1")
    one.wait("done", "1")
    assert re.search("(?i)harakiri on the spooler", one.running.log())


def test_a_spooler_has_the_lowest_priority_and_no_listening_socket(spooled):
    one = spooled()
    pid, = one.pids()
    eventually(lambda: os.getpriority(os.PRIO_PROCESS, pid) == 19)
    eventually(lambda: os.readlink(f"/proc/{pid}/cwd") == str(one.dir / "jobs"))
    inodes = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    listening = [line.split()[9] for line in open("/proc/net/tcp").read().splitlines()[1:] if line.split()[3] == "0A"]
    assert not {f"socket:[{inode}]" for inode in listening} & inodes
