"""File systems that the hooks of the start mount, in a mount namespace of the test's own."""
import os
import signal

import pytest
from apps import ANSWER
from http_client import eventually, get
from transports import http_socket

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")

APP = f"""
import os
{ANSWER}
def application(environ, start_response):
    flags = os.statvfs("place").f_flag
    mounted = f" {{os.path.abspath('place')}} " in open("/proc/self/mounts").read()
    return answer(start_response, f"{{mounted}} {{bool(flags & os.ST_NOEXEC)}} {{os.getuid()}} {{os.getpid()}}")
"""


@pytest.fixture
def transport():
    return http_socket()


def start(server, transport, *options, **rest):
    own_namespace = ["unshare", "--mount", "--propagation", "private"]
    return server(transport, ["--master", *options], app=APP, files={"place/x": ""}, wrapper=own_namespace, **rest)


def said(port):
    return get(port).text.split()[:3]


@pytest.mark.parametrize("options, want", [
    (["--hook-as-root", "mount:tmpfs none place noexec,nosuid"], ["True", "True", "0"]),
    (["--mount-as-root", "tmpfs none place"], ["True", "False", "0"]),
    (["--mount-asap", "tmpfs none place", "--uid", "65534", "--gid", "65534"], ["True", "False", "65534"]),
    (["--hook-as-root", "mount:tmpfs none place", "--hook-as-root", "umount:place"], ["False", "False", "0"]),
    (["--mount-asap", "tmpfs none place", "--umount-as-root", "place"], ["False", "False", "0"]),
    (["--hook-asap", "mkdir:other", "--hook-as-root", "mount:none other place bind"], ["True", "False", "0"]),
])
def test_what_is_mounted_is_there_for_the_application(server, transport, options, want):
    start(server, transport, *options)
    assert said(transport.port) == want


def test_a_reload_mounts_nothing_twice(server, transport):
    running = start(server, transport, "--hook-as-root", "mount:tmpfs none place")
    first = get(transport.port).text
    running.signal(signal.SIGHUP)
    eventually(lambda: get(transport.port).text != first, 20)
    mounts = [line for line in open(f"/proc/{running.pid}/mounts").read().splitlines() if f"{running.dir}/place" in line]
    assert len(mounts) == 1


@pytest.mark.parametrize("hook, said", [("mount:tmpfs none absent", "no such file"), ("mount:tmpfs none place dance", 'no flag "dance"'),
                                        ("umount:place", "umount"), ("mount:tmpfs", "is not TYPE SOURCE TARGET")])
def test_a_mount_that_fails_ends_the_start(server, transport, hook, said):
    running = start(server, transport, "--hook-as-root", hook, ready=False)
    assert running.wait_exit() == 1
    assert "FATAL hook failed" in running.log() and said in running.log()
