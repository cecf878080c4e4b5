"""Control groups, in whichever hierarchies this machine lets us make some: version 1, version 2, or both."""
import os
import signal
from pathlib import Path

import pytest
from apps import versioned
from http_client import eventually, get
from transports import http_socket


@pytest.fixture
def transport():
    return http_socket()


def hierarchies():
    """The mounted ones, by version."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return [(1 if kind == "cgroup" else 2, Path(place)) for _, place, kind, *_ in mounts if kind in ("cgroup", "cgroup2")]


@pytest.fixture(params=[1, 2], ids=["version 1", "version 2"])
def group(request):
    """A control group that is not there yet."""
    for version, place in hierarchies():
        made = place / f"envoxyd-compat-{os.getpid()}"
        if version != request.param:
            continue
        try:
            made.mkdir()
            (made / "cgroup.procs").write_text("")
        except OSError:
            pass
        if made.exists():
            made.rmdir()
            yield made
            if made.exists():
                eventually(lambda: remove(made))
            return
    pytest.skip("no hierarchy of this version in which a group can be made")


def remove(directory):
    try:
        directory.rmdir()
        return True
    except OSError:  # its processes have not ended yet
        return False


def members(directory):
    return {int(word) for word in (directory / "cgroup.procs").read_text().split()}


def wait_pid(transport):
    return int(get(transport.port).text.split()[-1])


def test_all_processes_are_in_the_group(group, server, transport):
    running = server(transport, ["--master", "--processes", "2", "--cgroup", group, "--cgroup-dir-mode", "711",
                                 "--attach-daemon", "exec sleep 1000"], app=versioned(1))
    running.wait_log("spawning \"exec sleep")
    eventually(lambda: set(running.processes()) == members(group))
    assert group.stat().st_mode & 0o777 == 0o711
    running.wait_log(f"created Linux cgroup {group} with mode 711")
    running.wait_log(f"assigned process {running.pid} to cgroup {group}")
    first = wait_pid(transport)
    running.signal(signal.SIGHUP)
    eventually(lambda: wait_pid(transport) != first, 20)
    eventually(lambda: set(running.processes()) == members(group))
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    eventually(lambda: members(group) == set())


def test_a_master_without_privileges_is_upgraded_in_its_group(group, server, transport):
    """Only root can join the group; the next master is in it already."""
    running = server(transport, ["--master", "--cgroup", group, "--uid", "65534", "--gid", "65534", "--pidfile2", "open/pid",
                                 "--exec-asap", "mkdir -m 777 open || test -d open"], app=versioned(1))
    running.wait_log("spawned uWSGI master process")
    old = running.pid
    running.signal(signal.SIGUSR2)
    running.wait_exit(30)
    new = int((running.dir / "open/pid").read_text())
    assert new != old and new in members(group)
    os.kill(new, signal.SIGTERM)


@pytest.mark.parametrize("options, said", [
    (["--cgroup-opt", "no.such=1"], "none of the control groups .* has such a setting"),
    (["--cgroup-opt", "cgroup.procs=nonsense"], "cgroup-opt cgroup.procs=nonsense: .*invalid argument"),
    (["--cgroup-opt", "pids.max"], "not KEY=VALUE"),
])
def test_settings_that_cannot_be_made_end_the_start(group, server, options, said):
    running = server(args=["--master", "--http-socket", "127.0.0.1:0", "--cgroup", group, *options], app=versioned(1))
    assert running.wait_exit() == 1
    running.wait_log(said)


def test_a_plain_directory_is_no_group(server):
    running = server(args=["--master", "--http-socket", "127.0.0.1:0", "--cgroup", "plain"], app=versioned(1))
    assert running.wait_exit() == 1
    running.wait_log("is no control group")
    assert not (running.dir / "plain").exists()


@pytest.fixture
def groups():
    """Groups in two hierarchies of version 1."""
    places = {name: Path("/sys/fs/cgroup", name) for name in ("pids", "cpu")}
    if not all((place / "tasks").exists() and os.access(place, os.W_OK) for place in places.values()):
        pytest.skip("no two hierarchies of version 1 here")
    made = {name: place / f"envoxyd-compat-{os.getpid()}" for name, place in places.items()}
    yield made
    for one in made.values():
        if one.exists():
            eventually(lambda one=one: remove(one))


def test_a_setting_is_for_the_group_that_has_it(groups, server, transport):
    both = [word for one in groups.values() for word in ("--cgroup", one)]
    running = server(transport, ["--master", *both, "--cgroup-opt", "pids.max=500", "--cgroup-opt", "cpu.shares=300"], app=versioned(1))
    running.wait_log("spawned uWSGI master process")
    assert (groups["pids"] / "pids.max").read_text() == "500\n" and (groups["cpu"] / "cpu.shares").read_text() == "300\n"
    assert running.pid in members(groups["pids"]) & members(groups["cpu"])
