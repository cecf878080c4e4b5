"""Daemons beside the workers: every key of attach-daemon2, and those with a pidfile, which outlive the instance."""
import os
import signal
import time
from pathlib import Path

import pytest
from apps import versioned
from http_client import eventually
from server import alive
from transports import http_socket

# It notes its start and each signal that it gets in NAME; those that end it, end it.
DAEMON = """#!/bin/sh
trap 'echo HUP >> NAME' HUP
trap 'echo USR1 >> NAME; exit 0' USR1
trap 'echo TERM >> NAME; exit 0' TERM
echo start $$ >> NAME
while :; do sleep 0.05; done
"""


@pytest.fixture
def transport():
    return http_socket()


def notes(running, name="noted"):
    path = running.dir / name
    return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []


def pid_in(running, name):
    """The number in a pidfile; 0: there is none yet."""
    path = running.dir / name
    return int(path.read_text() or 0) if path.exists() else 0


def start(server, transport, *options, **files):
    texts = {name: text.replace("NAME", "noted") for name, text in {"d.sh": DAEMON, **files}.items()}
    return server(transport, ["--master", *options], app=versioned(1), files=texts)


def reload(running):
    before = running.log().count("(RE)spawned")
    running.signal(signal.SIGHUP)
    eventually(lambda: running.log().count("(RE)spawned") > before, 20)


def stop(running):
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0


@pytest.mark.parametrize("value, said", [
    ("cmd=true,dance=1", "dance: is not a known key; known keys: cmd (command, exec), control"),
    ("cmd=echo a,b", "put a command that contains one into a script"),
    ("cmd=true,daemonize=1", "daemonize needs pidfile="),
    ("cmd=true,notifypid=1", "notifypid needs pidfile="),
    ("cmd=true,pidfile=p,ns_pid=1", "ns_pid together with pidfile needs daemonize"),
    ("cmd=true,stopsignal=TERM", "not a number between 1 and 64"),
    ("chdir=/", "a command (cmd=) is needed"),
])
def test_a_wrong_definition_ends_the_start(server, value, said):
    running = server(args=["--master", "--http-socket", "127.0.0.1:0", "--attach-daemon2", value])
    assert running.wait_exit() == 1
    assert said in running.log()


def test_a_reload_signal_takes_the_place_of_the_stop_signal(server, transport):
    running = start(server, transport, "--attach-daemon2", "cmd=exec sh d.sh,stopsignal=15,reloadsignal=10")
    eventually(lambda: notes(running) == ["start"])
    reload(running)
    eventually(lambda: notes(running) == ["start", "USR1", "start"])
    stop(running)
    assert notes(running) == ["start", "USR1", "start", "TERM"]


def test_who_where_and_how_often(server, transport):
    """uid, gid, chdir and max_throttle of one daemon."""
    running = start(server, transport, "--attach-daemon2",
                    "cmd=sh tell.sh,uid=8,gid=9,chdir=inner,max_throttle=1",
                    **{"inner/tell.sh": "echo $(id -u) $(id -g) $(pwd) >> ../open/told", "open/x": ""})
    # the directory is root's when the first attempts are made: they fail, and are repeated
    (running.dir / "open").chmod(0o777)
    told = running.dir / "open/told"
    eventually(lambda: told.exists() and len(told.read_text().splitlines()) >= 3, 20)
    assert set(told.read_text().splitlines()) == {f"8 9 {running.dir}/inner"}
    assert "(uid: 8 gid: 9)" in running.log()
    assert "for 2 seconds" not in running.log()


def test_a_namespace_of_its_own(server, transport):
    """The daemon is its first process, and takes the others with it."""
    command = "cmd=echo $$ > number; sleep 1000 & readlink /proc/self/ns/pid > space; wait,ns_pid=1"
    running = start(server, transport, "--attach-daemon2", command)
    eventually(lambda: (running.dir / "space").exists() and (running.dir / "space").read_text())
    assert (running.dir / "number").read_text() == "1\n"
    assert (running.dir / "space").read_text().strip() != os.readlink("/proc/self/ns/pid")
    stop(running)
    running.wait_gone()


def test_a_namespace_ends_with_a_master_that_is_killed(server, transport):
    running = start(server, transport, "--attach-daemon2", "cmd=touch up; sleep 1000 & wait,ns_pid=1")
    eventually((running.dir / "up").exists)
    running.signal(signal.SIGKILL)
    running.wait_gone()


def test_a_daemon_with_a_pidfile_is_told_of_reload_and_end(server, transport):
    """notifypid: SIGHUP, as long as reloadsignal says nothing else, and stopsignal."""
    running = start(server, transport, "--attach-daemon2", "cmd=exec sh d.sh,pidfile=p,daemonize=1,notifypid=1")
    eventually(lambda: notes(running) == ["start"])
    pid = pid_in(running, "p")
    reload(running)
    eventually(lambda: notes(running) == ["start", "HUP"])
    assert pid_in(running, "p") == pid and alive(pid)
    stop(running)
    eventually(lambda: notes(running) == ["start", "HUP", "TERM"])
    running.wait_gone()


