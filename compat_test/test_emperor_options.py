"""Options of the emperor: what every vassal gets, hooks, instances on demand, heartbeats, wrappers, emperors beside and below others."""
import os
import signal
import socket
import struct
from pathlib import Path

import pytest
from emperors import APP, Address, Emperor, ini
from http_client import Connection, eventually, get
from load import Load
from server import BINARY, alive, free_port

UWSGI = Path(os.environ.get("UWSGI", BINARY.parent.parent / ".cache/uwsgi-2.0.31/bin/uwsgi"))
needs_uwsgi = pytest.mark.skipif(not UWSGI.exists(), reason="no uWSGI to compare with")
WRAPPER = '#!/bin/sh\necho "$0 $@" >> wrapped\nexec "' + str(BINARY) + '" "$@"\n'


@pytest.fixture
def emperor(server):
    return lambda *args, **rest: Emperor(server, *args, **rest)


def executable(path, text):
    path.write_text(text)
    path.chmod(0o755)
    return path


def count(e, pattern):
    return e.server.log().count(pattern)


# --- what every vassal gets ---------------------------------------------------------------------------------------

def test_options_before_and_after_those_of_the_vassal(emperor, tmp_path):
    for name in ("before", "after"):
        (tmp_path / f"{name}.ini").write_text(f"[uwsgi]\nprint = {name} mark=%(mark) name=%n\n")
    e = emperor("--vassal-set", "mark=from-the-emperor", "--vassals-include-before", tmp_path / "before.ini", "--vassals-include",
                tmp_path / "after.ini", vassals={"a.ini": ini("a", 1, "print = own %(mark)")})
    e.wait("a")
    log = e.server.log()
    assert 0 < log.index("before mark=from-the-emperor") < log.index("own from-the-emperor") < log.index("after mark=from-the-emperor")


def test_what_makes_an_emperor_makes_none_of_its_vassals(emperor):
    e = emperor(source=None, vassals={"a.ini": ini("a")}, env={"UWSGI_EMPEROR": "vassals", "UWSGI_VASSAL_SET": "mark=1"})
    e.wait("a")
    assert [v["id"] for v in e.stats()["vassals"]] == ["a.ini"]
    assert count(e, "*** starting uWSGI Emperor ***") == 1


# --- hooks ------------------------------------------------------------------------------------------------------------

def test_hooks_know_the_vassal_and_the_end_waits_for_them(emperor):
    hook = 'echo "{} $UWSGI_VASSAL_CONFIG $UWSGI_VASSAL_PID $UWSGI_VASSAL_UID $UWSGI_VASSAL_GID" >> hooks'
    held = "while test -e held; do sleep 0.05; done; "
    e = emperor("--vassals-start-hook", hook.format("start"), "--vassals-stop-hook", held + hook.format("stop"),
                vassals={"a.ini": ini("a")}, files={"held": ""})
    e.wait("a")
    pid = e.loyal("a.ini")["pid"]
    hooks = e.server.dir / "hooks"
    expected = f"a.ini {pid} {os.getuid()} {os.getgid()}"
    eventually(lambda: hooks.exists() and hooks.read_text().splitlines() == [f"start {expected}"])
    e.server.signal(signal.SIGTERM)
    e.server.wait_log("removed uwsgi instance a.ini")
    assert e.server.running()
    (e.server.dir / "held").unlink()
    assert e.server.wait_exit() == 0
    assert hooks.read_text().splitlines()[-1] == f"stop {expected}"


def test_a_second_signal_does_not_wait_for_hooks(emperor):
    e = emperor("--vassals-stop-hook", "sleep 60", vassals={"a.ini": ini("a")})
    e.loyal("a.ini")
    e.server.signal(signal.SIGTERM)
    e.server.wait_log("removed uwsgi instance a.ini")
    e.server.signal(signal.SIGTERM)
    assert e.server.wait_exit() == 0


