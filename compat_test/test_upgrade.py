"""The executable is replaced under load: the new master takes over, or the old one goes on as if nothing had been tried."""
import os
import pwd
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from apps import versioned
from http_client import eventually, get
from listeners import answers, as_systemd, listening
from load import Load
from server import BINARY, alive, free_port


@pytest.fixture
def installed(tmp_path):
    """A copy of bin/ and lib/ that a test may replace."""
    shutil.copytree(BINARY.parent, tmp_path / "bin")
    shutil.copytree(BINARY.parent.parent / "lib", tmp_path / "lib")
    return tmp_path / "bin" / BINARY.name


def put(path, content=None):
    """Another file at the executable's path, as a package manager puts it: a new inode, in one step."""
    new = path.with_name("new")
    if content is None:
        shutil.copy2(path, new)
    else:
        new.write_text(content)
        new.chmod(0o755)
    os.replace(new, path)


class Upgraded:
    """A server whose master changes: its pid is what the pidfile says."""

    def __init__(self, running, pidfile="server.pid"):
        self.running, self.pidfile = running, running.dir / pidfile
        eventually(lambda: self.pidfile.exists() and self.pidfile.read_text().strip())

    def pid(self):
        text = self.pidfile.read_text().strip()
        return int(text) if text else 0

    def wait_other_than(self, old, timeout=30):
        """The new master's pid, once the old one has gone."""
        pid = eventually(lambda: self.pid() if self.pid() not in (0, old) else 0, timeout)
        eventually(lambda: not alive(old), timeout)
        assert alive(pid)
        return pid


def by_signal(upgraded, binary):
    os.kill(upgraded.pid(), signal.SIGUSR2)


