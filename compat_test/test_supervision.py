"""The zygote dies, hangs or cannot fork; children say what is not so; slow work is going on: the service lives, and obeys."""
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from apps import ANSWER, NOTING, versioned
from http_client import Broken, Connection, eventually, get
from load import Load
from server import Server, alive, free_port
from transports import http_socket

# `zygote` in the server's directory holds the number of the process that imported the application last.
IMPORTED = "import os\nwith open('zygote.new', 'w') as f: f.write(str(os.getpid()))\nos.replace('zygote.new', 'zygote')\n"


@pytest.fixture
def transport():
    """One way in is enough here."""
    return http_socket()


def zygote(running):
    return int(eventually(lambda: (running.dir / "zygote").exists() and (running.dir / "zygote").read_text()))


def worker(port):
    """The number of a worker that answers; 0: none does."""
    try:
        return int(get(port, timeout=2).text.split()[-1])
    except (OSError, Broken):
        return 0


def test_a_start_that_hangs_leaves_nothing(server, tmp_path):
    """It reads a file that nobody writes: the second signal ends it, and what it has made is removed."""
    os.mkfifo(tmp_path / "conf")
    running = server(None, ["--master", "--http-socket", "x.sock", "--pidfile", "pid", "--vacuum", "--set", f"conf={tmp_path}/conf",
                            "--logto", "log", "--log-master"])
    eventually(lambda: (running.dir / "pid").exists() and (running.dir / "x.sock").exists())
    running.signal(signal.SIGTERM)
    running.signal(signal.SIGINT)
    assert running.wait_exit() == 1
    assert "in the midst of the start" in (running.dir / "log").read_text()
    assert not (running.dir / "pid").exists() and not (running.dir / "x.sock").exists()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
def test_a_zygote_that_is_lost_while_the_code_is_broken(server, transport, how):
    """The workers go on; when the code is mended, the service comes back by itself."""
    running = server(transport, ["--master", "--processes", "2"], app=IMPORTED + versioned(1))
    running.wait_log("spawned uWSGI master process")  # a zygote that is lost before that is a start that fails
    running.write("app.py", "this is no Python")
    running.signal_process(zygote(running), how)
    if how == signal.SIGSTOP:
        running.signal_process(worker(transport.port), signal.SIGKILL)
    eventually(lambda: running.log().count("reload failed") >= 2, 40)
    assert get(transport.port).text.startswith("1 ")
    for pid in set(running.processes()) - {running.pid}:
        os.kill(pid, signal.SIGKILL)
    running.write("app.py", IMPORTED + versioned(2))
    eventually(lambda: worker(transport.port), 40)
    assert get(transport.port).text.startswith("2 ")
    assert running.running()


def test_a_zygote_that_kills_itself_is_not_replaced_in_a_rush(server, transport):
    """It ends right after loading, each time: the attempts become rarer."""
    app = IMPORTED + ("import signal, threading\nopen('loads', 'a').write('x')\n"
                      "threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGKILL)).start()\n") + versioned(1)
    running = server(transport, ["--master"], app=app)
    time.sleep(10)  # the time is what is measured
    assert 2 <= len((running.dir / "loads").read_text()) <= 8
    assert get(transport.port).status == 200


def test_a_zygote_that_is_killed_before_its_first_fork(server, transport):
    """The start fails, or comes up: nobody is left who listens and never answers."""
    app = "import atexit, gc, os, signal\ngc.callbacks.append(lambda phase, info: os.kill(os.getpid(), signal.SIGKILL))\n" + versioned(1)
    running = server(transport, ["--master"], app=app, ready=False)
    assert running.wait_exit() == 1
    assert "signal 9" in running.log()


def test_a_fork_that_fails_is_tried_again(server, transport):
    """EAGAIN, as RLIMIT_NPROC gives it, costs no zygote."""
    app = f"""
import resource, os, threading, time
{ANSWER}
before = resource.getrlimit(resource.RLIMIT_NPROC)
if os.getuid() == 0:
    os.setgid(65534), os.setuid(65534)
resource.setrlimit(resource.RLIMIT_NPROC, (0, before[1]))
def mend():
    while not os.path.exists("mended"):
        time.sleep(0.01)
    resource.setrlimit(resource.RLIMIT_NPROC, before)
thread = threading.Thread(target=mend, daemon=True)
os.register_at_fork(before=lambda: None)
try:
    thread.start()
except RuntimeError:
    resource.setrlimit(resource.RLIMIT_NPROC, before)
    thread.start()
    resource.setrlimit(resource.RLIMIT_NPROC, (0, before[1]))
def application(environ, start_response):
    return answer(start_response, str(os.getpid()))
"""
    running = server(transport, ["--master"], app=app, ready=False)
    running.wait_log("could not fork worker 1: .*Resource temporarily unavailable")
    assert "Traceback" not in running.log()
    running.write("mended", "")
    eventually(lambda: worker(transport.port), 20)