HOOK = 'exec:echo "{} $UWSGI_VASSAL_CONFIG $UWSGI_VASSAL_PID" >> hooks'


def said(e):
    path = e.server.dir / "hooks"
    return path.read_text().splitlines() if path.exists() else []


def test_hooks_in_the_emperor(emperor):
    slow = "exec:while test -e held; do sleep 0.05; done"
    e = emperor("--hook-emperor-start", slow, "--hook-emperor-start", HOOK.format("start"),
                "--hook-as-emperor-before-vassal", HOOK.format("before"), "--hook-as-emperor", HOOK.format("after"),
                "--exec-as-emperor", HOOK.format("command").removeprefix("exec:"), vassals={"a.ini": ini("a")}, files={"held": ""})
    e.server.wait_log("emperor-start")
    assert e.stats()["vassals"] == []
    (e.server.dir / "held").unlink()
    e.wait("a")
    pid = e.loyal("a.ini")["pid"]
    wanted = ["start", "before a.ini 0", f"after a.ini {pid}", f"command a.ini {pid}"]
    eventually(lambda: [line.strip() for line in said(e)] == wanted)


def test_a_hook_that_fails_starts_no_vassal_until_it_does_not(emperor):
    e = emperor("--hook-as-emperor-before-vassal", 'exec:test "$UWSGI_VASSAL_CONFIG" = a.ini -o -e mended', "--emperor-throttle", 100,
                vassals={"a.ini": ini("a"), "b.ini": ini("b")})
    e.wait("a")
    e.server.wait_log("vassal b.ini: FATAL hook failed")
    assert e.version("b") is None
    (e.server.dir / "mended").touch()
    e.wait("b")


def test_an_emperor_whose_own_hook_fails_does_not_start(emperor):
    e = emperor("--hook-emperor-start", "exit:7", vassals={"a.ini": ini("a")})
    assert e.server.wait_exit() == 7
    assert count(e, "has been spawned") == 0


def test_hooks_in_vassals(emperor):
    hooks = [f"hook-emperor-{what} = exec:echo {what} >> ../hooks" for what in ("stop", "reload", "lost")]
    e = emperor(vassals={"a.ini": ini("a", 1, *hooks), "b.ini": ini("b", 1, *hooks)})
    e.wait("a"), e.wait("b")
    e.write("a.ini", ini("a", 2, *hooks))
    e.wait("a", 2)
    assert said(e) == ["reload"]
    (e.dir / "a.ini").unlink()
    e.wait("a", None)
    assert said(e) == ["reload", "stop"]
    e.server.signal(signal.SIGKILL)
    eventually(lambda: said(e) == ["reload", "stop", "lost"])
    e.server.wait_gone()


def test_hooks_of_an_emperor_beside_workers(emperor, transport):
    e = emperor(*transport.args, "--master", "--wsgi-file", "vassals/app.py", "--hook-as-emperor", HOOK.format("after"),
                vassals={"a.ini": ini("a")})
    e.wait("a")
    eventually(lambda: said(e) == [f"after a.ini {e.vassal('a.ini')['pid']}"])


# --- on demand ----------------------------------------------------------------------------------------------------------


def on_demand(version=1, *more):
    return "\n".join(["[uwsgi]", "protocol = http", "wsgi-file = app.py", "master = true", f"env = VERSION={version}", *more, ""])


def test_an_instance_on_demand_starts_with_its_first_connection_and_again_after_it_was_idle(emperor):
    port = free_port()
    e = emperor("--emperor-on-demand-extension", ".socket", vassals={
        "a.ini": on_demand(1, "idle = 1", "die-on-idle = true"), "a.ini.socket": f"127.0.0.1:{port}\n", "b.ini": ini("b")})
    e.wait("b")
    assert e.vassal("a.ini")["pid"] == 0 and e.vassal("a.ini")["on_demand"] == f"127.0.0.1:{port}"
    assert get(port).text.startswith("1 ")
    first = e.vassal("a.ini")["pid"]
    eventually(lambda: e.vassal("a.ini")["pid"] == 0, 20)
    assert not alive(first)
    assert get(port).text.startswith("1 ")
    assert e.vassal("a.ini")["pid"] not in (0, first)


