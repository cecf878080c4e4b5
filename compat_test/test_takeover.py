"""The moment at which a generation or an executable follows another, with something going wrong just then."""
import os
import signal

import pytest
from apps import versioned
from http_client import Broken, Connection, eventually, get
from load import Load
from server import alive
from test_upgrade import Upgraded, by_signal, installed, put  # noqa: F401 (a fixture)
from transports import TRANSPORTS

# While there is a file `slow` a new worker takes a second, and worker 2 for ever while there is one `stuck`.
SLOW = """
import uwsgi, uwsgidecorators
@uwsgidecorators.postfork
def wait():
    if os.path.exists("slow"):
        time.sleep(1)
    while uwsgi.worker_id() == 2 and os.path.exists("stuck"):
        time.sleep(0.01)
    open(f"served-{uwsgi.worker_id()}", "w").close()
"""
# Notes its number when it is imported, and then waits while there is a file `importing`.
PAUSED = "import os, time\nopen('imports', 'a').write('IMPORT\\n')\nwhile os.path.exists('importing'): time.sleep(0.01)\n"
ARGS = ["--master", "--processes", "2", "--disable-logging", "--master-fifo", "fifo", "--pidfile", "server.pid", "--reload-mercy", "4"]


@pytest.fixture
def transport():
    """One way in is enough here."""
    made = TRANSPORTS["nginx"]()
    yield made
    made.close()


def command(running, text):
    with open(running.dir / "fifo", "w") as fifo:
        fifo.write(text)


def version(port):
    try:
        return get(port).text.split()[0]
    except (OSError, Broken):
        return ""


@pytest.mark.parametrize("commands", ["w", "ww", "c"])
def test_workers_that_start_while_new_code_takes_over(server, transport, commands):
    """They were told to leave before they could hear it, and leave all the same; no request is cut off."""
    running = server(transport, ARGS, app=versioned(1) + SLOW)
    running.wait_log("spawned uWSGI master process")  # before that it obeys no such command
    with Load(transport) as load:
        load.wait_for(20)
        running.write("slow", "")
        length = len(running.log())
        for one in commands:
            command(running, one)
            eventually(lambda: "Respawned" in running.log()[length:])
        running.write("app.py", versioned(2))
        running.signal(signal.SIGHUP)
        eventually(lambda: "(RE)spawned" in running.log()[length:])
        reloaded = max(request.ended for request in list(load.requests))
        eventually(lambda: any(request.sent > reloaded + 6 for request in list(load.requests)), 20)
    assert load.failures() == []
    assert [request for request in load.requests if request.sent > reloaded + 3 and request.text.startswith("1 ")] == []
    assert "NO MERCY" not in running.log()


def test_requests_in_a_generation_that_fails(server, transport):
    """A worker of it serves already when its zygote dies: what it has in hand is answered."""
    running = server(transport, ARGS, app=versioned(1))
    assert version(transport.port) == "1"
    running.write("stuck", "")
    running.write("app.py", "import os\nopen('zygote', 'w').write(str(os.getpid()))\n" + versioned(2) + SLOW)
    running.signal(signal.SIGHUP)
    eventually((running.dir / "served-1").exists)
    held = [Connection(transport.port, timeout=30) for _ in range(3)]  # one for each worker that serves
    for number, one in enumerate(held):
        one.send(f"/hold/{number}")
        eventually((running.dir / f"held-{number}").exists)
    running.signal_process(int((running.dir / "zygote").read_text()), signal.SIGKILL)
    running.wait_log("reload failed")
    running.write("release", "")
    assert sorted(one.receive().text.split()[0] for one in held) == ["1", "1", "2"]


@pytest.mark.parametrize("fails", [False, True], ids=["upgrade works", "upgrade fails"])
def test_a_reload_that_is_asked_for_during_an_upgrade(server, transport, installed, fails):  # noqa: F811
    """The code that was put in place before HUP is what serves in the end."""
    upgraded = Upgraded(server(transport, ARGS, app=versioned(1), binary=installed))
    running, old = upgraded.running, upgraded.pid()
    assert version(transport.port) == "1"
    running.write("importing", "")
    running.write("app.py", PAUSED + ("raise RuntimeError" if fails else versioned(2)))
    by_signal(upgraded, installed)
    eventually((running.dir / "imports").exists)
    running.write("app.py", versioned(3))
    os.kill(old, signal.SIGHUP)
    running.wait_log("it follows the upgrade")
    os.remove(running.dir / "importing")
    eventually(lambda: version(transport.port) == "3", 20)


def test_a_zygote_that_is_lost_during_an_upgrade_that_fails(server, transport, installed):  # noqa: F811
    """Another one is started afterwards: workers that die are replaced."""
    app = "import os\nopen('zygote', 'w').write(str(os.getpid()))\n" + versioned(1)
    upgraded = Upgraded(server(transport, ARGS, app=app, binary=installed))
    running, old = upgraded.running, upgraded.pid()
    assert version(transport.port) == "1"
    zygote = int((running.dir / "zygote").read_text())
    put(installed, "#!/bin/sh\necho $$ > tried.new; mv tried.new tried\nexec sleep 600\n")
    by_signal(upgraded, installed)
    eventually((running.dir / "tried").exists)
    running.signal_process(zygote, signal.SIGKILL)
    running.wait_log("it follows the upgrade|another one is started")
    eventually(lambda: running.log().count("it follows the upgrade"), 5)
    os.kill(int((running.dir / "tried").read_text()), signal.SIGKILL)
    running.wait_log("upgrade: failed")
    eventually(lambda: (running.dir / "zygote").read_text() != str(zygote), 40)
    assert upgraded.pid() == old and alive(old)
