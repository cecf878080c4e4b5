"""--chroot: the application, and what it starts, see another root."""
import os
import signal

import pytest
from apps import ANSWER
from http_client import eventually, get
from transports import http_socket

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its root")

APP = f"""
import os
{ANSWER}
VERSION = 1
def application(environ, start_response):
    return answer(start_response, f"{{VERSION}} {{os.path.exists('/mnt/inside')}} {{os.getcwd()}} {{os.getuid()}}")
"""
# The machine's own files, but for /mnt, which says where one is.
JAIL = """
mkdir -p jail && mount --rbind / jail && mount -t tmpfs none jail/mnt && touch jail/mnt/inside && cp app.py jail/mnt && exec "$@"
"""


@pytest.fixture
def transport():
    return http_socket()


def start(server, transport, *options, jail=JAIL, **rest):
    wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-c", jail, "sh"]
    return server(transport, ["--master", "--log-master", "--chroot", "jail", "--chdir", "/mnt", "--wsgi-file", "app.py", *options],
                  files={"app.py": APP}, wrapper=wrapper, **rest)


def test_the_application_runs_in_the_jail(server, transport):
    running = start(server, transport, "--uid", "65534", "--gid", "65534", "--hook-as-root", "exec:test -e /mnt/inside")
    assert get(transport.port).text == "1 True /mnt 65534"
    running.wait_log(r"chroot\(\) to .*/jail")
    running.signal(signal.SIGHUP)
    running.wait_log("gracefully .RE.spawned")
    eventually(lambda: get(transport.port).text == "1 True /mnt 65534")


def test_what_the_jail_needs_is_named(server, transport):
    running = start(server, transport, jail='mkdir jail && exec "$@"', ready=False)
    assert running.wait_exit() == 1
    assert "there is no /proc in it: mount it before" in running.log()
    running = start(server, transport, jail='mkdir -p jail/proc && mount -t proc none jail/proc && exec "$@"', ready=False)
    assert running.wait_exit() == 1
    assert "envoxyd has to be in it, at the same path as outside" in running.log()


def test_a_jail_that_is_not_there(server, transport):
    running = start(server, transport, jail='exec "$@"', ready=False)
    assert running.wait_exit() == 1
    assert "chroot: chdir " in running.log() and "no such file" in running.log()
