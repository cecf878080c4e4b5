"""systemd's units: what they say is understood, and keeps from a service what it does not need."""
import re
import shlex
import shutil
import socket
import subprocess

import pytest
from asking import packet, strings
from http_client import eventually
from server import ROOT

OURS = [ROOT / "packaging/envoxyd@.service", ROOT / "packaging/envoxyd-app@.service"]
analysed = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed (Debian: systemd)")


def copied(unit, tmp_path):
    """The unit as a file of one instance, whose program is there."""
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.M)
    path = tmp_path / unit.name.replace("@", "@shop")
    path.write_text(text)
    return path


@analysed
@pytest.mark.parametrize("unit", [*OURS, ROOT / "examples/django/shop.service"], ids=lambda unit: unit.name)
def test_every_line_is_understood(unit, tmp_path):
    done = subprocess.run(["systemd-analyze", "verify", copied(unit, tmp_path)], capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if tmp_path.name in line or unit.name.replace("@", "@shop") in line]
    assert not ours, done.stderr


@analysed
@pytest.mark.parametrize("unit", OURS, ids=lambda unit: unit.name)
def test_the_exposure_is_small(unit, tmp_path):
    unit = copied(unit, tmp_path)
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=40", unit], capture_output=True, text=True)
    assert done.returncode == 0 and "Overall exposure level" in done.stdout, done.stdout[-2000:] + done.stderr


def test_applications_of_debians_uwsgi_are_served(server, tmp_path):
    """As its unit starts them, with a file as Debian's users have it."""
    enabled = tmp_path / "apps-enabled"
    enabled.mkdir()
    (tmp_path / "app.py").write_text("def application(environ, start_response):\n"
                                     "    start_response('200 OK', [])\n    return [b'served']\n")
    (enabled / "shop.ini").write_text(f"[uwsgi]\nplugins = python3\nchdir = {tmp_path}\nmodule = app\nprocesses = 1\n")
    line = re.search(r"^ExecStart=((?:.*\\\n)*.*)", OURS[1].read_text(), re.M).group(1).replace("\\\n", " ")
    line = line.replace("%i", "shop").replace("/etc/uwsgi/", f"{tmp_path}/").replace("/run/uwsgi/app/shop/", f"{tmp_path}/")
    running = server(None, shlex.split(line)[1:])
    eventually((tmp_path / "socket").exists)
    running.wait_log("spawned uWSGI worker 1 ")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "socket"))
        client.sendall(packet(0, strings(b"REQUEST_METHOD", b"GET", b"PATH_INFO", b"/")))
        assert b"".join(iter(lambda: client.recv(65536), b"")).endswith(b"served")
    assert (tmp_path / "pid").read_text().split() == [str(running.pid)]
