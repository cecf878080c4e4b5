"""Listening sockets: whose they are, who removes their files, and what happens where somebody else listens already."""
import signal
import socket
import sys

import pytest
from apps import versioned
from http_client import eventually, get

# Starts the rest of its command line with the sockets of whoever started it, from descriptor 3 on, as systemd does.
ACTIVATE = ("import os, sys\n"
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=sys.argv[1])\n"
            "os.execvp(sys.argv[2], sys.argv[2:])\n")


def listening(path):
    """A unix socket that this process made and listens on."""
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    made.listen(16)
    return made


def answers(path, version=1):
    """Whether the application of that version answers on the unix socket."""
    try:
        return get(path).text.startswith(f"{version} ")
    except OSError:
        return False


@pytest.fixture
def given(server, tmp_path):
    """given(how, args, path...) starts a server that gets listening unix sockets as descriptors, by how: systemd, number, stdin."""
    held = []

    def start(how, args, *paths, **rest):
        sockets = [listening(path) for path in paths]
        held.extend(sockets)
        passed = " ".join(f"{number}<&{s.fileno()}" for number, s in enumerate(sockets, 0 if how == "stdin" else 3))
        command = f'exec {passed}; exec "$@"'
        wrapper = ["bash", "-c", command, "start"]
        if how == "systemd":
            wrapper += [sys.executable, "-c", ACTIVATE, len(sockets)]
        if how == "number":
            args = [*args, "--socket", "fd://3"]
        for s in sockets:
            s.set_inheritable(True)
        return server(None, ["--master", "--protocol", "http", *args], app=versioned(1), wrapper=wrapper, pass_fds=[s.fileno() for s in sockets], **rest)

    yield start
    for s in held:
        s.close()


@pytest.mark.parametrize("how", ["systemd", "number", "stdin"])
def test_a_socket_that_was_given_keeps_its_file(given, tmp_path, how):
    path = tmp_path / "given.sock"
    running = given(how, ["--vacuum"], path)
    eventually(lambda: answers(path), 20)
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    assert path.is_socket()


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
