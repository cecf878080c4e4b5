"""systemd's units: what they say is understood, and keeps from a service what it does not need."""
import re
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

import pytest
from asking import packet, strings
from http_client import eventually
from server import ROOT

OURS = ["envoxyd@.service", "envoxyd-app@.service"]
EXAMPLES = [ROOT / "examples/django/shop.service"]
analysed = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed (Debian: systemd)")


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    """The directory with the units as they are installed."""
    directory = tmp_path_factory.mktemp("units")
    subprocess.run([ROOT / "packaging/write-units", directory, "/opt/envoxyd"], check=True)
    return directory


def copied(unit, tmp_path):
    """The unit as a file of one instance, whose program is there."""
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.M)
    path = tmp_path / unit.name.replace("@", "@shop")
    path.write_text(text)
    return path


@analysed
@pytest.mark.parametrize("unit", [*OURS, *EXAMPLES], ids=lambda unit: Path(unit).name)
def test_every_line_is_understood(units, unit, tmp_path):
    unit = units / unit  # an example's name is absolute
    done = subprocess.run(["systemd-analyze", "verify", copied(unit, tmp_path)], capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if tmp_path.name in line or unit.name.replace("@", "@shop") in line]
    assert not ours, done.stderr


@analysed
@pytest.mark.parametrize("unit", OURS)
def test_the_exposure_is_small(units, unit, tmp_path):
    unit = copied(units / unit, tmp_path)
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=40", unit], capture_output=True, text=True)
    assert done.returncode == 0 and "Overall exposure level" in done.stdout, done.stdout[-2000:] + done.stderr


def test_a_unit_names_the_programs_of_its_prefix(units):
    for name in OURS:
        text = (units / name).read_text()
        assert "\nExecStart=/opt/envoxyd/bin/envoxyd " in text and not re.search("@[A-Z]+@", text)


def test_applications_of_debians_uwsgi_are_served(units, server, tmp_path):
    """As its unit starts them, with a file as Debian's users have it."""
    enabled = tmp_path / "apps-enabled"
    enabled.mkdir()
    (tmp_path / "app.py").write_text("def application(environ, start_response):\n"
                                     "    start_response('200 OK', [])\n    return [b'served']\n")
    (enabled / "shop.ini").write_text(f"[uwsgi]\nplugins = python3\nchdir = {tmp_path}\nmodule = app\nprocesses = 1\n")
    line = re.search(r"^ExecStart=((?:.*\\\n)*.*)", (units / OURS[1]).read_text(), re.M).group(1).replace("\\\n", " ")
    line = line.replace("%i", "shop").replace("/etc/uwsgi/", f"{tmp_path}/").replace("/run/uwsgi/app/shop/", f"{tmp_path}/")
    running = server(None, shlex.split(line)[1:])
    eventually((tmp_path / "socket").exists)
    running.wait_log("spawned uWSGI worker 1 ")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "socket"))
        client.sendall(packet(0, strings(b"REQUEST_METHOD", b"GET", b"PATH_INFO", b"/")))
        assert b"".join(iter(lambda: client.recv(65536), b"")).endswith(b"served")
    assert (tmp_path / "pid").read_text().split() == [str(running.pid)]
