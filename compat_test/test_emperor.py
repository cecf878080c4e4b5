"""The emperor: an instance for each configuration, started, reloaded, ended and started again, without disturbing the others."""
import json
import os
import re
import signal
import socket
from pathlib import Path

import pytest
from emperors import APP, BROKEN, Address, Emperor, ini
from http_client import eventually, get
from load import Load
from server import alive


@pytest.fixture
def emperor(server):
    return lambda *args, **rest: Emperor(server, *args, **rest)


def touch(path):
    os.utime(path)


def test_configurations_of_every_kind_from_several_places(emperor):
    lines = {"http-socket": "{}.sock", "wsgi-file": "app.py", "master": "true"}
    kinds = {
        "a.ini": ini("a"),
        "b.yaml": "uwsgi:\n" + "".join(f"  {key}: {value.format('b')}\n" for key, value in lines.items()) + "  env: VERSION=1\n",
        "c.json": json.dumps({"uwsgi": {**{key: value.format("c") for key, value in lines.items()}, "env": "VERSION=1"}}),
        "d.xml": "<uwsgi>" + "".join(f"<{k}>{v.format('d')}</{k}>" for k, v in lines.items()) + "<env>VERSION=1</env></uwsgi>",
        "readme.txt": "none", ".hidden.ini": ini("hidden"),
    }
    e = emperor("--emperor", "more/x*.ini", "--emperor", "single.ini", vassals=kinds, files={
        "app.py": APP, "more/x1.ini": ini("x1"), "more/y.ini": ini("y"), "single.ini": ini("single")})
    for name in "abcd":
        e.wait(name)
    for name in ("x1", "single"):  # the directory of a pattern's instances is the emperor's
        eventually(lambda: get(e.server.dir / f"{name}.sock").status == 200)
    assert sorted(v["id"] for v in e.stats()["vassals"]) == ["a.ini", "b.yaml", "c.json", "d.xml", "more/x1.ini", "single.ini"]


def test_two_directories_may_have_configurations_of_the_same_name(emperor):
    e = emperor("--emperor", "other", vassals={"a.ini": ini("a")}, files={"other/app.py": APP, "other/a.ini": ini("a", 2)})
    e.wait("a")
    eventually(lambda: get(e.server.dir / "other/a.sock").text.startswith("2 "))


def test_a_touched_vassal_reloads_without_losing_a_request(emperor):
    e = emperor(vassals={"a.ini": ini("a"), "b.ini": ini("b")})
    e.wait("a")
    e.wait("b")
    pid, other = e.loyal("a.ini")["pid"], e.loyal("b.ini")["pid"]
    with Load(Address(e.address("a"))) as load:
        load.wait_for(100)
        for version in (2, 3):
            e.write("a.ini", ini("a", version))
            e.wait("a", version)
            load.wait_for(100)
    assert not load.failures()
    assert (e.vassal("a.ini")["pid"], e.vassal("b.ini")["pid"]) == (pid, other)
    assert "reload the uwsgi instance b.ini" not in e.server.log()


def test_a_running_vassal_whose_file_is_broken_serves_on_until_it_is_repaired(emperor):
    e = emperor(vassals={"a.ini": ini("a")})
    e.wait("a")
    pid = e.loyal("a.ini")["pid"]
    with Load(Address(e.address("a"))) as load:
        e.write("a.ini", ini("a", 2, "no-such-option-of-any-server = [", "module = missing").replace("wsgi-file = app.py\n", ""))
        e.server.wait_log("reload failed")
        load.wait_for(50)
        assert e.version("a") == "1"
        e.write("a.ini", ini("a", 3))
        e.wait("a", 3)
    assert not load.failures()
    assert e.vassal("a.ini")["pid"] == pid