def by_command(upgraded, binary):
    done = subprocess.run([binary, "--upgrade", upgraded.pidfile], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def by_replacement(upgraded, binary):
    put(binary)
    os.kill(upgraded.pid(), signal.SIGHUP)


def start(server, transport, binary, **more):
    args = ["--master", "--processes", "2", "--disable-logging", "--pidfile", "server.pid"]
    return Upgraded(server(transport, args, app=versioned(1), binary=binary, **more))


@pytest.mark.parametrize("ask", [by_signal, by_command, by_replacement])
def test_five_upgrades_under_load(server, transport, installed, ask):
    upgraded = start(server, transport, installed)
    with Load(transport) as load:
        for version in range(2, 7):
            load.wait_for(20)
            old = upgraded.pid()
            upgraded.running.write("app.py", versioned(version))
            ask(upgraded, installed)
            upgraded.wait_other_than(old)
            eventually(lambda wanted=f"{version} ": any(text.startswith(wanted) for text in list(load.texts)))
    assert load.failures() == []
    assert list(dict.fromkeys(text.split()[0] for text in load.texts)) == list("123456")
    os.kill(upgraded.pid(), signal.SIGTERM)
    upgraded.running.wait_gone()


def test_reload_after_an_upgrade_keeps_the_new_pid(server, transport, installed):
    upgraded = start(server, transport, installed)
    old = upgraded.pid()
    by_signal(upgraded, installed)
    new = upgraded.wait_other_than(old)
    upgraded.running.write("app.py", versioned(2))
    os.kill(new, signal.SIGHUP)
    eventually(lambda: get(transport.port).text.startswith("2 "))
    assert upgraded.pid() == new and alive(new)


def test_systemd_is_told_of_the_new_master(server, transport, installed, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        notify.settimeout(20)
        upgraded = start(server, transport, installed, env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        heard_ready(notify)
        old = upgraded.pid()
        by_signal(upgraded, installed)
        new = upgraded.wait_other_than(old)
        lines = heard_ready(notify)
        assert f"MAINPID={new}" in lines


def heard_ready(notify):
    """All lines up to and with READY=1, in the order of their arrival."""
    lines = []
    while "READY=1" not in lines:
        lines += notify.recv(4096).decode().split("\n")
    return lines


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 3\n", "not an executable at all"], ids=["exits", "no executable"])
def test_a_new_executable_that_ends_at_once(server, transport, installed, script):
    upgraded = start(server, transport, installed)
    old = upgraded.pid()
    with Load(transport) as load:
        load.wait_for(20)
        put(installed, script)
        length = len(upgraded.running.log())
        os.kill(old, signal.SIGUSR2)
        eventually(lambda: "upgrade" in upgraded.running.log()[length:].lower())
        load.wait_for(100)
    assert load.failures() == []
    assert upgraded.pid() == old and alive(old)


def test_a_new_executable_that_is_never_ready(server, transport, installed):
    """The old master serves on meanwhile, and a stop ends both."""
    upgraded = start(server, transport, installed)
    old = upgraded.pid()
    put(installed, f"#!/bin/sh\ntouch {upgraded.running.dir}/tried\nexec sleep 600\n")
    with Load(transport) as load:
        load.wait_for(20)
        os.kill(old, signal.SIGUSR2)
        eventually((upgraded.running.dir / "tried").exists)
        load.wait_for(100)
    assert load.failures() == []
    assert upgraded.pid() == old and alive(old)
    os.kill(old, signal.SIGTERM)
    assert upgraded.running.wait_exit() == 0
    upgraded.running.wait_gone()


def test_new_code_that_does_not_import(server, transport, installed):
    upgraded = start(server, transport, installed)
    old = upgraded.pid()
    with Load(transport) as load:
        load.wait_for(20)
        upgraded.running.write("app.py", "raise RuntimeError('no such luck')\n")
        os.kill(old, signal.SIGUSR2)
        upgraded.running.wait_log("RuntimeError: no such luck")
        load.wait_for(100)
        upgraded.running.write("app.py", versioned(2))
        eventually(lambda: tries(upgraded, old), 20, every=0.5)
    assert load.failures() == []
    assert {text.split()[0] for text in load.texts} <= {"1", "2"}


OWNED = {"u.sock": ["--http-socket"], "stats.sock": ["--stats"], "fifo": ["--master-fifo"], "notify.sock": ["--notify-socket"],
         "server.pid": ["--pidfile"], "safe.pid": ["--safe-pidfile"]}


def start_with_files(server, binary):
    """A server with one of each file that a master makes, all of which it removes at its end."""
    args = ["--master", "--vacuum", *(part for name, option in OWNED.items() for part in (*option, name))]
    running = server(None, args, app=versioned(1), binary=binary)
    eventually(lambda: all((running.dir / name).exists() for name in OWNED), 20)
    return running


def inodes(running):
    return {name: (running.dir / name).stat().st_ino for name in OWNED if (running.dir / name).exists()}


def test_a_failed_upgrade_leaves_its_files_to_the_master_that_stays(server, installed):
    running = start_with_files(server, installed)
    assert get(running.dir / "u.sock").text.startswith("1 ")
    before = inodes(running)
    running.write("app.py", "raise RuntimeError('no such luck')\n")
    os.kill(running.pid, signal.SIGUSR2)
    running.wait_log("upgrade: failed", 30)
    assert inodes(running) == before
    assert get(running.dir / "u.sock").text.startswith("1 ")
    assert "VACUUM" not in running.log()
    os.kill(running.pid, signal.SIGTERM)
    assert running.wait_exit() == 0
    assert inodes(running) == {}


def test_a_failed_upgrade_leaves_no_new_socket(server, installed):
    ini = "[uwsgi]\nmaster = true\nhttp-socket = kept.sock\nwsgi-file = app.py\n"
    running = server(None, ["--ini", "a.ini"], files={"a.ini": ini, "app.py": versioned(1)}, binary=installed)
    eventually(lambda: answers(running.dir / "kept.sock"), 20)
    running.write("a.ini", ini + "http-socket = new.sock\n")
    running.write("app.py", "raise RuntimeError('no such luck')\n")
    os.kill(running.pid, signal.SIGUSR2)
    running.wait_log("upgrade: failed", 30)
    assert not (running.dir / "new.sock").exists()
    assert answers(running.dir / "kept.sock")


# The second worker never comes up, and the first takes its time to end.
HALF_READY = versioned(2) + """
import atexit, time, uwsgi
if uwsgi.worker_id() == 1:
    atexit.register(time.sleep, 1)
else:
    time.sleep(600)
"""


def test_a_new_master_that_is_stopped_while_it_loads(server, transport, installed):
    """It ends alone: the listening sockets are those of the old one, which serves on."""
    running = server(transport, ["--master", "--lazy-apps", "--processes", "2", "--disable-logging"], app=versioned(1), binary=installed)
    eventually(lambda: running.log().count("WSGI app 0") == 2, 20)  # both have imported this one
    running.write("app.py", HALF_READY)
    os.kill(running.pid, signal.SIGUSR2)
    eventually(lambda: running.log().count("WSGI app 0") == 3, 20)
    new = [pid for pid in running.processes() if pid != running.pid and os.readlink(f"/proc/{pid}/exe") == str(installed)]
    running.signal_process(new[0], signal.SIGTERM)
    running.wait_log("upgrade: failed", 30)
    with Load(transport) as load:
        load.wait_for(50)
    assert load.failures() == []
    assert alive(running.pid)


def test_files_are_the_new_masters_after_an_upgrade(server, installed):
    running = start_with_files(server, installed)
    upgraded = Upgraded(running)
    for version in (2, 3):
        old = upgraded.pid()
        running.write("app.py", versioned(version))
        os.kill(old, signal.SIGUSR2)
        upgraded.wait_other_than(old)
        assert set(inodes(running)) == set(OWNED)
        assert get(running.dir / "u.sock").text.startswith(f"{version} ")
    os.kill(upgraded.pid(), signal.SIGTERM)
    running.wait_gone()
    assert inodes(running) == {}


def test_a_socket_that_the_new_configuration_does_not_name(server, installed):
    """Its file was the old master's; the new one removes it, as vacuum says."""
    ini = "[uwsgi]\nmaster = true\nvacuum = true\nhttp-socket = kept.sock\nwsgi-file = app.py\npidfile = server.pid\n"
    files = {"a.ini": ini + "http-socket = dropped.sock\n", "app.py": versioned(1)}
    running = server(None, ["--ini", "a.ini"], files=files, binary=installed)
    eventually(lambda: (running.dir / "dropped.sock").exists() and get(running.dir / "dropped.sock").status == 200, 20)
    upgraded = Upgraded(running)
    old = upgraded.pid()
    running.write("a.ini", ini)
    os.kill(old, signal.SIGUSR2)
    upgraded.wait_other_than(old)
    eventually(lambda: not (running.dir / "dropped.sock").exists())
    assert get(running.dir / "kept.sock").status == 200
    os.kill(upgraded.pid(), signal.SIGTERM)
    running.wait_gone()
    assert not (running.dir / "kept.sock").exists()


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_failed_upgrades_hold_no_descriptors(server, transport, installed):
    running = server(transport, ["--master", "--disable-logging"], app=versioned(1), binary=installed)
    get(transport.port)
    running.wait_log("spawned uWSGI master process")
    put(installed, "#!/bin/sh\nexit 3\n")
    before = descriptors(running.pid)
    for n in range(1, 4):
        os.kill(running.pid, signal.SIGUSR2)
        eventually(lambda: running.log().count("upgrade: failed") == n, 20)
    eventually(lambda: descriptors(running.pid) <= before)


@pytest.mark.parametrize("own", [[], ["--http-socket", "own.sock"]], ids=["systemd's alone", "and own ones"])
def test_sockets_of_systemd_pass_on(server, installed, tmp_path, own):
    names = [tmp_path / "one.sock", tmp_path / "two.sock"]
    with listening(names[0]) as one, listening(names[1]) as two:
        args = ["--master", "--vacuum", "--protocol", "http", "--pidfile", "server.pid", *own]
        passed = {"wrapper": as_systemd(one, two), "pass_fds": [one.fileno(), two.fileno()]}
        running = server(None, args, app=versioned(1), binary=installed, **passed)
        names += [running.dir / "own.sock"] if own else []
        eventually(lambda: all(answers(name) for name in names), 20)
        upgraded = Upgraded(running)
        for version in (2, 3):
            old = upgraded.pid()
            running.write("app.py", versioned(version))
            os.kill(old, signal.SIGUSR2)
            upgraded.wait_other_than(old)
            assert all(answers(name, version) for name in names for _ in range(3))
        os.kill(upgraded.pid(), signal.SIGHUP)
        running.wait_log("gracefully .RE.spawned uWSGI master process")
        assert all(answers(name, 3) for name in names)
        os.kill(upgraded.pid(), signal.SIGTERM)
        running.wait_gone()
        assert [name.exists() for name in names] == [True, True, False][:len(names)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the user")
def test_the_pidfile_follows_where_the_user_may_not_make_files(server):
    """It is root's, in a directory of root's; the masters run as nobody."""
    port = free_port()
    args = ["--master", "--uid", "nobody", "--gid", "nogroup", "--http-socket", f"127.0.0.1:{port}", "--pidfile", "server.pid"]
    running = server(None, args, app=versioned(1))
    eventually(lambda: answers(port), 20)
    upgraded = Upgraded(running)
    for _ in range(2):
        old = upgraded.pid()
        os.kill(old, signal.SIGUSR2)
        new = upgraded.wait_other_than(old)
        assert (running.dir / "server.pid").read_text() == f"{new}\n"
    assert os.stat(f"/proc/{new}").st_uid == pwd.getpwnam("nobody").pw_uid
    assert (running.dir / "server.pid").stat().st_uid == 0


def tries(upgraded, old):
    """Ask again (an attempt that is being given up may still be in the way) until another master has taken over."""
    if upgraded.pid() == old and alive(old):
        os.kill(old, signal.SIGUSR2)
    return upgraded.pid() != old and not alive(old)


def test_pid_1_refuses(server, transport):
    """A container is upgraded by replacing it: the master says so and serves on; SIGHUP stays a reload."""
    own_namespace = ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child"]
    if subprocess.run([*own_namespace, "true"], capture_output=True).returncode:
        pytest.skip("this machine does not let us make a pid namespace")
    running = server(transport, ["--master", "--disable-logging"], app=versioned(1), wrapper=own_namespace)
    master = int(Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()[0])
    length = len(running.log())
    os.kill(master, signal.SIGUSR2)
    eventually(lambda: "upgrade" in running.log()[length:].lower())
    assert get(transport.port).text.startswith("1 ")
    running.write("app.py", versioned(2))
    os.kill(master, signal.SIGHUP)
    eventually(lambda: get(transport.port).text.startswith("2 "))
    assert alive(master)
    os.kill(master, signal.SIGTERM)
    assert running.wait_exit() == 0