FORK_HOOKS = IMPORTED + "import threading\n" + ANSWER + """
hooks = []
lock = threading.Lock()
os.register_at_fork(before=lambda: hooks.append("before"),
                    after_in_child=lambda: hooks.append("child " + str(len(os.listdir("/proc/self/task")))))
MORE
def application(environ, start_response):
    with lock:
        return answer(start_response, str(hooks) + " " + str(os.getpid()))
"""


def test_hooks_of_forks_run_once(server, transport):
    """In the worker, from a process that has no other thread; one that they start there holds no lock of the worker's."""
    more = ("import time\ndef hold():\n    with lock:\n        time.sleep(0.05)\n"
            "os.register_at_fork(after_in_child=lambda: threading.Thread(target=hold).start())")
    running = server(transport, ["--master", "--processes", "2"], app=FORK_HOOKS.replace("MORE", more))
    for _ in range(3):
        text = get(transport.port, timeout=5).text
        assert re.fullmatch(r"\[('before', )+'child 1'\] \d+", text), text
        old = int(text.split()[-1])
        running.signal_process(old, signal.SIGKILL)
        eventually(lambda old=old: worker(transport.port) not in (0, old))


@pytest.mark.parametrize("more", [
    "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    "import signal\ndef reap(*_):\n    while True:\n        os.waitpid(-1, 0)\nsignal.signal(signal.SIGCHLD, reap)",
    "import ctypes; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)",
], ids=["ignored", "handler", "subreaper"])
def test_what_the_application_does_with_its_children(server, transport, more):
    """Workers are forked, and replaced, all the same."""
    running = server(transport, ["--master", "--processes", "2"], app=IMPORTED + more + "\n" + versioned(1))
    for _ in range(4):
        old = eventually(lambda: worker(transport.port))
        running.signal_process(old, signal.SIGKILL)
        eventually(lambda old=old: worker(transport.port) not in (0, old))
    old = zygote(running)
    running.signal(signal.SIGHUP)
    eventually(lambda: zygote(running) != old and not alive(old))
    eventually(lambda: worker(transport.port))
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    running.wait_gone()


LIAR = IMPORTED + f"""
import json, socket, uwsgi
{ANSWER}
def application(environ, start_response):
    from urllib.parse import unquote
    for number in map(int, os.listdir("/proc/self/fd")):
        try:
            if os.readlink(f"/proc/self/fd/{{number}}").startswith("socket:"):
                with socket.socket(fileno=os.dup(number)) as s:
                    if s.type == socket.SOCK_SEQPACKET:
                        s.setblocking(False)
                        s.send(unquote(environ["QUERY_STRING"]).encode())
        except OSError:
            pass
    return answer(start_response, str(os.getpid()))
"""


def test_lies_are_not_believed(server, transport):
    """What the application writes to each socket that it can find makes nothing end that is not its own."""
    bystander = subprocess.Popen(["sleep", "1000"])
    try:
        running = server(transport, ["--master", "--processes", "2"], app=LIAR)
        lies = ["", "nonsense", "{}", "[1]"] + [
            json.dumps({"kind": kind, "worker": number, "pid": pid, "id": identity, "status": 1})
            for kind in ("loaded", "forked", "fork failed", "failed", "ready", "started", "stopping", "alarm", "gateway")
            for number in (-1, 0, 1, 2, 3, 1 << 40) for pid in (bystander.pid, running.pid, 0, -1) for identity in (0, 2)]
        with Connection(transport.port, keep=True) as connection:
            for lie in lies:
                connection.get("/?" + "".join(f"%{byte:02x}" for byte in lie.encode()))
        old = zygote(running)
        running.signal(signal.SIGHUP)
        eventually(lambda: zygote(running) != old and not alive(old), 20)
        assert get(transport.port).status == 200
        assert bystander.poll() is None
        assert "panic" not in running.log()
        running.signal(signal.SIGTERM)
        assert running.wait_exit() == 0
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.parametrize("phase", ["hook-asap", "hook-pre-app", "hook-as-user"])
def test_a_start_is_given_up_at_any_moment(server, phase):
    """TERM is obeyed while a hook of the start runs, and ends the hook."""
    args = ["--master", "--http-socket", "127.0.0.1:0", f"--{phase}", "exec:echo > hooking; exec sleep 1000"]
    running = server(None, args, app=versioned(1))
    eventually((running.dir / "hooking").exists)
    running.signal(signal.SIGTERM)
    assert running.wait_exit(5) == 0
    running.wait_gone()


