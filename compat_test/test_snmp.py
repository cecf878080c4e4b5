"""SNMP, as Debian's snmpget and snmpwalk see it: uWSGI's variables, the application's values, who is answered."""
import os
import re
import shutil
import signal
import socket
import subprocess

import pytest
from asking import APP, ask, ask_worker
from http_client import eventually
from load import Several
from server import alive, free_port

ROOT = "1.3.6.1.4.1.35156.17"
pytestmark = pytest.mark.skipif(not shutil.which("snmpget"), reason="snmpget is not installed")


@pytest.fixture
def port():
    """A port of UDP on 127.0.0.1 that was free a moment ago."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def full(name):
    """The OID of a name below uWSGI's; what is none stays as it is."""
    return f"{ROOT}.{name}".rstrip(".") if not name or "." in name else name


def run(port, program, *names, version="2c", community="public", tries=3):
    done = subprocess.run(
        [program, f"-v{version}", "-c", community, "-On", "-t", "1", "-r", str(tries - 1), f"127.0.0.1:{port}", *map(full, names)],
        capture_output=True, text=True, timeout=30, env={**os.environ, "MIBS": ""})
    said = (done.stdout + done.stderr).splitlines()
    # The first of these programs that runs on a machine makes directories.
    return [line.replace(f".{ROOT}.", "") for line in said if not line.startswith("Created directory: ")]


def get(port, *names, **how):
    return run(port, "snmpget", *names, **how)


def test_variables(server, way, port):
    server(way, ["--master", "-p", "2",
                 f"--snmp=127.0.0.1:{port}", "--snmp-community", "public", "--enable-metrics",
                 "--metric", "name=mine,oid=100.1"], app=APP + """
uwsgi.snmp_set_counter32(1, 7)
uwsgi.snmp_set_gauge(101, 1)
""")
    assert ask(way, "[uwsgi.snmp_incr_gauge(2, 5), uwsgi.snmp_set_counter64(100, -1), uwsgi.metric_set('mine', 3)]") == [True] * 3
    assert ask(way, "[uwsgi.snmp_decr_counter32(3), uwsgi.snmp_set_gauge(101, 1), uwsgi.snmp_set_gauge(0, 1)]") == [True, None, None]
    values = ["2.1 = Counter32: 7", "2.2 = Gauge32: 5", "2.3 = Counter32: 4294967295", "2.100 = Counter64: 18446744073709551615"]
    for version in ("1", "2c"):
        assert get(port, "2.1", "2.2", "2.3", "2.100", version=version) == values
        assert run(port, "snmpwalk", "2.", version=version)[:4] == values
        assert int(get(port, "1.1", version=version)[0].split("Counter64: ")[1]) >= 2
    assert get(port, "2.4", "100.1") == ["2.4 = NULL", "100.1 = Counter64: 3"]
    assert "No Such Object" in get(port, "9.9")[0]
    assert any("noSuchName" in line for line in get(port, "9.9", version="1"))
    everything = run(port, "snmpbulkwalk", "")
    assert values[0] in everything and any(re.match(r"5\.4 = Gauge32: \d", line) for line in everything)
    assert any("notWritable" in line for line in run(port, "snmpset", "2.1", "i", "9"))
    assert get(port, "2.1") == values[:1]


def test_counts_of_two_workers_are_exact(server, way, port):
    server(way, ["--master", "-p", "2", f"--snmp=127.0.0.1:{port}", "--snmp-community", "public"], app=APP)
    step = "[(uwsgi.snmp_incr_counter64(9, 3), uwsgi.snmp_decr_counter64(9), uwsgi.snmp_incr_gauge(10)) for n in range(500)].count(1)"
    done = []
    with Several(2, lambda: None, lambda _, index: (ask_worker(way, index + 1, step), done.append(1))) as several:
        eventually(lambda: len(done) > 20 or several.failures, 30)
    assert not several.failures
    assert get(port, "2.9", "2.10") == [f"2.9 = Counter64: {1000 * len(done)}", f"2.10 = Gauge32: {500 * len(done)}"]


def test_the_community_decides_who_is_answered(server, way, port):
    running = server(way, ["--master", "-p", "1", f"--snmp=127.0.0.1:{port}"], app=APP)
    assert "no query is answered" in running.log()
    assert "Timeout" in get(port, "1.1", tries=1)[0]
    assert "Timeout" in get(port, "1.1", community="", tries=1)[0]
    assert ask(way, "uwsgi.snmp_set_community('secret')") is True
    assert "Counter64" in get(port, "1.1", community="secret")[0]
    assert "Timeout" in get(port, "1.1", community="public", tries=1)[0]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for size in (0, 1, 2, 100, 60000):
            s.sendto(b"\x30\x84" + b"\xff" * size, ("127.0.0.1", port))
    assert "Counter64" in get(port, "1.1", community="secret")[0]


def test_reloads_and_upgrades_keep_values_and_follow_options(server, way, port):
    running = server(way, ["--master", "-p", "1", "--pidfile", "server.pid", "--ini", "more.ini"], app=APP,
                     files={"more.ini": f"[uwsgi]\nsnmp = 127.0.0.1:{port}\nsnmp-community = public\n"})
    assert ask(way, "uwsgi.snmp_incr_counter32(5, 41)") is True
    assert get(port, "2.5") == ["2.5 = Counter32: 41"]

    def reload(version, options, app=""):
        running.write("more.ini", f"[uwsgi]\n{options}\n")
        running.write("app.py", APP.replace("VERSION = 1", f"VERSION = {version}") + app)
        os.kill(int((running.dir / "server.pid").read_text()), signal.SIGHUP)
        eventually(lambda: ask(way, "VERSION") == version, 20)

    reload(2, f"snmp = 127.0.0.1:{port}\nsnmp-community = other", "uwsgi.snmp_incr_counter32(5)\n")
    eventually(lambda: get(port, "2.5", community="other") == ["2.5 = Counter32: 42"])
    assert "Timeout" in get(port, "2.5", tries=1)[0]
    old = running.pid
    os.kill(old, signal.SIGUSR2)
    eventually(lambda: not alive(old), 30)
    assert get(port, "2.5", community="other") == ["2.5 = Counter32: 43"]
    reload(3, f"snmp = 127.0.0.1:{port}\nsnmp-community = other", "uwsgi.snmp_set_community('mine')\n")
    eventually(lambda: get(port, "2.5", community="mine") == ["2.5 = Counter32: 43"])
    moved = free_port()
    reload(4, f"snmp = 127.0.0.1:{moved}\nsnmp-community = public")
    eventually(lambda: get(moved, "2.5") == ["2.5 = Counter32: 43"])
    reload(5, "")
    eventually(lambda: "Timeout" in get(moved, "2.5", tries=1)[0])
    assert ask(way, "hasattr(uwsgi, 'snmp_set_gauge')") is False
    os.kill(int((running.dir / "server.pid").read_text()), signal.SIGTERM)
    running.wait_gone()


def test_without_an_address_nothing_listens(server, way):
    running = server(way, ["--master", "-p", "1", "--snmp", "--snmp-community", "public"], app=APP)
    assert ask(way, "uwsgi.snmp_set_gauge(1, 2)") is True
    assert "no address is given, so nothing listens" in running.log() and "SNMP server enabled" not in running.log()
