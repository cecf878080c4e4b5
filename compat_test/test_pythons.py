"""One binary, whatever python3 the deployment brings: an app is served by each interpreter that this machine has."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from http_client import get
from server import free_port

VERSIONS = ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13"]
PYENV = Path(os.environ.get("PYENV_ROOT", "/root/.pyenv")) / "versions"

APP = """
import json, sys, threading
import uwsgi

def application(environ, start_response):
    told = {"version": sys.version_info[:2], "prefix": sys.prefix, "executable": sys.executable,
            "main thread": threading.current_thread() is threading.main_thread(),
            "body": environ["wsgi.input"].read().decode(), "uwsgi": uwsgi.version.decode()}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(told).encode()]
"""


def interpreter(version):
    """A python of that version: pyenv's, else one on PATH, else None."""
    for found in [*sorted(PYENV.glob(f"{version}.*/bin/python")), Path(f"/usr/bin/python{version}")]:
        if found.exists():
            return found
    return None


@pytest.fixture(params=VERSIONS)
def venv(request, tmp_path):
    python = interpreter(request.param)
    if not python:
        pytest.skip(f"this machine has no Python {request.param}")
    subprocess.run([python, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    return request.param, tmp_path / "venv"


def test_served_by_that_python(server, transport, venv):
    version, path = venv
    server(transport, ["--master", "--processes", "2", "--virtualenv", path], app=APP)
    for _ in range(20):
        told = json.loads(get(transport.port).text)
        assert told["version"] == [int(part) for part in version.split(".")]
        assert told["prefix"] == str(path)
        assert told["main thread"]


def test_found_by_virtual_env(server, transport, venv):
    """VIRTUAL_ENV names the interpreter where no option does."""
    _, path = venv
    server(transport, ["--master"], app=APP, env={"VIRTUAL_ENV": str(path)})
    assert json.loads(get(transport.port).text)["prefix"] == str(path)


@pytest.mark.parametrize("option, program", [("binary-path", "uwsgi"), ("py-programname", "python3")])
def test_found_by_the_path_of_the_program(server, tmp_path, option, program):
    """Python finds its venv by the path that its program goes by; no such file has to exist."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    port = free_port()
    server(None, ["--http-socket", f"127.0.0.1:{port}", f"--{option}", tmp_path / "venv" / "bin" / program], app=APP).wait_port(port)
    assert json.loads(get(port).text)["prefix"] == str(tmp_path / "venv")


@pytest.mark.parametrize("version", ["2.7", "3.6", "3.7"])
def test_a_python_that_is_too_old_says_so(server, tmp_path, version):
    python = interpreter(version)
    if not python:
        pytest.skip(f"this machine has no Python {version}")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(python)
    refused = server(None, ["--http-socket", f"127.0.0.1:{free_port()}", "--virtualenv", tmp_path], app=APP)
    assert refused.wait_exit() == 1
    assert re.search(rf"^Python {version}\.\d+ \(.*\) is too old: 3\.8 or later is needed", refused.log(), re.M)
    assert "Traceback" not in refused.log()
    assert "has ended" not in refused.log()  # the reason is known
    checked = server(None, ["--http-socket", f"127.0.0.1:{free_port()}", "--virtualenv", tmp_path, "--check"], app=APP)
    assert checked.wait_exit() == 1
    assert f"wrong: command line: Python {version}" in checked.log()


def test_a_dangling_python_is_not_called_absent(server, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to("/none/python3.9")
    refused = server(None, ["--http-socket", f"127.0.0.1:{free_port()}", "--virtualenv", tmp_path], app=APP)
    assert refused.wait_exit() == 1
    assert f"{tmp_path}/bin/python3 is a link to /none/python3.9, which does not exist" in refused.log()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_python_that_the_uid_cannot_reach(server):
    refused = server(None, ["--http-socket", f"127.0.0.1:{free_port()}", "--uid", "65534", "--virtualenv", "locked"], app=APP,
                     files={"locked/bin/python3": ""}, wrapper=["sh", "-c", 'chmod 700 locked; exec "$@"', "sh"])
    assert refused.wait_exit() == 1
    assert re.search(r"python3 cannot be executed: permission denied \(uid 65534", refused.log())