def refuses(address):
    with socket.socket(socket.AF_INET if isinstance(address, int) else socket.AF_UNIX) as s:
        return s.connect_ex(("127.0.0.1", address) if isinstance(address, int) else str(address)) != 0


def free(port):
    """Whether nobody listens on the port; asking wakes nobody."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.mark.parametrize("used", [False, True])
def test_the_socket_of_an_instance_on_demand_goes_with_it_and_comes_back(emperor, used):
    port = free_port()
    e = emperor("--emperor-on-demand-extension", ".socket", vassals={"a.ini": on_demand(), "a.ini.socket": f"127.0.0.1:{port}"})
    e.server.wait_log("waiting for connections")
    if used:
        assert get(port).status == 200
    (e.dir / "a.ini").unlink()
    eventually(lambda: e.vassal("a.ini") is None and free(port))
    e.write("a.ini", on_demand(2))
    eventually(lambda: not free(port))
    assert get(port).text.startswith("2 ")


def test_sockets_on_demand_in_a_directory_and_from_a_command(emperor, tmp_path):
    e = emperor("--emperor-on-demand-dir", tmp_path, vassals={"a.ini": on_demand()})
    e.server.wait_log("waiting for connections")
    assert get(tmp_path / "a.ini.socket").status == 200
    command = executable(tmp_path / "address", f'#!/bin/sh\necho "{tmp_path}/by-command.${{1%.ini}}"\n')
    e = emperor("--emperor-on-demand-exec", command, vassals={"b.ini": on_demand()})
    e.server.wait_log("waiting for connections")
    assert get(tmp_path / "by-command.b").status == 200


# --- heartbeats ---------------------------------------------------------------------------------------------------------

def test_a_vassal_whose_heartbeat_stops_is_replaced(emperor):
    e = emperor("--emperor-required-heartbeat", "2", vassals={"a.ini": ini("a", 1, "heartbeat = 1"), "silent.ini": ini("silent")})
    silent = e.loyal("silent.ini")["pid"]
    pid = eventually(lambda: (v := e.vassal("a.ini")) and v["last_heartbeat"] and v["pid"])
    os.kill(pid, signal.SIGSTOP)
    e.server.wait_log(r"vassal a\.ini sent no heartbeat in last 2 seconds")
    eventually(lambda: e.loyal("a.ini")["pid"] != pid)
    e.wait("a")
    assert e.vassal("silent.ini")["pid"] == silent


def test_a_vassal_that_does_not_end_in_time_is_killed(emperor):
    app = APP.replace("    start_response", "    if environ['QUERY_STRING']:\n        open('held', 'w').close()\n"
                      "        time.sleep(60)\n    start_response").replace("import os", "import os, time")
    e = emperor("--emperor-curse-tolerance", "1", vassals={"a.ini": ini("a"), "app.py": app})
    e.wait("a")
    pid = e.loyal("a.ini")["pid"]
    with Connection(e.address("a")) as held:
        held.send("/?1")
        eventually((e.dir / "held").exists)
        (e.dir / "a.ini").unlink()
        e.server.wait_log(r"has not ended for 1s: it is killed")
        eventually(lambda: not alive(pid) and e.vassal("a.ini") is None)
        eventually(lambda: e.server.processes() == [e.server.pid])


def test_the_name_of_an_emperor(emperor):
    e = emperor("--emperor-procname", "the emperor", vassals={"a.ini": ini("a")})
    e.wait("a")
    assert Path(f"/proc/{e.server.pid}/cmdline").read_bytes().rstrip(b"\0") == b"the emperor"


# --- other programs --------------------------------------------------------------------------------------------------------

def test_wrappers_and_commands_as_configurations(emperor, tmp_path):
    wrapper, other = executable(tmp_path / "wrapper", WRAPPER), executable(tmp_path / "other", WRAPPER)
    e = emperor("--emperor-wrapper", wrapper, "--emperor-wrapper-attr", "wrapper", "--emperor-collect-attr", "colour",
                "--emperor-magic-exec",
                vassals={"a.ini": ini("a"), "b.ini": ini("b") + f"[emperor]\nwrapper = {other}\ncolour = red\n",
                         "c.ini": "#!/bin/sh\ncat c.text\n", "c.text": ini("c")})
    e.wait("a")
    e.wait("b")
    (e.dir / "c.ini").chmod(0o755)
    os.utime(e.dir / "c.ini")
    e.wait("c")
    lines = (e.dir / "wrapped").read_text().splitlines()
    assert f"{wrapper} --ini a.ini" in lines and f"{other} --ini b.ini" in lines
    assert any(line.startswith(f"{wrapper} --ini exec://") for line in lines)
    assert e.vassal("b.ini")["attrs"] == {"wrapper": str(other), "colour": "red"}


def test_a_vassal_is_not_replaced_by_another_executable_under_its_emperor(emperor):
    e = emperor(vassals={"a.ini": ini("a")})
    pid = e.loyal("a.ini")["pid"]
    e.server.signal_process(pid, signal.SIGUSR2)
    e.server.wait_log("upgrade: refused, this is a vassal")
    e.wait("a")
    assert e.vassal("a.ini")["pid"] == pid


@needs_uwsgi
def test_uwsgi_itself_as_a_vassal(emperor):
    e = emperor("--emperor-wrapper", UWSGI, vassals={"a.ini": ini("a")})
    e.wait("a")
    pid = e.loyal("a.ini")["pid"]
    e.write("a.ini", ini("a", 2))
    e.wait("a", 2)
    assert e.vassal("a.ini")["pid"] == pid
    (e.dir / "a.ini").unlink()
    eventually(lambda: not alive(pid))


@needs_uwsgi
def test_uwsgi_on_demand_ends_when_it_is_idle_and_starts_again(emperor):
    port = free_port()
    e = emperor("--emperor-wrapper", UWSGI, "--emperor-on-demand-extension", ".socket", vassals={
        "a.ini": on_demand(1, "idle = 1", "die-on-idle = true"), "a.ini.socket": f"127.0.0.1:{port}"})
    e.server.wait_log("waiting for connections")
    for _ in range(2):
        assert get(port).text.startswith("1 ")
        assert e.vassal("a.ini")["pid"] != 0
        eventually(lambda: e.vassal("a.ini")["pid"] == 0, 20)


@needs_uwsgi
def test_an_emperor_of_uwsgi_over_our_vassals(server):
    e = Emperor(server, "--emperor-wrapper", BINARY, vassals={"a.ini": ini("a")}, binary=UWSGI)
    e.wait("a")
    e.server.wait_log(r"\[emperor\] vassal a\.ini is now loyal")
    e.server.wait_log(r"\[emperor\] vassal a\.ini is ready to accept requests")
    pid = int(get(e.address("a")).text.split()[3])
    e.write("a.ini", ini("a", 2))
    os.utime(e.dir / "a.ini", (2_000_000_000, 2_000_000_000))  # it counts in seconds
    e.wait("a", 2)
    assert int(get(e.address("a")).text.split()[3]) == pid
    (e.dir / "a.ini").unlink()
    eventually(lambda: not alive(pid), 20)


def test_the_instance_of_an_emperor_as_uwsgi_speaks(server):
    """What has been seen of uWSGI 2.0.31: a packet at the start, and another for each byte 2; bytes over the other socket."""
    (link, theirs), (config, their_config) = socket.socketpair(), socket.socketpair()

    def give(version):
        text = ini("a", version).encode()
        config.sendall(struct.pack("<BHB", 0, len(text), 0) + text)

    def hear(byte):
        link.settimeout(20)
        while link.recv(1) != bytes([byte]):
            pass

    fds = theirs.fileno(), their_config.fileno()
    s = server(args=["--ini", "emperor://a.ini"], files={"app.py": APP}, pass_fds=fds,
               env={"UWSGI_EMPEROR_FD": str(fds[0]), "UWSGI_EMPEROR_FD_CONFIG": str(fds[1])})
    theirs.close()
    their_config.close()
    with link, config:
        give(1)
        hear(5)
        assert get(s.dir / "a.sock").text.startswith("1 ")
        link.sendall(b"\1")
        hear(2)
        give(2)
        hear(5)
        eventually(lambda: get(s.dir / "a.sock").text.startswith("2 "))
        s.signal(signal.SIGHUP)
        hear(2)
        give(3)
        hear(5)
        eventually(lambda: get(s.dir / "a.sock").text.startswith("3 "))
        worker = int(get(s.dir / "a.sock").text.split()[3])
        assert worker == s.pid
        link.sendall(b"\0")
        assert s.wait_exit() == 0


# --- emperors beside workers, and below other emperors -----------------------------------------------------------------------

@pytest.mark.parametrize("way", ["command line", "environment"])
def test_an_emperor_beside_workers(server, way):
    port = free_port()
    own = f"[uwsgi]\nhttp = 127.0.0.1:{port}\nwsgi-file = app.py\nmaster = true\nenv = VERSION=own\n"
    args, env = (["--ini", "own.ini"], {}) if way == "command line" else ([], {"UWSGI_INI": "own.ini"})
    e = Emperor(server, *args, vassals={"a.ini": ini("a")}, files={"app.py": APP, "own.ini": own}, env=env)
    e.wait("a")
    eventually(lambda: not refuses(port))
    assert get(port).text.startswith("own ")
    assert count(e, "*** starting uWSGI Emperor ***") == 1
    pid = e.stats()["pid"]
    vassal = e.loyal("a.ini")["pid"]
    e.write("a.ini", ini("a", 2))
    e.wait("a", 2)
    with Load(Address(e.address("a"))) as load:  # the emperor and its vassals live through a reload of the workers, and reload too
        e.server.signal(signal.SIGHUP)
        e.server.wait_log("the emperor reloads all vassals")
        load.wait_for(200)
    assert not load.failures()
    assert (e.stats()["pid"], e.vassal("a.ini")["pid"]) == (pid, vassal)
    (e.server.dir / "own.ini").write_text(own + "vassal-set = mark=1\n")  # another emperor than before
    e.server.signal(signal.SIGHUP)
    eventually(lambda: e.version("a") == "2" and e.stats()["pid"] != pid, 20)
    e.server.signal(signal.SIGTERM)
    assert e.server.wait_exit() == 0
    e.server.wait_gone()


def test_an_emperor_below_another_one(emperor):
    below = "[uwsgi]\nemperor = {}\nemperor-freq = 1\n"
    e = emperor(vassals={"below.ini": "placeholder"}, files={"inner/app.py": APP, "inner/a.ini": ini("a")})
    e.write("below.ini", below.format(e.server.dir / "inner"))
    eventually(lambda: (e.server.dir / "inner/a.sock").exists() and get(e.server.dir / "inner/a.sock").status == 200, 20)
    pid = e.loyal("below.ini")["pid"]
    os.utime(e.dir / "below.ini")
    e.server.wait_log(r"reload the uwsgi instance a\.ini")
    assert e.vassal("below.ini")["pid"] == pid
    (e.dir / "below.ini").unlink()
    eventually(lambda: not alive(pid) and refuses(e.server.dir / "inner/a.sock"))
