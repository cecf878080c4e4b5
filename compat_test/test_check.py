"""--check: everything that is wrong at once, one line each, and nothing is left behind."""
import os
import re
import subprocess
import sys

import pytest
from server import BINARY, free_port

GOOD = "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'']\n"


def check(directory, *args, files=None, binary=BINARY, **env):
    for name, text in (files or {}).items():
        (directory / name).write_text(text)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("UWSGI_", "VIRTUAL_ENV"))}
    done = subprocess.run([str(binary), *args, "--check"], cwd=directory, env={**inherited, **env},
                          capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_all_right(tmp_path):
    status, out, err = check(tmp_path, "--ini", "site.ini", files={
        "app.py": GOOD, "site.ini": "[uwsgi]\nhttp-socket = 127.0.0.1:1\nwsgi-file = app.py\nprocesses = 2 ; two\nvaccum = true\n"
                                    "pidfile = site.pid\nlogto = site.log\n"})
    assert (status, out.splitlines()[-1]) == (0, "check: nothing is wrong"), out + err
    assert re.search(r"^note: .*vacuum.*site\.ini:5", out, re.M)
    assert re.search(r"^note: .*site\.ini:4", out, re.M)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.py", "site.ini"]  # no pidfile, log or compiled file


def test_everything_that_is_wrong_is_said_at_once(tmp_path):
    status, out, err = check(tmp_path, "--ini", "site.ini", files={
        "app.py": "import not_there\n", "odd.py": "def f(:\n", "fine.py": GOOD,
        "site.ini": "[uwsgi]\nstrict = true\nvaccum = true\nsocket = /none/such/site.sock\nhttp-socket = localhost:web\n"
                    "uid = nobody-of-this-name\npidfile = /none/such/pid\nmodule = app\nmount = /odd=odd.py\nmount = /fine=fine.py\n"
                    "import = also_not_there\ninclude = none.ini\n"})
    assert status == 1
    found = re.findall(r"^wrong: site\.ini:(\d+): ", out, re.M)
    assert sorted(map(int, found)) == [3, 4, 5, 6, 7, 8, 9, 11, 12], out
    assert "app.py:1: ModuleNotFoundError: No module named 'not_there'" in out
    assert "has loaded /fine=fine.py" in out
    assert out.splitlines()[-1] == "check: 9 problems"
    assert err.count("Traceback") == 1  # of app.py; for the others the file and the line say it all
    assert "odd.py:1: SyntaxError" in out and "also_not_there" in err


def test_options_that_are_refused_and_left_out_are_listed(tmp_path):
    ini = ("[uwsgi]\nhttp-socket = 127.0.0.1:1\nwsgi-file = app.py\nallow-missing = never-swap\nnever-swap = true\n"
           "profiler = x\npivot-root = /a /b\n")
    files = {"app.py": GOOD, "site.ini": ini}
    status, out, err = check(tmp_path, "--ini", "site.ini", files=files)
    assert status == 1, out + err
    assert re.findall(r'^(wrong|left out): site\.ini:(\d+): option "([\w-]+)" is not supported', out, re.M) == [
        ("left out", "5", "never-swap"), ("wrong", "6", "profiler"), ("wrong", "7", "pivot-root")]
    assert re.search(r"^wrong: .*; --allow-missing=profiler starts without it$", out, re.M) and out.count("starts without") == 1
    assert out.splitlines()[-1] == "check: 2 problems, 1 option left out"
    status, out, err = check(tmp_path, "--http-socket", "127.0.0.1:1", "--wsgi-file", "app.py", "--never-swap", "--allow-missing")
    assert (status, out.splitlines()[-1]) == (1, "check: 1 option left out"), out + err


@pytest.mark.parametrize("allow, starts", [
    (["--allow-missing"], True), (["--allow-missing=never-swap,profiler"], True), (["--allow-missing=profiler"], False), ([], False)])
def test_a_start_leaves_out_only_what_may_be_missing(server, allow, starts):
    port = free_port()
    running = server(args=["--http-socket", f"127.0.0.1:{port}", "--never-swap", *allow], app=GOOD, ready=False)
    if starts:
        running.wait_port(port)
        running.wait_log(r'option "never-swap" is not supported and left out \(allow-missing\): ')
    else:
        assert running.wait_exit() == 1
        assert 'option "never-swap" is not supported: ' in running.log()


@pytest.mark.parametrize("args, status", [
    (["--module", "not_there"], 22),
    (["--eval", "import sys; sys.exit(7)"], 7),
    (["--eval", "import os; os._exit(0)"], 22),
    (["--eval", "import os; os.abort()"], 22),
    ([], 246),
    (["--set", "conf=none.json"], 246),
    (["--set", "conf=none.json", "--wsgi-file", "app.py"], 0),
    (["--set", "conf=none.json", "--virtualenv", "none"], 246),
    (["--wsgi-file", "app.py", "--virtualenv", "none"], 1),
    (["--wsgi-file", "app.py", "--chdir", "none"], 1),
    (["--wsgi-file", "app.py", "--lazy-apps"], 0),
    (["--module", "not_there", "--lazy-apps"], 22),
], ids=lambda value: " ".join(value) or "nothing" if isinstance(value, list) else None)
def test_status(tmp_path, args, status):
    got, out, err = check(tmp_path, "--http", "127.0.0.1:1", *args, files={"app.py": GOOD})
    assert got == status, out + err
    assert ("check: nothing is wrong" in out) == (status == 0)


@pytest.mark.parametrize("line, want", [
    ("", "wrong: no application is named: name one by --module"),
    ("need-app = true\n", "wrong: site.ini:3: no application is named, and need-app wants one"),
    ("need-app = false\n", "check: nothing is wrong"),
])
def test_need_app_is_spoken_of_where_the_file_has_it(tmp_path, line, want):
    status, out, err = check(tmp_path, "--ini", "site.ini", files={"site.ini": f"[uwsgi]\nhttp-socket = 127.0.0.1:1\n{line}"})
    assert want in out, out + err
    assert status == (0 if "nothing" in want else 22)


@pytest.mark.parametrize("line", ["attach-daemon = sleep 1", "cron = -1 -1 -1 -1 -1 true"])
def test_daemons_alone_need_neither_socket_nor_application(tmp_path, line):
    status, out, err = check(tmp_path, "--ini", "site.ini", files={"site.ini": f"[uwsgi]\nmaster = true\n{line}\n"})
    assert (status, out.splitlines()[-1]) == (0, "check: nothing is wrong"), out + err
    assert "socket" not in out


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_rights_are_those_of_the_uid(server):
    prepare = "mkdir -m 700 root; mkdir own; chown 65534 own; chmod 755 .; exec \"$@\""
    ini = ("[uwsgi]\nuid = 65534\ngid = 65534\nhttp-socket = 127.0.0.1:1\nwsgi-file = app.py\npidfile = root/pid\npidfile2 = root/pid\n"
           "safe-pidfile = own/pid\nreq-logger = file:root/log\nsocket = root/site.sock\n")
    checked = server(None, ["--ini", "site.ini", "--check"], files={"app.py": GOOD, "site.ini": ini}, wrapper=["sh", "-c", prepare, "sh"])
    assert checked.wait_exit() == 1
    found = re.findall(r"^wrong: site\.ini:(\d+): .*permission denied \(uid 65534, gid 65534\)$", checked.log(), re.M)
    assert found == ["7", "9"], checked.log()
    assert re.search(r"^note: socket .*root/site\.sock: .*\(site\.ini:10\)$", checked.log(), re.M)


def test_a_running_server_is_not_disturbed(server, tmp_path):
    port = free_port()
    ini = f"[uwsgi]\nhttp-socket = 127.0.0.1:{port}\nwsgi-file = app.py\nmaster = true\npidfile = site.pid\nsocket = site.sock\n"
    running = server(None, ["--ini", "site.ini"], files={"app.py": GOOD, "site.ini": ini}).wait_port(port)
    pidfile, inode = (running.dir / "site.pid").read_text(), (running.dir / "site.sock").stat().st_ino
    status, out, err = check(running.dir, "--ini", "site.ini")
    assert status == 0, out + err
    assert (running.dir / "site.pid").read_text() == pidfile
    assert (running.dir / "site.sock").stat().st_ino == inode
    assert running.running()


def test_signals_are_not_sent(tmp_path):
    (tmp_path / "site.pid").write_text(str(os.getpid()))
    status, out, _ = check(tmp_path, "--stop", "site.pid")
    assert status == 1
    assert "wrong: --stop is not carried out together with --check" in out


SUBSCRIBES = """
from envoxy import View, on, mqttc, every
@on(endpoint="/a/#", protocols=["mqtt"], server="broker")
class A(View):
    def on_event(self, *args): pass
@every(5)
def tick(): pass
__loader__ = [A]
mqttc.publish("broker", "/a", {"n": 1})
"""


def test_a_service_that_subscribes_and_publishes_at_import_is_only_imported(tmp_path):
    status, out, err = check(tmp_path, "--set", "conf=envoxy.json", VIRTUAL_ENV=sys.prefix, files={
        "envoxy.json": '{"modules": ["service.py"], "mqtt_servers": {"broker": {"bind": "mqtt://127.0.0.1:1"}}}',
        "service.py": SUBSCRIBES})
    assert (status, out.splitlines()[-1]) == (0, "check: nothing is wrong"), out + err
    assert "gateway" not in out + err
