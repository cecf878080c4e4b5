"""What holds for single processes, and what ends them: limits, harakiri's grace, descriptors and sockets that give orders."""
import os
import re
import socket
from pathlib import Path

import pytest
from apps import ANSWER, versioned
from http_client import Broken, Connection, eventually
from load import Load
from transports import http_socket

# /hang never ends, /grow/N holds N MB, /stdin reads, anything else answers the pid.
APP = f"""
import os, sys, threading, time
{ANSWER}
kept = []
def application(environ, start_response):
    path = environ["PATH_INFO"].split("/")
    if path[1] == "hang":
        open("held", "w").close()
        while not os.path.exists("release"):
            time.sleep(0.01)
    elif path[1] == "grow":
        try:
            kept.append(bytearray(int(path[2]) << 20))
        except MemoryError:
            return answer(start_response, "MemoryError")
    elif path[1] == "stdin":
        return answer(start_response, repr(sys.stdin.read()))
    return answer(start_response, str(os.getpid()))
"""


@pytest.fixture
def transport():
    return http_socket()


def ask(transport, path="/", fails=False):
    connection = Connection(transport.port, False)
    try:
        text = connection.get(path).text
    except (OSError, Broken):
        assert fails, f"no answer to {path}"
        return None
    finally:
        connection.close()
    assert not fails, f"{path} was answered: {text}"
    return text


def hold(transport, running):
    """A request that is in the application by now; the caller closes its socket."""
    held = socket.create_connection(("127.0.0.1", transport.port))
    held.sendall(b"GET /hang HTTP/1.0\r\n\r\n")
    eventually(lambda: (running.dir / "held").exists())
    return held


def test_harakiri_with_a_grace_lets_the_other_threads_finish(server, transport):
    running = server(transport, ["--master", "--threads", "2", "--harakiri", "1", "--harakiri-graceful-timeout", "2"], app=APP)
    first = ask(transport)
    with hold(transport, running):
        running.wait_log(r"HARAKIRI ON WORKER 1 \(pid: \d+, try: 1, graceful: yes\)")
        running.wait_log(r"HARAKIRI ON WORKER 1 \(pid: \d+, try: 2, graceful: no\)")
    assert eventually(lambda: ask(transport)) != first


def test_harakiri_with_a_grace_spares_a_request_that_ends_within_it(server, transport):
    running = server(transport, ["--master", "--harakiri", "1", "--harakiri-graceful-timeout", "30"], app=APP)
    with hold(transport, running) as held:
        running.wait_log("graceful: yes")
        running.write("release", "")
        assert b" 200 " in held.makefile("rb").readline()
    running.wait_log("Respawned uWSGI worker 1")
    assert "try: 2" not in running.log()
    assert ask(transport)


def test_harakiri_may_ask_by_a_signal_that_the_application_handles(server, transport):
    handler = "import signal\nsignal.signal(signal.SIGABRT, lambda *_: os._exit(7))\n"
    running = server(transport, ["--master", "--lazy-apps", "--harakiri", "1", "--harakiri-graceful-timeout", "60",
                                 "--harakiri-graceful-signal", "6"], app=APP + handler)
    with hold(transport, running):
        running.wait_log("Respawned uWSGI worker 1")
    assert ask(transport)


def test_harakiri_waits_for_a_queue(server, transport):
    running = server(transport, ["--master", "--harakiri", "1", "--harakiri-queue-threshold", "2"], app=APP)
    with hold(transport, running):
        waiting = [socket.create_connection(("127.0.0.1", transport.port)) for _ in range(3)]
        running.wait_log("HARAKIRI ON WORKER 1")
        for one in waiting:
            one.close()


@pytest.mark.parametrize("limit", [256, 1024])
def test_limit_as_is_the_applications_not_the_runtimes(server, transport, limit):
    """Half of the limit can be had, the whole of it cannot, although the extension alone reserves more than that."""
    server(transport, ["--master", "--limit-as", str(limit), "--threads", "4"], app=APP)
    pid = ask(transport)
    assert ask(transport, f"/grow/{limit // 2}") == pid
    assert ask(transport, f"/grow/{limit + 512}") == "MemoryError"
    with Load(transport) as load:
        load.wait_for(50)
    assert load.failures() == []
    assert ask(transport) == pid


