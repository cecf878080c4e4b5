"""Listening sockets: whose they are, who removes their files, and what happens where somebody else listens already."""
import os
import signal
import socket
from pathlib import Path

import pytest
from apps import versioned
from http_client import Connection, eventually
from listeners import answers, as_systemd, given, listening


@pytest.fixture
def started_with(server, tmp_path):
    """started_with(how, args) starts a server that gets the unix socket at given.sock as a descriptor: by systemd, number, stdin."""
    held = []

    def start(how, args):
        held.append(listening(tmp_path / "given.sock"))
        wrapper = {"systemd": as_systemd(*held), "number": given(*held), "stdin": given(*held, at=0)}[how]
        args = ["--master", "--protocol", "http", *args, *(["--socket", "fd://3"] if how == "number" else [])]
        return server(None, args, app=versioned(1), wrapper=wrapper, pass_fds=[held[0].fileno()])

    yield start
    for one in held:
        one.close()


@pytest.mark.parametrize("how", ["systemd", "number", "stdin"])
def test_a_socket_that_was_given_keeps_its_file(started_with, tmp_path, how):
    path = tmp_path / "given.sock"
    running = started_with(how, ["--vacuum"])
    eventually(lambda: answers(path), 20)
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    assert path.is_socket()


def test_an_option_may_name_a_socket_of_systemd(started_with, tmp_path):
    """By its path: it is that socket, with the option's protocol, not another in its place."""
    path = tmp_path / "given.sock"
    running = started_with("systemd", ["--vacuum", "--http-socket", path, "--protocol", "uwsgi"])
    eventually(lambda: answers(path), 20)
    running.write("app.py", versioned(2))
    running.signal(signal.SIGHUP)
    eventually(lambda: answers(path, 2), 20)
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    assert path.is_socket()


def test_a_number_may_name_a_socket_of_systemd(started_with, tmp_path):
    started_with("systemd", ["--protocol", "uwsgi", "--http-socket", "fd://3"])
    eventually(lambda: answers(tmp_path / "given.sock"), 20)
    assert all(answers(tmp_path / "given.sock") for _ in range(5))


@pytest.mark.parametrize("vacuum", [True, False])
def test_a_socket_that_a_reload_takes_out_of_the_configuration(server, vacuum):
    ini = "[uwsgi]\nmaster = true\nhttp-socket = kept.sock\nwsgi-file = app.py\nvacuum = " + str(vacuum).lower()
    running = server(None, ["--ini", "a.ini"], files={"a.ini": ini + "\nhttp-socket = dropped.sock\n", "app.py": versioned(1)})
    kept, dropped = running.dir / "kept.sock", running.dir / "dropped.sock"
    eventually(lambda: answers(kept) and answers(dropped), 20)
    running.write("a.ini", ini + "\n")
    running.write("app.py", versioned(2))
    running.signal(signal.SIGHUP)
    eventually(lambda: answers(kept, 2), 20)
    eventually(lambda: not answers(dropped))
    assert dropped.exists() is not vacuum
    assert kept.exists()


def test_a_reload_that_fails_leaves_no_new_socket(server):
    ini = "[uwsgi]\nmaster = true\nhttp-socket = kept.sock\nwsgi-file = app.py\n"
    running = server(None, ["--ini", "a.ini"], files={"a.ini": ini, "app.py": versioned(1)})
    eventually(lambda: answers(running.dir / "kept.sock"), 20)
    running.write("a.ini", ini + "http-socket = new.sock\n")
    running.write("app.py", "raise RuntimeError('no such luck')\n")
    running.signal(signal.SIGHUP)
    running.wait_log("reload failed", 20)
    eventually(lambda: not (running.dir / "new.sock").exists())
    assert answers(running.dir / "kept.sock")


# What a second instance would take from the first one, and with which options.
TAKEN = {
    "socket": ["--socket", "one"], "http-socket": ["--http-socket", "one"], "stats": ["--stats", "one"],
    "notify-socket": ["--notify-socket", "one"], "master-fifo": ["--master-fifo", "one"],
}


