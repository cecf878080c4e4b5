"""systemd's units: what they say is understood, and keeps from a service what it does not need."""
import re
import shlex
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from asking import packet, strings
from http_client import eventually
from listeners import as_systemd, listening
from server import ROOT

OURS = ["envoxyd@.service", "envoxyd-app@.service"]
SOCKET = "envoxyd@.socket"
EXAMPLES = [ROOT / "examples/django/shop.service"]
SERVED = "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'served']\n"
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
@pytest.mark.parametrize("unit", [*OURS, SOCKET, *EXAMPLES], ids=lambda unit: Path(unit).name)
def test_every_line_is_understood(units, unit, tmp_path):
    unit = units / unit  # an example's name is absolute
    if unit.suffix == ".socket":  # is only good with its service
        copied(unit.with_suffix(".service"), tmp_path)
    verify = ["systemd-analyze", "verify", "--man=no"]  # envoxyd(1) is not installed here
    done = subprocess.run([*verify, copied(unit, tmp_path)], capture_output=True, text=True)
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


def exec_start(unit, elsewhere):
    """The arguments with which a unit starts its instance shop, with {directory: another} in their place."""
    line = re.search(r"^ExecStart=((?:.*\\\n)*.*)", unit.read_text(), re.M).group(1).replace("\\\n", " ").replace("%i", "shop")
    for here, there in elsewhere.items():
        line = line.replace(f"{here}/", f"{there}/")
    return shlex.split(line)[1:]


def uwsgi_get(path):
    """What the application answers over a unix socket in the uwsgi protocol."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(path))
        client.sendall(packet(0, strings(b"REQUEST_METHOD", b"GET", b"PATH_INFO", b"/")))
        return b"".join(iter(lambda: client.recv(65536), b""))


def sample(title, kind):
    """The first example of that kind below a title of docs/deployment.md."""
    page = (ROOT / "docs/deployment.md").read_text()
    return re.search(rf"^#+ {re.escape(title)}$.*?^```{kind}\n(.*?)^```", page, re.M | re.S).group(1)


@pytest.mark.parametrize("by", ["variables", "systemd-socket-activate"])
def test_the_socket_unit_and_the_service_serve_together(units, server, tmp_path, by):
    """With the lines of docs/deployment.md in the ini, over a reload; the socket stays its giver's."""
    listen = re.search(r"^ListenStream=(\S+)", (units / SOCKET).read_text(), re.M).group(1).replace("%i", "shop")
    path = tmp_path / Path(listen).name
    lines = sample("A socket that systemd holds", "ini")
    assert listen.replace("shop", "%n") in lines
    (tmp_path / "app.py").write_text(SERVED)
    rest = f"chdir = {tmp_path}\nmodule = app\nmaster = true\nvacuum = true\nstrict = true\nchmod-socket = 600\n"
    (tmp_path / "shop.ini").write_text(f"[uwsgi]\n{rest}{lines.replace('/run/envoxyd', str(tmp_path))}")
    words = exec_start(units / OURS[0], {"/etc/envoxyd": tmp_path})
    if by == "variables":
        held = listening(path)
        running = server(None, words, wrapper=as_systemd(held), pass_fds=[held.fileno()])
        held.close()
    else:
        if not shutil.which(by):
            pytest.skip(f"{by} is not installed (Debian: systemd)")
        running = server(None, words, wrapper=[by, "--listen", path])
        eventually(path.is_socket)
    mode = path.stat().st_mode
    assert uwsgi_get(path).endswith(b"served")  # the first connection waits for the start
    running.signal(signal.SIGHUP)
    running.wait_log(r"gracefully \(RE\)spawned")
    assert uwsgi_get(path).endswith(b"served") and path.stat().st_mode == mode
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0 and path.is_socket()


def test_the_service_does_not_need_the_socket_unit(units):
    assert not re.search(r"^(Sockets|Requires|Requisite|BindsTo|PartOf)=", (units / OURS[0]).read_text(), re.M)


def test_applications_of_debians_uwsgi_are_served(units, server, tmp_path):
    """As its unit starts them, with a file as Debian's users have it."""
    enabled = tmp_path / "apps-enabled"
    enabled.mkdir()
    (tmp_path / "app.py").write_text(SERVED)
    (enabled / "shop.ini").write_text(f"[uwsgi]\nplugins = python3\nchdir = {tmp_path}\nmodule = app\nprocesses = 1\n")
    words = exec_start(units / OURS[1], {"/etc/uwsgi": tmp_path, "/run/uwsgi/app/shop": tmp_path})
    running = server(None, words)
    eventually((tmp_path / "socket").exists)
    running.wait_log("spawned uWSGI worker 1 ")
    assert uwsgi_get(tmp_path / "socket").endswith(b"served")
    assert (tmp_path / "pid").read_text().split() == [str(running.pid)]