def test_a_lock_that_somebody_has_is_not_waited_for_against_a_signal(server):
    first = server(None, ["--master", "--http-socket", "127.0.0.1:0", "--flock", "lock"], app=versioned(1), files={"lock": ""})
    first.wait_log("spawned uWSGI worker")
    second = server(None, ["--master", "--http-socket", "127.0.0.1:0", "--flock-wait", first.dir / "lock"], app=versioned(1))
    second.wait_log("waiting for the lock")
    second.signal(signal.SIGTERM)
    assert second.wait_exit(5) == 0


def test_slow_work_of_a_reload_holds_nothing_up(server, transport):
    """Harakiri strikes, statistics are answered and TERM is obeyed while a reload reads exec:// and runs hooks."""
    stats = free_port()
    ini = f"[uwsgi]\nmaster = true\nstats = 127.0.0.1:{stats}\nharakiri = 1\nprocesses = 2\n"
    ini += f"http-socket = {transport.args[1]}\nwsgi-file = app.py\n"
    slow = "exec://test ! -e slow || sleep 1000; echo '[uwsgi]'"
    running = Server(["--ini", "site.ini", "--ini", slow], files={"site.ini": ini, "app.py": versioned(1)})
    try:
        running.start().wait_port(transport.listens)
        running.write("slow", "")
        running.signal(signal.SIGHUP)
        running.wait_log("^reload: ")
        with Connection(transport.port, timeout=10) as held:
            held.send("/hold/harakiri")
            running.wait_log("HARAKIRI ON WORKER")
        with socket.create_connection(("127.0.0.1", stats), 5) as s:
            s.settimeout(5)
            assert json.loads(b"".join(iter(lambda: s.recv(65536), b"")))["pid"] == running.pid
        assert get(transport.port).status == 200
        running.signal(signal.SIGTERM)
        assert running.wait_exit(10) == 0
    finally:
        running.close()


def test_a_signal_to_the_process_and_to_its_group(server, transport):
    """What coreutils' timeout, shells and process managers send twice counts once: requests in hand are answered."""
    for _ in range(5):
        running = server(transport, ["--master", "--processes", "2"], app=versioned(1))
        with Connection(transport.port, timeout=20) as held:
            held.send("/hold/it")
            eventually((running.dir / "held-it").exists)
            os.kill(running.pid, signal.SIGTERM)
            os.killpg(running.pid, signal.SIGTERM)
            os.kill(running.pid, signal.SIGTERM)
            eventually(lambda: not worker(transport.port))
            running.write("release", "")
            assert held.receive().status == 200
        assert running.wait_exit() == 0