def test_a_daemon_with_a_pidfile_is_told_of_an_upgrade(server, transport):
    running = start(server, transport, "--pidfile", "pid", "--attach-daemon2", "cmd=exec sh d.sh,pidfile=p,daemonize=1,notifypid=1")
    eventually(lambda: notes(running) == ["start"])
    pid = pid_in(running, "p")
    running.signal(signal.SIGUSR2)
    running.wait_exit(30)
    eventually(lambda: notes(running) == ["start", "HUP"])
    running.wait_log(rf"found valid/active pidfile for \"exec sh d.sh\" \(pid: {pid}\)")
    os.kill(pid_in(running, "pid"), signal.SIGTERM)
    eventually(lambda: notes(running) == ["start", "HUP", "TERM"])


def test_a_daemon_with_a_pidfile_is_left_alone(server, transport):
    """Without notifypid it hears nothing, outlives the instance, and is found by the next one."""
    options = ["--attach-daemon2", "cmd=exec sh d.sh,pidfile=p,daemonize=1"]
    running = start(server, transport, *options)
    eventually(lambda: notes(running) == ["start"])
    pid = pid_in(running, "p")
    reload(running)
    stop(running)
    assert alive(pid) and notes(running) == ["start"]
    again = f"cmd=exec sh d.sh,pidfile={running.dir}/p,daemonize=1"
    second = server(http_socket(), ["--master", "--attach-daemon2", again], app=versioned(1))
    second.wait_log(rf"\[uwsgi-daemons\] found valid/active pidfile for \"exec sh d.sh\" \(pid: {pid}\)")
    stop(second)
    assert alive(pid)


def test_the_words_for_daemons_that_go_into_the_background(server, transport):
    going = "#!/bin/sh\nsetsid sh -c 'echo $$ > p; exec sleep 1000' </dev/null >/dev/null 2>&1 &\n"
    running = start(server, transport, "--smart-attach-daemon", "p,1 sh going.sh", **{"going.sh": going})
    pid = eventually(lambda: pid_in(running, "p"))
    running.wait_log(rf"found changed pid for \"sh going.sh\" \(old_pid: \d+ new_pid: {pid}\)")
    os.kill(pid, signal.SIGKILL)
    running.wait_log(r"respawning \"sh going.sh\"")
    again = eventually(lambda: pid_in(running, "p") not in (0, pid) and pid_in(running, "p"))
    running.wait_log(rf"found changed pid for \"sh going.sh\" \(old_pid: \d+ new_pid: {again}\)")


def test_a_command_that_stays_in_the_foreground(server, transport):
    """It is not started again and again, as the pidfile never comes, and ends with the instance."""
    running = start(server, transport, "--smart-attach-daemon", "p,1 exec sh d.sh")
    running.wait_log(r"\"exec sh d.sh\" \(pid: \d+\) did not daemonize !!!")
    assert notes(running) == ["start"]
    stop(running)
    eventually(lambda: notes(running) == ["start", "TERM"])
    running.wait_gone()


def test_a_pidfile_that_is_lost_is_written_again(server, transport):
    running = start(server, transport, "--smart-attach-daemon2", "p,1 exec sh d.sh")
    pid = eventually(lambda: pid_in(running, "p"))
    os.remove(running.dir / "p")
    assert eventually(lambda: pid_in(running, "p")) == pid
    assert notes(running) == ["start"]


def test_a_daemon_that_never_writes_its_pidfile(server, transport):
    running = start(server, transport, "--smart-attach-daemon", "p,1 echo up >> ups")
    running.wait_log(r"found changed pidfile for \"echo up >> ups\" \(old_pid: \d+ new_pid: -1\)")
    running.wait_log(r"throttling \"echo up >> ups\" for 2 seconds")


def test_a_daemons_pidfile_does_not_name_others(server, transport):
    """The file is the daemon's to write, and the master's signals are root's."""
    if os.getuid() != 0:
        pytest.skip("needs root")
    command = "cmd=echo $PARENT > open/p; echo up >> open/ups,pidfile=open/p,freq=1,uid=8,notifypid=1,reloadsignal=9"
    running = server(transport, ["--master", "--exec-asap", "mkdir -m 777 open; sleep 1000 & echo $! > victim", "--attach-daemon2",
                                 command.replace("$PARENT", "$(cat victim)")], app=versioned(1))
    victim = int(eventually(lambda: (running.dir / "victim").exists() and (running.dir / "victim").read_text()))
    eventually(lambda: (running.dir / "open/p").exists() and (running.dir / "open/p").read_text() == f"{victim}\n")
    reload(running)
    assert alive(victim)
    running.wait_log("throttling")


def test_a_touched_file_starts_a_daemon_anew(server, transport):
    running = start(server, transport, "--attach-daemon2", "cmd=exec sh d.sh,pidfile=p,daemonize=1,touch=a;b", a="", b="")
    eventually(lambda: notes(running) == ["start"])
    for number, name in enumerate("ab"):
        stamp = time.time() + 100 + number
        os.utime(Path(running.dir, name), (stamp, stamp))
        eventually(lambda number=number: notes(running) == ["start", "TERM"] * (number + 1) + ["start"], 20)
