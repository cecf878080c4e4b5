"""Mules whose programs were written for uWSGI, which ends them by SIGKILL and gives them nothing but messages."""
import signal
import sys

import pytest
from http_client import eventually, get

NOTES = """
import os

def note(text):
    fd = os.open("notes", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{text} {os.getpid()}\\n".encode())
    os.close(fd)
"""

APP = """
import uwsgi
from notes import note
from uwsgidecorators import signal

@signal(30, target="mule1")
def handle(number):
    note(f"signal {number}")

def application(environ, start_response):
    value = eval(environ["QUERY_STRING"])
    start_response("200 OK", [])
    return [repr(value).encode()]
"""

OPTIONS = ["--master", "--mule=loop.py", "--pythonpath", ".", "--virtualenv", sys.prefix]
FILES = {"notes.py": NOTES, "notes": ""}

BEGIN = """
import atexit, threading, time, uwsgi
from notes import note
atexit.register(note, "end")
note("begin")
"""

# Bare `except:` around the loop, as it is found in the wild; consumers in threads beside a main thread that does something else.
STUBBORN = {
    "messages": """
while True:
    try:
        uwsgi.mule_get_msg()
    except:
        pass
""",
    "sleeping": """
while True:
    try:
        time.sleep(1000)
    except:
        pass
""",
    "threads": """
for n in range(2):
    threading.Thread(target=lambda: [uwsgi.mule_get_msg() for _ in range(1000)], daemon=True).start()
while True:
    time.sleep(1)
""",
    "greenlets": """
from gevent import monkey, sleep, spawn
monkey.patch_all()
spawn(uwsgi.mule_get_msg)
while True:
    try:
        sleep(1)
    except:
        pass
""",
}


@pytest.mark.parametrize("program", STUBBORN)
def test_a_mule_ends_whatever_it_catches(server, http, program):
    if program == "greenlets":
        pytest.importorskip("gevent")
    running = server(http, OPTIONS, app=APP, files={**FILES, "loop.py": BEGIN + STUBBORN[program]})
    eventually(lambda: "begin" in (running.dir / "notes").read_text())
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    assert "end" in (running.dir / "notes").read_text()


MESSAGES = """
import uwsgi
from notes import note
note("begin")
while True:
    note(uwsgi.mule_get_msg().decode())
"""


def test_a_program_that_expects_messages_gets_no_none_for_a_signal(server, http):
    running = server(http, OPTIONS, app=APP, files={**FILES, "loop.py": MESSAGES})

    def notes():
        return (running.dir / "notes").read_text().split("\n")[:-1]

    eventually(lambda: len(notes()) == 1)
    get(http.port, "/?uwsgi.signal(30)")
    eventually(lambda: len(notes()) == 2)
    get(http.port, "/?uwsgi.mule_msg('one',1)")
    eventually(lambda: len(notes()) == 3)
    pid = notes()[0].split()[1]
    assert notes() == [f"begin {pid}", f"signal 30 {pid}", f"one {pid}"]


TIMED = """
import os, uwsgi
from uwsgidecorators import rbtimer

def note(number):
    with open(f"{uwsgi.signal_received()}", "w") as f:
        f.write(repr((uwsgi.worker_id(), uwsgi.mule_id())))

for number, target in ((40, "mule"), (41, "mule1"), (42, "spooler"), (43, "farm_crew"), (44, "worker1")):
    rbtimer(1, target=target, signum=number)(note)

def application(environ, start_response):
    start_response("200 OK", [])
    return [b"loaded"]
"""


def test_signals_for_processes_that_have_not_loaded_the_application_come_to_a_worker(server, http):
    options = ["--master", "--lazy-apps", "--mule", "--farm", "crew:1", "--spooler", "jobs"]
    running = server(http, options, app=TIMED)
    for number in range(40, 45):
        eventually(lambda: (running.dir / str(number)).exists() and (running.dir / str(number)).read_text() == "(1, 0)")