def test_a_broken_vassal_is_tried_again_with_growing_waits_and_at_once_when_repaired(emperor):
    e = emperor("--emperor-throttle", "200", "--emperor-max-throttle", "60000", vassals={"a.ini": ini("a"), "bad.ini": BROKEN})
    e.wait("a")
    pid = e.loyal("a.ini")["pid"]
    eventually(lambda: (found := e.listed("bad.ini")) and found["attempt"] >= 4, 20)
    assert re.findall(r"bad\.ini throttling it for ([^ .]+)", e.server.log())[:2] == ["200ms", "400ms"]
    assert e.vassal("bad.ini")["loyal"] == 0 and e.listed("a.ini") is None
    e.write("bad.ini", ini("bad"))
    e.wait("bad")
    eventually(lambda: e.listed("bad.ini") is None)
    assert e.vassal("a.ini")["pid"] == pid


def test_a_removed_vassal_ends_and_may_come_back(emperor):
    e = emperor(vassals={"a.ini": ini("a", 1, "vacuum = true", "pidfile = a.pid"), "b.ini": ini("b")})
    e.wait("a")
    e.wait("b")
    pid = e.loyal("a.ini")["pid"]
    with Load(Address(e.address("b"))) as load:
        (e.dir / "a.ini").unlink()
        eventually(lambda: not alive(pid) and e.vassal("a.ini") is None)
        assert not e.address("a").exists() and not (e.dir / "a.pid").exists()
        e.write("a.ini", ini("a", 2))
        e.wait("a", 2)
        load.wait_for(20)
    assert not load.failures()


def test_a_vassal_that_is_killed_comes_back(emperor):
    e = emperor(vassals={"a.ini": ini("a")})
    e.wait("a")
    pid = e.loyal("a.ini")["pid"]
    e.server.signal_process(pid, signal.SIGKILL)
    eventually(lambda: e.loyal("a.ini")["pid"] != pid)
    e.wait("a")
    assert e.vassal("a.ini")["respawns"] == 1


def test_what_only_has_the_name_of_a_configuration_disturbs_nobody(emperor):
    e = emperor("--emperor-collect-attr", "colour", vassals={"a.ini": ini("a")})
    e.wait("a")
    os.mkfifo(e.dir / "pipe.ini")
    (e.dir / "directory.ini").mkdir()
    (e.dir / "to-nowhere.ini").symlink_to("nowhere")
    e.write("b.ini", ini("b"))
    e.wait("b")
    assert [v["id"] for v in e.stats()["vassals"]] == ["a.ini", "b.ini"]