def parents(running):
    """The parents of all processes."""
    found = []
    for pid in running.processes():
        try:
            found.append(int(re.search(r"PPid:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]))
        except OSError:
            continue
    return found


def test_workers_killed_around_a_takeover(server, transport):
    """No worker of an old generation is left behind, however the fork of its replacement meets the reload."""
    running = server(transport, ["--master", "--processes", "3", "--disable-logging"], app=IMPORTED + NOTING)
    with Load(transport) as load:
        for number in range(15):
            old = zygote(running)
            load.wait_for(10)
            running.signal(signal.SIGHUP)
            time.sleep(0.03 + 0.01 * number)  # where it meets the reload is what is tried
            for pid in {int(text) for text in list(load.texts)[-30:]}:
                if alive(pid):
                    os.kill(pid, signal.SIGKILL)
            eventually(lambda old=old: zygote(running) != old and not alive(old), 20)
    eventually(lambda: sorted(parent == running.pid for parent in parents(running)) == [False, *[True] * 4], 20)  # zygote, three workers


@pytest.mark.parametrize("more, orphans", [([], True), (["--no-orphans"], False)], ids=["plain", "no-orphans"])
def test_a_master_that_is_killed(server, transport, more, orphans):
    """Its workers finish what they have and go; with --no-orphans they go at once."""
    running = server(transport, ["--master", "--processes", "2", *more], app=IMPORTED + versioned(1))
    with Connection(transport.port, timeout=20) as held:
        held.send("/hold/it")
        eventually((running.dir / "held-it").exists)
        running.signal(signal.SIGKILL)
        running.process.wait(10)
        if orphans:
            eventually(lambda: not worker(transport.port))
            running.write("release", "")
            assert held.receive().status == 200
        else:
            with pytest.raises((Broken, OSError)):
                held.receive()
            assert not (running.dir / "release").exists()
    running.wait_gone()


LOCKED = IMPORTED + f"""
import time, uwsgi
{ANSWER}
def application(environ, start_response):
    if environ["PATH_INFO"] == "/hold":
        uwsgi.lock(2)
        open("held", "w").close()
        while not os.path.exists("release"):
            time.sleep(0.01)
        uwsgi.unlock(2)
    return answer(start_response, f"{{uwsgi.is_locked(2)}} {{os.getpid()}}")
"""


def test_locks_exclude_across_generations_and_upgrades(server, transport):
    """What a worker of before has locked is locked for those of today, too."""
    running = server(transport, ["--master", "--processes", "2", "--locks", "2", "--pidfile", "pid"], app=LOCKED)
    with Connection(transport.port, timeout=60) as held:
        held.send("/hold")
        eventually((running.dir / "held").exists)
        for number in (signal.SIGHUP, signal.SIGUSR2):
            old = zygote(running)
            os.kill(int((running.dir / "pid").read_text()), number)
            eventually(lambda old=old: zygote(running) != old and get(transport.port).text.split()[-1], 20)
            eventually(lambda: running.log().count("gracefully") + running.log().count("the new master serves") >= 1, 20)
            assert get(transport.port).text.startswith("True ")
        running.write("release", "")
        assert held.receive().status == 200
    eventually(lambda: get(transport.port).text.startswith("False "))


def test_a_reload_with_lazy_replaces_the_workers_alone(server, transport):
    """Each loads the new code by itself; the zygote stays, and code that does not load reaches one worker at most."""
    running = server(transport, ["--master", "--lazy", "--processes", "2"], app=versioned(1))
    running.wait_log("spawned uWSGI master process")
    children = set(running.processes())
    running.write("app.py", versioned(2))
    running.signal(signal.SIGHUP)
    running.wait_log("chain reloading complete")
    assert get(transport.port).text.startswith("2 ")
    assert len(children & set(running.processes())) == 2, "master and zygote stay"
    assert "(RE)spawned" not in running.log()
    running.write("app.py", "this is no Python")
    running.signal(signal.SIGHUP)
    running.wait_log("chain reloading given up")
    assert [get(transport.port).status for _ in range(5)] == [200] * 5


def test_daemons_and_jobs_are_a_service_without_a_socket(server):
    """What a master alone runs: no socket, no application, no worker; reloads and a stop as ever."""
    running = server(None, ["--master", "--attach-daemon", "echo up >> daemon; exec sleep 1000", "--cron2", "minute=-1 echo tick >> cron"])
    running.wait_log("spawned uWSGI master process")
    eventually((running.dir / "daemon").exists)
    eventually((running.dir / "cron").exists, 70)
    running.signal(signal.SIGHUP)
    running.wait_log(r"gracefully \(RE\)spawned")
    eventually(lambda: (running.dir / "daemon").read_text() == "up\nup\n")
    assert "spawned uWSGI worker" not in running.log() and "GAME OVER" not in running.log()
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    running.wait_gone()


STUCK = """
import time
def innermost():
    while True:
        time.sleep(0.01)
def application(environ, start_response):
    innermost()
"""


def test_harakiri_verbose_shows_where_python_is(server, transport):
    running = server(transport, ["--master", "--harakiri", "1", "--harakiri-verbose", "--threads", "2"], app=STUCK)
    with pytest.raises((Broken, OSError)):
        get(transport.port)
    running.wait_log("died, killed by signal 9")
    assert re.search(r"in innermost\n.*in application\n", running.log())


def test_an_import_that_closes_all_descriptors(server, transport):
    """A start says so and ends; a reload fails, and the next one with mended code comes up."""
    closing = "import os\nos.closerange(3, 65536)\n" + versioned(2)
    broken = server(http_socket(), ["--master"], app=closing, ready=False)
    assert broken.wait_exit(10) != 0
    assert "has closed descriptors" in broken.log()
    running = server(transport, ["--master"], app=versioned(1))
    eventually(lambda: worker(transport.port))
    running.write("app.py", closing)
    running.signal(signal.SIGHUP)
    running.wait_log("reload failed")
    running.write("app.py", versioned(3))
    running.signal(signal.SIGHUP)
    eventually(lambda: get(transport.port).text.startswith("3 "))


def test_a_stop_does_not_wait_for_a_zygote_that_hears_nothing(server, transport):
    running = server(transport, ["--master"], app=IMPORTED + versioned(1))
    eventually(lambda: worker(transport.port))
    running.signal_process(zygote(running), signal.SIGSTOP)
    running.signal(signal.SIGTERM)
    assert running.wait_exit(12) == 0
    running.wait_gone()
