"""--no-server: the application is loaded, nothing serves, and an instance of the same configuration is left alone."""
import signal

import pytest
from apps import versioned
from http_client import eventually, get
from transports import http_socket


@pytest.fixture
def transport():
    return http_socket()


LOADED = "open('loaded', 'a').write('x')\n"


@pytest.mark.parametrize("more", [[], ["--lazy-apps"], ["--processes", "2", "--threads", "2"], ["--need-app"]])
def test_the_application_is_loaded(server, transport, more):
    options = ["--master", "--no-server", "--hook-post-app", "create:after", *more]
    running = server(transport, options, app=LOADED + versioned(1), ready=False)
    assert running.wait_exit() == 0
    assert (running.dir / "loaded").read_text() == "x" and (running.dir / "after").exists()
    log = running.log()
    assert "WSGI app 0 (mountpoint='') ready" in log and "no-server mode requested. Goodbye." in log
    assert "bound to" not in log and "spawned uWSGI" not in log
    running.wait_gone()


@pytest.mark.parametrize("app, said", [("x(", "SyntaxError"), ("1 / 0", "ZeroDivisionError"), ("nothing = 1", "unable to load app 0")])
def test_an_application_that_does_not_load(server, transport, app, said):
    running = server(transport, ["--master", "--no-server"], app=app, ready=False)
    assert running.wait_exit() == 22
    assert said in running.log() and "no-server mode requested" not in running.log()


def test_without_an_application_there_is_nothing_to_load(server):
    running = server(args=["--no-server", "--set", "colour=red", "--show-config"])
    assert running.wait_exit() == 0
    assert "colour = red" in running.log() and "no-server mode requested. Goodbye." in running.log()


@pytest.mark.parametrize("app", [None, "def application(e, s): pass\n"], ids=["no application", "application"])
@pytest.mark.parametrize("where", ["logto", "logto2", "daemonize"])
def test_the_configuration_is_shown_where_it_was_asked_for(server, app, where):
    running = server(args=["--no-server", "--set", "colour=red", "--show-config", f"--{where}=site.log"], app=app, ready=False)
    assert running.wait_exit() == 0
    assert ";uWSGI instance configuration\n[uwsgi]\n" in running.log() and "colour = red\n" in running.log()


def test_a_hook_that_fails_ends_it(server, transport):
    running = server(transport, ["--master", "--no-server", "--hook-post-app", "unlink:absent"], app=LOADED + versioned(1), ready=False)
    assert running.wait_exit() == 1
    assert "FATAL hook failed" in running.log()


def test_a_running_instance_is_left_alone(server, transport):
    options = ["--master", "--pidfile", "pid", "--safe-pidfile", "safe", "--master-fifo", "fifo", "--vacuum", "--socket", "site.sock",
               "--flock", "lock", "--spooler", "jobs", "--attach-daemon", "echo up >> daemon; exec sleep 1000",
               "--cache2", "name=c,items=10,store=store"]
    running = server(transport, options, app=LOADED + versioned(1), files={"lock": ""})
    eventually((running.dir / "daemon").exists)

    def owned():
        return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in running.dir.iterdir()
                if path.name not in ("server.log", "loaded", "store")}

    before = owned()
    beside = server(args=[*transport.args, *options, "--no-server", "--wsgi-file", "app.py", "--force-cwd", running.dir])
    assert beside.wait_exit() == 0
    assert "no-server mode requested. Goodbye." in beside.log()
    assert owned() == before
    assert (running.dir / "daemon").read_text() == "up\n"
    assert get(transport.port).status == 200


def test_a_signal_ends_an_import_that_hangs(server, transport):
    running = server(transport, ["--master", "--no-server"], app="import time\nopen('loading', 'w')\ntime.sleep(1000)\n", ready=False)
    eventually((running.dir / "loading").exists)
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    running.wait_gone()