def ended_children(pid):
    """Children of a process that have ended, and that it has not waited for."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if fields[0] == "Z" and int(fields[1]) == pid:
            found.append(stat.parent.name)
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has other namespaces")
def test_as_process_1_it_waits_for_what_killed_vassals_leave_behind(emperor):
    e = emperor(vassals={"a.ini": ini("a")}, wrapper=["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"])
    e.loyal("a.ini")
    first, = (int(text) for text in Path(f"/proc/{e.server.pid}/task/{e.server.pid}/children").read_text().split())
    vassal, = (int(text) for text in Path(f"/proc/{first}/task/{first}/children").read_text().split())
    left = [pid for pid in e.server.processes() if pid not in (e.server.pid, first, vassal)]
    os.kill(vassal, signal.SIGKILL)
    eventually(lambda: not any(alive(pid) for pid in left))
    e.loyal("a.ini")
    eventually(lambda: not ended_children(first))
    os.kill(first, signal.SIGTERM)
    assert e.server.wait_exit() == 0


@pytest.mark.parametrize("option", ["daemonize", "daemonize2"])
def test_a_vassal_does_not_go_to_the_background_but_logs_there(emperor, option):
    e = emperor(vassals={"a.ini": ini("a", 1, f"{option} = a.log")})
    pid = e.loyal("a.ini")["pid"]
    e.wait("a")
    assert "WSGI app 0" in (e.dir / "a.log").read_text() and "WSGI app 0" not in e.server.log()
    assert e.vassal("a.ini")["pid"] == pid and e.vassal("a.ini")["respawns"] == 0


def test_hup_reloads_every_vassal(emperor):
    e = emperor(vassals={"a.ini": ini("a"), "b.ini": ini("b")})
    e.loyal("a.ini")
    e.loyal("b.ini")
    e.server.signal(signal.SIGHUP)
    e.server.wait_log(r"reload the uwsgi instance a\.ini")
    e.server.wait_log(r"reload the uwsgi instance b\.ini")
    e.wait("a")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_the_end_of_the_emperor_is_its_vassals(emperor, number):
    e = emperor("--emperor-pidfile", "emperor.pid", "--pidfile", "own.pid", "--vacuum", vassals={"a.ini": ini("a"), "bad.ini": BROKEN})
    e.wait("a")
    for name in ("emperor.pid", "own.pid"):
        assert int((e.server.dir / name).read_text()) == e.server.pid
    e.server.signal(number)
    assert e.server.wait_exit() == 0
    e.server.wait_gone()
    assert not [name for name in ("own.pid", "emperor.pid", "stats.sock") if (e.server.dir / name).exists()]


def test_vassals_of_a_killed_emperor_finish_their_requests_and_end(emperor):
    slow = APP.replace("    start_response", "    if environ['QUERY_STRING']:\n        open('held', 'w').close()\n        time.sleep(1)\n"
                       "    start_response").replace("import os", "import os, time")
    e = emperor(vassals={"a.ini": ini("a"), "app.py": slow})
    e.wait("a")
    with Load(Address(e.address("a")), clients=1, path="/?1") as load:
        eventually((e.dir / "held").exists)
        os.kill(e.server.pid, signal.SIGKILL)
        e.server.wait_log("lost connection with my emperor")
        eventually(lambda: load.requests)
    assert load.requests[0].status == 200
    e.server.process.wait(10)
    e.server.wait_gone()


def test_a_file_that_is_written_slowly_is_read_when_it_is_whole(emperor):
    e = emperor("--emperor-freq", "60", vassals={"a.ini": ini("a")})
    e.loyal("a.ini")
    pieces = ini("slow").splitlines(keepends=True)
    with open(e.dir / "slow.ini", "w") as file:
        for piece in pieces:
            file.write(piece)
            file.flush()
            os.fsync(file.fileno())
    e.wait("slow")
    log = e.server.log()
    assert "throttling" not in log and "reload the uwsgi instance slow.ini" not in log
    assert e.vassal("slow.ini")["respawns"] == 0


def test_a_directory_may_come_late_go_away_and_come_back(emperor):
    e = emperor("--emperor", "late", vassals={"a.ini": ini("a")})
    e.wait("a")
    pid = e.loyal("a.ini")["pid"]
    e.server.write("late/app.py", APP)
    e.server.write("late/z.ini", ini("z"))
    eventually(lambda: (e.server.dir / "late/z.sock").exists() and get(e.server.dir / "late/z.sock").status == 200, 20)
    e.dir.rename(e.server.dir / "away")
    e.server.wait_log("no such file or directory")
    assert alive(pid)
    (e.server.dir / "away").rename(e.dir)
    e.write("b.ini", ini("b"))
    e.wait("b")
    assert e.vassal("a.ini")["pid"] == pid


def test_systemd_is_told(emperor, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(tmp_path / "notify"))
        notified.settimeout(10)
        e = emperor(vassals={"a.ini": ini("a")}, env={"NOTIFY_SOCKET": str(tmp_path / "notify")})
        assert notified.recv(4096).decode().splitlines() == ["READY=1", "STATUS=The Emperor is governing 1 vassals"]
        e.wait("a")
        e.write("b.ini", ini("b"))
        assert notified.recv(4096).decode().splitlines()[-1] == "STATUS=The Emperor is governing 2 vassals"
        e.wait("b")
        e.server.signal(signal.SIGTERM)
        assert e.server.wait_exit() == 0
        notified.setblocking(False)
        rest = []
        try:
            while True:
                rest.append(notified.recv(4096).decode())
        except BlockingIOError:
            pass
        assert rest[-1] == "STATUS=The Emperor is buried."
