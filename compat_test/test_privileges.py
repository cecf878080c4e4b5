"""Whoever starts as root and drops its privileges keeps none: every thread of every process, at any time."""
import os
import pwd
import grp
import signal
from pathlib import Path

import pytest
from http_client import eventually, get
from server import free_port
from test_upgrade import Upgraded, installed  # noqa: F401, the fixture

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop privileges")

APP = """
import os
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getuid()} {os.getgid()} {sorted(os.getgroups())}".encode()]
"""

USER = "postgres" if "postgres" in (entry.pw_name for entry in pwd.getpwall()) else "nobody"
ACCOUNT = pwd.getpwnam(USER)
OWN_GROUPS = sorted(os.getgrouplist(USER, ACCOUNT.pw_gid))
SHADOW = grp.getgrnam("shadow").gr_gid


def credentials(pid):
    """The distinct (uids, gids, groups) of a process's threads."""
    found = set()
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:  # the process between zygote and worker
        return found
    for task in tasks:
        try:
            lines = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines() if ":" in line)
        except OSError:
            continue
        found.add((tuple(map(int, lines["Uid"].split())), tuple(map(int, lines["Gid"].split())),
                   tuple(sorted(map(int, lines["Groups"].split())))))
    return found


def check_all(server, uid, gid, groups, at_least):
    pids = eventually(lambda: pids if len(pids := server.processes()) >= at_least else None)
    expected = {((uid,) * 4, (gid,) * 4, tuple(groups))}
    wrong = {}
    for pid in pids:
        found = credentials(pid)
        if found and found != expected:
            wrong[Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")] = found - expected
    assert not wrong, f"expected {expected}"


GAMES = grp.getgrnam("games").gr_gid


@pytest.fixture
def start(server, installed):  # noqa: F811
    """start(options) serves APP as root with additional groups of root's; `run` is the user's, and the log is in it."""
    for folder in installed.parents:
        if folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)

    def started(*options):
        port = free_port()
        args = ["--master", "--http-socket", f"127.0.0.1:{port}", "--processes", "2", "--attach-daemon", "sleep 1000",
                "--logger", "pipe:exec cat >>run/log", "--pidfile2", "run/server.pid", "--uid", USER, *options]
        prepare = f'chown {USER} run && exec setpriv --groups 0,{SHADOW} -- "$@"'
        one = server(args=args, app=APP, binary=installed, files={"run/keep": ""}, wrapper=["sh", "-c", prepare, "sh"])
        one.log_path = one.dir / "run/log"
        one.wait_port(port)
        return one, port

    return started


@pytest.mark.parametrize("options, gid, groups", [
    (["--gid", str(ACCOUNT.pw_gid)], ACCOUNT.pw_gid, OWN_GROUPS),
    ([], ACCOUNT.pw_gid, OWN_GROUPS),
    (["--gid", "games"], GAMES, sorted({*OWN_GROUPS, GAMES} - {ACCOUNT.pw_gid})),
    (["--add-gid", "games"], ACCOUNT.pw_gid, sorted({*OWN_GROUPS, GAMES})),
    (["--no-initgroups"], ACCOUNT.pw_gid, []),
    (["--no-initgroups", "--add-gid", "games"], ACCOUNT.pw_gid, [GAMES]),
])
def test_groups_of_all_threads(start, options, gid, groups):
    """Read after the start and after a reload."""
    one, port = start(*options)
    assert get(port).text == f"{ACCOUNT.pw_uid} {gid} {groups}"
    check_all(one, ACCOUNT.pw_uid, gid, groups, 6)
    one.signal(signal.SIGHUP)
    one.wait_log(r"gracefully \(RE\)spawned")
    eventually(lambda: one.log().count("buried after") >= 2)
    assert get(port).text == f"{ACCOUNT.pw_uid} {gid} {groups}"
    check_all(one, ACCOUNT.pw_uid, gid, groups, 6)


def test_groups_after_an_upgrade(start):
    """The next master and all that it starts have the credentials of the first."""
    one, port = start()
    upgraded = Upgraded(one, "run/server.pid")
    old = upgraded.pid()
    os.kill(old, signal.SIGUSR2)
    upgraded.wait_other_than(old)
    assert get(port).text == f"{ACCOUNT.pw_uid} {ACCOUNT.pw_gid} {OWN_GROUPS}"
    check_all(one, ACCOUNT.pw_uid, ACCOUNT.pw_gid, OWN_GROUPS, 6)
