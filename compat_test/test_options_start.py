"""Options of the start and of the master: what is waited for, where it starts, which shell runs commands, URLs by the clock."""
import http.server
import subprocess
import threading

import pytest
from apps import ANSWER
from http_client import eventually, get
from server import BINARY
from transports import http_socket

APP = f"""
import os
{ANSWER}
kept = []
def application(environ, start_response):
    path = environ["PATH_INFO"].split("/")
    if path[1] == "grow":
        kept.append(b"x" * (int(path[2]) << 20))
    return answer(start_response, str(os.getpid()))
"""


@pytest.fixture
def transport():
    return http_socket()


def test_the_start_waits_for_a_file(server, transport):
    running = server(transport, ["--master", "--wait-for-fs", "late", "--file-write", "written=a line"], app=APP, ready=False)
    running.wait_log("waiting for .*late")
    running.write("late", "")
    running.wait_port(transport.listens)
    assert (running.dir / "written").read_text() == "a line\n"


@pytest.mark.parametrize("option, timeout", [("--wait-for-fs", "--wait-for-fs-timeout"), ("--wait-for-socket", "--wait-for-socket-timeout"),
                                             ("--wait-for-interface", "--wait-for-interface-timeout")])
def test_what_does_not_come_ends_the_start(server, transport, option, timeout):
    running = server(transport, ["--master", option, "absent", timeout, "1"], app=APP, ready=False)
    assert running.wait_exit() == 1
    assert "absent is not a" in running.log()


def test_the_directory_of_the_start(server, transport):
    options = ["--master", "--force-cwd", "inner", "--pidfile", "pid", "--wsgi-file", "app.py"]
    running = server(transport, options, files={"inner/app.py": APP})
    assert get(transport.port).text.isdigit()
    assert int((running.dir / "inner/pid").read_text()) == running.pid


def test_a_shell_of_ones_own(server, transport):
    shell = '#!/bin/sh\necho "$2" >> ran\nexec /bin/sh "$@"\n'
    options = ["--master", "--binsh", "./absent", "--exec-asap", "chmod +x shell", "--binsh", "./shell", "--exec-pre-app", "echo 1 > one",
               "--attach-daemon", "echo 2 > two; exec sleep 1000"]
    running = server(transport, options, app=APP, files={"shell": shell})
    eventually(lambda: (running.dir / "two").exists())
    assert (running.dir / "ran").read_text().splitlines() == ["echo 1 > one", "echo 2 > two; exec sleep 1000"]


def test_a_shell_of_ones_own_in_every_phase(server, transport):
    """In the order of the phases, the last one at the end."""
    phases = ["asap", "pre-jail", "in-jail", "as-root", "as-user", "pre-app", "post-app", "as-user-atexit"]
    commands = [word for phase in phases for word in (f"--exec-{phase}", f"true {phase}")]
    shell = '#!/bin/sh\necho "$2" >> ran\n'
    options = ["--master", "--hook-asap", "chmod:shell 755", "--binsh", "./shell", *commands]
    running = server(transport, options, app=APP, files={"shell": shell})
    get(transport.port)
    running.signal(15)
    assert running.wait_exit() == 0
    assert (running.dir / "ran").read_text().splitlines() == [f"true {phase}" for phase in phases]


@pytest.mark.parametrize("option, said", [
    (["--legion", "mylegion 225.1.1.1:4242 100 bf-cbc:hello"], "legions are not supported; use keepalived"),
    (["--legion-attach-daemon", "mylegion true"], "legions are not supported"),
    (["--legion-cron", "mylegion -1 -1 -1 -1 -1 true"], "legions are not supported"),
    (["--pivot-root", "/srv /old"], "use --chroot, or start envoxyd itself in there"),
    (["--unshare", "net"], "use systemd or a container"),
])
def test_what_there_is_not_is_refused_by_name(server, transport, option, said):
    running = server(transport, ["--master", *option], app=APP, ready=False)
    assert running.wait_exit() == 1
    assert option[0][2:] in running.log() and said in running.log()


def test_an_emperor_alone_names_what_it_does_not_do(server):
    running = server(args=["--emperor", "vassals", "--master-fifo", "fifo", "--touch-reload", "file"], files={"vassals/x": ""})
    running.wait_log('option "master-fifo" has no effect: an emperor without workers')
    running.wait_log('option "touch-reload" has no effect')


def test_urls_by_the_clock(server, transport):
    asked = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/job" else 404)
            self.end_headers()
            if self.path == "/job":
                asked.set()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        try:
            address = f"http://127.0.0.1:{site.server_port}"
            jobs = [word for path in ("job", "absent") for word in ("--curl-cron", f"-1 -1 -1 -1 -1 {address}/{path}")]
            running = server(transport, ["--master", *jobs], app=APP)
            assert asked.wait(10)
            running.wait_log(r"\[uwsgi-curl-cron\] error on url http://.*/absent: 404 Not Found")
            assert f"error on url {address}/job" not in running.log()
        finally:
            site.shutdown()


def test_a_place_that_is_not_mounted_ends_the_instance(server, transport):
    options = ["--master", "--mountpoint-check", "/proc", "--mountpoint-check", "place"]
    running = server(transport, options, app=APP, files={"place/x": ""}, ready=False)
    assert running.wait_exit() == 1
    running.wait_log("place is not mounted any more")


@pytest.mark.parametrize("kind", ["uss", "pss"])
def test_memory_of_its_own_replaces_a_worker(server, transport, kind):
    running = server(transport, ["--master", f"--reload-on-{kind}", "200", "--min-worker-lifetime", "0"], app=APP)
    first = get(transport.port).text
    assert get(transport.port).text == first
    get(transport.port, "/grow/256")
    running.wait_log(rf"reload-on-{kind} limit reached")
    eventually(lambda: get(transport.port).text != first)


def test_the_list_of_plugins():
    listed = subprocess.run([BINARY, "--plugins-list"], capture_output=True, text=True, timeout=20)
    assert listed.returncode == 0
    assert {"python", "http", "zergpool"} <= set(listed.stdout.split())
