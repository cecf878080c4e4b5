"""What asks or feeds monitoring systems: --nagios, --rrdtool, --zabbix-template, stats-push to Zabbix, alarms of descriptors."""
import json
import os
import socket
import stat
import struct
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
from apps import ANSWER, versioned
from http_client import eventually
from server import BINARY, free_port

WAYS = pytest.mark.parametrize("transport", ["http-socket"], indirect=True)


def run(directory, *args, env=None):
    return subprocess.run([BINARY, *args], cwd=directory, capture_output=True, text=True, timeout=30, env={**os.environ, **(env or {})})


def test_nagios(server, tmp_path):
    port = free_port()
    running = server(args=["--master", "--socket", f"127.0.0.1:{port}", "--socket", "site.sock"], app=versioned(1))
    running.wait_port(port)
    for address in (f"127.0.0.1:{port}", running.dir / "site.sock"):
        asked = run(tmp_path, "--socket", address, "--nagios")
        assert (asked.returncode, asked.stdout) == (0, f"UWSGI OK: the instance at {address} answers\n"), asked.stderr
    free = free_port()
    for args, status, said in (
            (["--socket", f"127.0.0.1:{free}"], 2, f"UWSGI CRITICAL: 127.0.0.1:{free}: "),
            (["--http-socket", f"127.0.0.1:{free}"], 3, "UWSGI UNKNOWN: no socket"), ([], 3, "UWSGI UNKNOWN: no socket")):
        asked = run(tmp_path, *args, "--nagios")
        assert asked.returncode == status and asked.stdout.startswith(said), asked.stdout + asked.stderr


RECORDS = "#!/bin/sh\ncat >> commands\n"


@pytest.fixture
def rrdtool(tmp_path):
    """Variables with which a program called rrdtool is found, which notes what it is told."""
    program = tmp_path / "bin" / "rrdtool"
    program.parent.mkdir()
    program.write_text(RECORDS)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{program.parent}:{os.environ['PATH']}"}


@WAYS
def test_metrics_are_kept_by_rrdtool(server, transport, rrdtool):
    args = ["--master", "--rrdtool", "rrd", "--rrdtool-freq", "1", "--metric", "mine"]
    running = server(transport, args, app=versioned(1), files={"rrd/empty": ""}, env=rrdtool)
    commands = running.dir / "rrd" / "commands"
    eventually(lambda: commands.exists() and commands.read_text().count("update worker.0.requests.rrd N:") > 1)
    assert "create mine.rrd --step 1 DS:metric:DERIVE:2:0:U RRA:" in commands.read_text()


@pytest.mark.parametrize("path, directory, said", [
    ("/nowhere", "rrd", "the program rrdtool is not on PATH"), (None, "none", "no such file")])
@WAYS
def test_a_start_that_could_keep_no_metrics_is_refused(server, transport, rrdtool, path, directory, said):
    files = {"rrd/empty": "", "site.ini": f"[uwsgi]\nmaster = true\nrrdtool = {directory}\n"}
    env = {**rrdtool, **({"PATH": path} if path else {})}
    running = server(transport, ["--ini", "site.ini"], app=versioned(1), files=files, env=env, ready=False)
    assert running.wait_exit() == 1
    assert 'option "rrdtool": ' in running.log() and said in running.log()
    checked = run(running.dir, *transport.args, "--ini", "site.ini", "--wsgi-file", "app.py", "--check", env=env)
    assert checked.returncode == 1 and 'wrong: site.ini:3: option "rrdtool": ' in checked.stdout


def test_the_zabbix_template_is_that_of_the_configuration(tmp_path):
    printed = run(tmp_path, "--zabbix-template", "--processes", "2", "--metric", "mine", "--metrics-no-cores")
    assert printed.returncode == 0, printed.stderr
    keys = [item.findtext("key") for item in ElementTree.fromstring(printed.stdout).iter("item")]
    assert {"uwsgi.core.busy_workers", "uwsgi.worker.2.requests", "uwsgi.mine"} <= set(keys)
    assert not any("core.0" in key or "worker.3" in key for key in keys)
    written = run(tmp_path, "--zabbix-template=template.xml", "--processes", "2", "--metric", "mine", "--metrics-no-cores")
    assert (written.returncode, written.stdout) == (0, "") and (tmp_path / "template.xml").read_text() == printed.stdout