def first_and_second(server, what):
    """The first instance, which serves, and the arguments of a second one in the same directory."""
    first = server(None, ["--master", "--vacuum", "--http-socket", "first.sock", "--pidfile", "server.pid", *TAKEN[what]], app=versioned(1))
    eventually(lambda: (first.dir / "one").exists() and answers(first.dir / "first.sock"), 20)
    eventually(lambda: (first.dir / "server.pid").exists())
    rest = ["--chdir", first.dir, "--http-socket", "second.sock", "--pidfile", first.dir / "server.pid", *TAKEN[what]]
    return first, ["--master", "--vacuum", *rest]


@pytest.mark.parametrize("what", TAKEN)
def test_a_second_instance_is_refused(server, what):
    first, rest = first_and_second(server, what)
    inode = (first.dir / "one").stat().st_ino
    second = server(None, [*rest, "--wsgi-file", "app.py"])
    assert second.wait_exit() == 1
    if what in ("socket", "http-socket", "stats"):
        assert f"process {first.pid} (" in second.log()
    assert "unix-socket-takeover" in second.log()
    assert (first.dir / "one").stat().st_ino == inode
    assert not (first.dir / "second.sock").exists()
    assert (first.dir / "server.pid").read_text() == f"{first.pid}\n"
    assert answers(first.dir / "first.sock")


@pytest.mark.parametrize("what", TAKEN)
def test_a_second_instance_that_is_told_to_takes_over(server, what):
    first, rest = first_and_second(server, what)
    second = server(None, [*rest, "--unix-socket-takeover", "--wsgi-file", "app.py"])
    eventually(lambda: answers(first.dir / "second.sock"), 20)
    eventually(lambda: (first.dir / "server.pid").read_text() == f"{second.pid}\n")
    second.wait_log("spawned uWSGI master process")
    inode = eventually(lambda: (first.dir / "one").exists() and (first.dir / "one").stat().st_ino)
    first.signal(signal.SIGTERM)
    assert first.wait_exit() == 0
    assert (first.dir / "one").stat().st_ino == inode
    assert (first.dir / "server.pid").exists()
    second.signal(signal.SIGTERM)
    assert second.wait_exit() == 0
    assert not (first.dir / "one").exists()


def test_a_full_queue_is_somebody_too(server, tmp_path):
    path = tmp_path / "busy.sock"
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(path))
        busy.listen(0)
        waiting = []
        try:
            while True:
                waiting.append(socket.socket(socket.AF_UNIX))
                waiting[-1].setblocking(False)
                waiting[-1].connect(str(path))
        except BlockingIOError:
            pass
        running = server(None, ["--http-socket", path], app=versioned(1))
        assert running.wait_exit() == 1
        for one in waiting:
            one.close()
    assert path.exists()


def test_what_a_killed_instance_has_left_is_replaced(server):
    """Also while a worker of it finishes its request and has the socket still."""
    args = ["--master", "--http-socket", "u.sock"]
    first = server(None, args, app=versioned(1))
    eventually(lambda: answers(first.dir / "u.sock"), 20)
    held = Connection(first.dir / "u.sock", timeout=30)
    held.send("/hold/it")
    eventually((first.dir / "held-it").exists)
    first.signal(signal.SIGKILL)
    first.wait_exit()
    second = server(None, ["--master", "--http-socket", first.dir / "u.sock"], app=versioned(2))
    second.wait_log("spawned uWSGI master process")
    assert answers(first.dir / "u.sock", 2)
    first.write("release", "")
    held.receive()


def test_a_reload_does_not_take_what_another_instance_serves(server, tmp_path):
    ini = "[uwsgi]\nmaster = true\nhttp-socket = own.sock\nwsgi-file = app.py\n"
    with listening(tmp_path / "theirs.sock"):
        running = server(None, ["--ini", "a.ini"], files={"a.ini": ini, "app.py": versioned(1)})
        eventually(lambda: answers(running.dir / "own.sock"), 20)
        running.write("a.ini", ini + f"http-socket = {tmp_path}/theirs.sock\n")
        running.signal(signal.SIGHUP)
        running.wait_log(f"theirs.sock: process {os.getpid()} ")
        running.wait_log("reload failed")
        assert answers(running.dir / "own.sock")
        assert (tmp_path / "theirs.sock").exists()


