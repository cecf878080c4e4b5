"""Listening sockets of the test's own, the ways to give them to a server, and who answers on a socket."""
import socket
import sys

from http_client import Broken, get

# Announces the descriptors from 3 on as systemd does, and becomes the rest of its command line.
_ANNOUNCE = ("import os, sys\n"
             "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=sys.argv[1])\n"
             "os.execvp(sys.argv[2], sys.argv[2:])\n")


def listening(path):
    """A unix socket that this process has made and listens on."""
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    made.listen(16)
    return made


def given(*sockets, at=3):
    """The front of a command line whose rest gets the sockets as descriptors from `at` on, and under no other number."""
    moves = " ".join(f"{number}<&{one.fileno()} {one.fileno()}<&-" for number, one in enumerate(sockets, at))
    return ["bash", "-c", f'exec {moves}; exec "$@"', "start"]


def as_systemd(*sockets):
    """The same, by the variables of systemd's socket activation."""
    return [*given(*sockets), sys.executable, "-c", _ANNOUNCE, len(sockets)]


def answers(address, version=1):
    """Whether the application of that version answers on a port or a unix socket (apps.versioned)."""
    try:
        return get(address).text.startswith(f"{version} ")
    except (OSError, Broken):
        return False
