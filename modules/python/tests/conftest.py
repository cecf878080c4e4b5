"""A stand-in for the server's `uwsgi` module, and services built on it."""

import importlib
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PATHS = [str(ROOT / "modules" / "python"), str(ROOT / "worker" / "python")]  # as in a server
sys.path.extend(PATHS)
sys.modules["uwsgi"] = types.ModuleType("uwsgi")
sys.modules["uwsgi"].opt = {"mode": b"test"}


@pytest.fixture
def opt():
    """uwsgi.opt, empty."""
    options = sys.modules["uwsgi"].opt
    options.clear()
    yield options
    options.clear()


class Events:
    """In the place of the event gateway: keeps what it is asked for."""

    def __init__(self):
        self.asked, self.handlers, self.registered = [], {}, False
        self.peers = self

    def subscribe(self, *what):
        self.asked.append(what)

    def call(self, op, payload=b"", **head):
        self.asked.append((op, payload, head))
        return {}, b""

    def health(self):
        return {}


@pytest.fixture
def build(opt, tmp_path, monkeypatch):
    """A factory: build(conf, files={name: text}, opt=…) makes the application in a directory of its own."""
    monkeypatch.setattr("envoxyd_worker.gateway._mine", Events())
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    opt["mode"] = b"test"
    application = importlib.import_module("envoxyd_service.application")
    before = set(sys.modules)

    def start(conf=None, files=None, options=None):
        for name, text in (files or {}).items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        opt.clear()
        opt.update(options or {})
        if conf is not None:
            opt.update(conf=b"envoxy.json", conf_content=conf)
        return application.build()

    yield start
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def serve(build):
    """As build, with one module of views; gives werkzeug's test client."""

    def start(source, **conf):
        text = "from envoxy import *\nfrom envoxy import View, Response, on, log\n" + source
        return build({"log": {"level": 6}, "modules": ["service.py"], **conf}, {"service.py": text}).test_client()

    return start


@pytest.fixture
def records(capfd):
    """Reads what has been logged since the last call: decoded records, other lines as text."""

    def read():
        lines = capfd.readouterr().err.splitlines()
        return [json.loads(line) if line.startswith("{") else line for line in lines]

    return read


@pytest.fixture
def python(tmp_path):
    """Runs a text in a Python of its own, where nothing is imported yet; gives what it prints."""

    def run(source, path=(), **environ):
        paths = [*(str(p) for p in path), *PATHS]
        done = subprocess.run(
            [sys.executable, "-c", source], cwd=tmp_path, capture_output=True, text=True, timeout=120,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1", **environ})
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run