def test_a_reload_makes_a_socket_again_whose_file_is_gone(server):
    running = server(None, ["--master", "--http-socket", "u.sock"], app=versioned(1))
    eventually(lambda: answers(running.dir / "u.sock"), 20)
    (running.dir / "u.sock").unlink()
    running.signal(signal.SIGHUP)
    eventually(lambda: answers(running.dir / "u.sock"), 20)


def test_a_socket_that_is_named_twice(server):
    """In whatever words: it is one socket. uWSGI serves with such a configuration, too."""
    names = [part for name in ("u.sock", "./u.sock", "u.sock") for part in ("--http-socket", name)]
    running = server(None, ["--master", *names], app=versioned(1))
    eventually(lambda: answers(running.dir / "u.sock"), 20)
    assert all(answers(running.dir / "u.sock") for _ in range(10))
    running.write("app.py", versioned(2))
    running.signal(signal.SIGHUP)
    eventually(lambda: answers(running.dir / "u.sock", 2), 20)


BROKEN = "raise RuntimeError('no such luck')\n"


@pytest.mark.parametrize("args, app, status", [
    ([], BROKEN, 22), (["--lazy-apps"], BROKEN, 22), (["--hook-as-root", "exec:exit 3"], versioned(1), 1),
    (["--http-socket", "no/such.sock"], versioned(1), 1),
], ids=["application", "lazy application", "hook", "another socket"])
def test_a_start_that_fails_leaves_no_socket(server, args, app, status):
    running = server(None, ["--master", "--http-socket", "u.sock", "--stats", "stats.sock", *args], files={"keep": ""}, app=app)
    assert running.wait_exit(20) == status
    assert sorted(path.name for path in running.dir.iterdir()) == ["app.py", "keep", "server.log"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the user")
@pytest.mark.parametrize("option", ["--safe-pidfile", "--safe-pidfile2"])
def test_a_safe_pidfile_that_the_user_cannot_write(server, option):
    """The directory is root's: the start fails, as in uWSGI."""
    args = ["--master", "--uid", "nobody", "--gid", "nogroup", "--http-socket", "127.0.0.1:0", option, "server.pid"]
    running = server(None, args, app=versioned(1))
    assert running.wait_exit(20) == 1
    assert "server.pid" in running.log()
    assert "spawned uWSGI worker" not in running.log()
    running.wait_gone()


HOLDERS = versioned(1) + """
import subprocess
held = subprocess.Popen(["sleep", "600"], close_fds=False)
"""


@pytest.mark.parametrize("how", ["systemd", "number"])
def test_a_socket_that_was_given_is_held_by_who_serves_alone(started_with, tmp_path, how):
    """Not by programs that hooks, daemons and the application execute; and it is served over reloads, and afterwards its giver's."""
    running = started_with(how, ["--attach-daemon", "sleep 600", "--hook-post-app", "exec:sleep 0.1; ls -l /proc/self/fd > hook"])
    path = tmp_path / "given.sock"
    eventually(lambda: answers(path), 20)
    inode = f"socket:[{listening_inode(path)}]"
    for version in (2, 3):
        running.write("app.py", HOLDERS.replace('f"1 ', f'f"{version} '))
        running.signal(signal.SIGHUP)
        eventually(lambda version=version: answers(path, version), 20)
        holders = [pid for pid in running.processes() if inode in links(pid)]
        assert {comm(pid) for pid in holders} <= {"envoxyd", "python3", "python", ""}, [comm(pid) for pid in holders]
        assert {comm(pid) for pid in running.processes()} >= {"sleep"}
        assert inode not in (running.dir / "hook").read_text()
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))  # the test itself has it


def listening_inode(path):
    for line in open("/proc/net/unix"):
        fields = line.split()
        if fields[-1] == str(path) and fields[3] == "00010000":  # listens
            return fields[6]
    raise AssertionError(f"nobody listens at {path}")


def links(pid):
    found = set()
    try:
        fds = os.listdir(f"/proc/{pid}/fd")
    except FileNotFoundError:  # it has ended since it was listed
        return found
    for fd in fds:
        try:
            found.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:  # closed meanwhile
            pass
    return found


def comm(pid):
    """The program's name; "" once the process has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""