@pytest.mark.parametrize("option, line", [
    (["--evil-reload-on-rss", "200"], "EVIL RELOAD ON WORKER 1 RSS"),
    (["--evil-reload-on-as", "600"], "EVIL RELOAD ON WORKER 1 ADDRESS SPACE"),
])
def test_evil_reload_kills_what_has_grown(server, transport, option, line):
    running = server(transport, ["--master", *option, "--mem-collector-freq", "1"], app=APP)
    first = ask(transport)
    with socket.create_connection(("127.0.0.1", transport.port)) as growing:  # it may be killed before it can answer
        growing.sendall(b"GET /grow/700 HTTP/1.0\r\n\r\n")
        running.wait_log(line)
    running.wait_log("Respawned uWSGI worker 1")
    assert ask(transport) != first


def test_each_worker_has_its_processors(server, transport):
    usable = sorted(os.sched_getaffinity(0))
    running = server(transport, ["--master", "--processes", "3", "--cpu-affinity", "1"], app=APP)
    for number in (1, 2, 3):
        pid = running.wait_log(rf"spawned uWSGI worker {number} \(pid: (\d+)").group(1)
        running.wait_log(rf"mapping worker {number} to CPUs")
        assert os.sched_getaffinity(int(pid)) == {usable[(number - 1) % len(usable)]}


@pytest.mark.parametrize("options, want", [([], "''"), (["--honour-stdin"], "'some text'")])
def test_standard_input(server, transport, tmp_path, options, want):
    (tmp_path / "input").write_text("some text")
    shell = ["sh", "-c", 'exec "$@" <' + str(tmp_path / "input"), "sh"]
    server(transport, ["--master", *options], app=APP, wrapper=shell)
    assert ask(transport, "/stdin") == want


def test_reload_when_a_descriptor_becomes_readable(server, transport, tmp_path):
    os.mkfifo(tmp_path / "orders")
    orders = os.open(tmp_path / "orders", os.O_RDWR)
    shell = ["sh", "-c", 'exec "$@" 7<>' + str(tmp_path / "orders"), "sh"]
    running = server(transport, ["--master", "--reload-on-fd", "7"], app=versioned(1), wrapper=shell)
    try:
        for version in (2, 3):
            running.write("app.py", versioned(version))
            with Load(transport) as load:
                os.write(orders, b"now")
                eventually(lambda: any(text.startswith(f"{version} ") for text in load.texts))
            assert load.failures() == []
    finally:
        os.close(orders)
    eventually(lambda: running.log().count("(RE)spawned") == 2)


def test_notices_go_to_the_log(server, transport):
    running = server(transport, ["--master", "--notify-socket", "notices"], app=APP)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
        eventually(lambda: client.connect_ex(str(running.dir / "notices")) == 0)
        client.send(b"100% of it\n")
    running.wait_log(r"^.+ - \[notify-socket\] 100% of it$")
    running.signal(15)
    assert running.wait_exit() == 0
    assert not (running.dir / "notices").exists()


def test_mapped_sockets_are_served_by_their_workers_only(server, transport):
    other = http_socket()
    running = server(transport, [*other.args, "--master", "--processes", "3", "--map-socket", "0:1", "--map-socket", "1:2,3"], app=APP)
    pids = [running.wait_log(rf"spawned uWSGI worker {number} \(pid: (\d+)").group(1) for number in (1, 2, 3)]
    with Load(transport) as one, Load(other) as two:
        one.wait_for(100)
        two.wait_for(100)
    assert one.failures() == two.failures() == []
    assert set(one.texts) == {pids[0]}
    assert set(two.texts) <= set(pids[1:])


def test_smart_daemon_outlives_reload_and_stop_and_is_found_again(server, transport):
    args = ["--master", "--smart-attach-daemon2", "d.pid,1 exec sleep 1000"]
    running = server(transport, args, app=APP)
    pid = int(eventually(lambda: (running.dir / "d.pid").exists() and (running.dir / "d.pid").read_text()))
    running.signal(1)
    running.wait_log(r"\(RE\)spawned")
    running.signal(15)
    assert running.wait_exit() == 0
    assert Path(f"/proc/{pid}").exists()
    running.start()
    running.wait_log(rf"found valid/active pidfile .*\(pid: {pid}\)")
    os.kill(pid, 9)
    running.wait_log(r'\[uwsgi-daemons\] (re)?spawning "exec sleep 1000"(.|\n)*spawning "exec sleep 1000"')
    assert int(re.sub(r"\s", "", (running.dir / "d.pid").read_text())) != pid