@WAYS
def test_values_are_sent_to_zabbix_under_the_keys_of_the_template(server, transport):
    with socket.create_server(("127.0.0.1", 0)) as zabbix:
        zabbix.settimeout(30)
        where = f"zabbix:127.0.0.1:{zabbix.getsockname()[1]},web1"
        server(transport, ["--master", "--stats-push", where, "--stats-pusher-default-freq", "1"], app=versioned(1))
        connection, _ = zabbix.accept()
        with connection, connection.makefile("rb") as messages:
            magic, size = struct.unpack("<5sQ", messages.read(13))
            message = json.loads(messages.read(size))
            answer = b'{"response":"success"}'
            connection.sendall(b"ZBXD\x01" + struct.pack("<Q", len(answer)) + answer)
    assert magic == b"ZBXD\x01" and message["request"] == "sender data"
    assert ("web1", "uwsgi.core.total_tx") in {(value["host"], value["key"]) for value in message["data"]}


TAKES = f"""
import uwsgi
from uwsgidecorators import signal
{ANSWER}
@signal(17, target="mule1")
def told(number):
    open("signals", "a").write(f"{{number}}\\n")

def application(environ, start_response):
    return answer(start_response, "")
"""
MULE = """
import uwsgi
while True:
    open("messages", "ab").write(uwsgi.mule_get_msg() + b"\\n")
"""


@WAYS
def test_alarms_of_descriptors(server, transport, tmp_path):
    """The alarm is raised for each readable piece, as a command, a uwsgi signal and a message, also after an upgrade."""
    os.mkfifo(tmp_path / "news")
    news = os.open(tmp_path / "news", os.O_RDWR)
    shell = ["sh", "-c", 'exec "$@" 7<>' + str(tmp_path / "news"), "sh"]
    args = ["--master", "--pidfile", "pid", "--alarm-freq", "0", "--mule", "--mule=mule.py",
            "--alarm", "run cmd:cat >> alarms; echo >> alarms", "--alarm", "tell signal:17", "--alarm", "pass mule:2",
            "--alarm-fd", "run 7:8 seven is readable", "--alarm-fd", "tell 7 x", "--alarm-fd", "pass 7 to the mule"]
    running = server(transport, args, app=TAKES, files={"mule.py": MULE}, wrapper=shell)

    def lines(name):
        path = running.dir / name
        return path.read_text().splitlines() if path.exists() else []

    try:
        os.write(news, b"12345678")
        eventually(lambda: lines("alarms") == ["seven is readable"] and lines("signals") == ["17"] and lines("messages") == ["to the mule"])
        assert run(running.dir, "--upgrade", "pid").returncode == 0
        os.write(news, b"12345678")
        eventually(lambda: lines("alarms") == ["seven is readable"] * 2 and len(lines("messages")) == 2)
    finally:
        os.close(news)


@pytest.mark.parametrize("args, said", [
    (["--alarm", "a log:", "--alarm-fd", "a 99 text"], "alarm-fd: descriptor 99: bad file descriptor"),
    (["--alarm-fd", "a 0 text"], 'there is no alarm "a"'),
    (["--alarm", "a mule:1"], "there is no mule 1"),
    (["--reload-on-fd", "99"], "reload-on-fd: descriptor 99: bad file descriptor"),
])
@WAYS
def test_alarms_that_could_not_be_raised_are_refused(server, transport, args, said):
    running = server(transport, ["--master", *args], app=versioned(1), ready=False)
    assert running.wait_exit() == 1
    assert said in running.log()


@pytest.mark.parametrize("option", ["--check-cache", "--check-cache=pages"])
@WAYS
def test_check_cache_answers_with_whole_responses(server, transport, option):
    app = f"""
import uwsgi
{ANSWER}
def application(environ, start_response):
    uwsgi.cache_set("/page?a=1", b"HTTP/1.0 203 Fine\\r\\nX-From: cache\\r\\n\\r\\ncached", 0, "pages")
    return answer(start_response, "application")
"""
    server(transport, ["--master", "--cache2", "name=pages,items=10", option], app=app)

    def ask(request):
        with socket.create_connection(("127.0.0.1", transport.port), timeout=10) as client:
            client.sendall(request + b" HTTP/1.0\r\n\r\n")
            return b"".join(iter(lambda: client.recv(65536), b""))

    assert ask(b"GET /page?a=1").endswith(b"application")
    assert ask(b"GET /page?a=1") == b"HTTP/1.0 203 Fine\r\nX-From: cache\r\n\r\ncached"
    assert ask(b"GET /page").endswith(b"application")
    assert b" 200 " in ask(b"HEAD /page?a=1").split(b"\r\n")[0]


def test_check_cache_without_that_cache_is_refused(tmp_path):
    refused = run(tmp_path, "--http-socket", "127.0.0.1:0", "--cache2", "name=pages,items=10", "--check-cache=other")
    assert refused.returncode == 1 and 'there is no cache "other"' in refused.stderr
