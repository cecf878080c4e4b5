"""One binary, whatever python3 the deployment brings: an app is served by each interpreter that this machine has."""
import json
import os
import subprocess
from pathlib import Path

import pytest
from http_client import get

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
    for found in [*sorted(PYENV.glob(f"{version}.*/bin/python3")), Path(f"/usr/bin/python{version}")]:
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
