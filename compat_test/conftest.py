"""Fixtures: `site` (a factory of servers that speak TLS, with certificates of `authority`),
`transport` (one of the ways in), `http` (--http), `way` (--http-socket), `server` (a factory whose servers end with the test),
`postgres`, `redis` (the port of one), `uwsgi` (the reference's executable)."""
import fcntl
import shutil
import subprocess
import sys

import pytest
from certificates import Authority
from http_client import eventually
from postgresql import Postgres, listens
from server import ROOT, Server, free_port
from services import Service
from sites import Site
from transports import TRANSPORTS, http_socket

REFERENCE = "2.0.31"  # of uWSGI


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + call.when, outcome.get_result())


@pytest.fixture(params=TRANSPORTS)
def transport(request):
    made = TRANSPORTS[request.param]()
    yield made
    made.close()


@pytest.fixture
def server(request):
    """server(transport, args, app=TEXT, ...) starts a server that listens; see server.Server for the rest."""
    started = []

    def start(transport=None, args=(), app=None, files=None, ready=True, **rest):
        given = dict(files or {})
        if app is not None:
            given["app.py"] = app
            args = [*args, "--wsgi-file", "app.py"]
        one = Server([*(transport.args if transport else ()), *args], files=given, **rest).start()
        started.append(one)
        if transport and ready:
            one.wait_port(transport.listens)
        return one

    yield start
    report = getattr(request.node, "report_call", None)
    for one in started:
        if report is not None and report.failed:
            print(f"--- {' '.join(one.argv)}\n{one.log()[-6000:]}")
        one.close()


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def site(server, authority, request):
    """site(option, rest="", args=(), app=the module's APP, unless files have an app.py; False: none) starts a server with a certificate
    for "site", and returns a Site."""

    def start(option="https-socket", rest="", args=(), app=None, **more):
        cert, key = authority.issue("site")
        port = free_port()
        value = f"127.0.0.1:{port},{cert},{key}{rest}"
        if option in ("https2", "sslrouter2"):
            value = f"addr=127.0.0.1:{port},cert={cert},key={key}{rest}"
        if app is None and "app.py" not in more.get("files", ()):
            app = request.module.APP
        one = server(None, ["--master", f"--{option}", value, *args], app=app or None, **more)
        one.wait_log("spawned uWSGI master process")
        one.wait_port(port)
        return Site(one, port, cert, key)

    return start


@pytest.fixture
def service(request):
    """service(module, conf, ...) starts a server of one module's views; see services.Service."""
    started = []

    def start(module, conf=None, **rest):
        one = Service(module, conf, **rest)
        started.append(one)
        return one.start()

    yield start
    for one in started:
        if getattr(request.node, "report_call", None) is None or request.node.report_call.failed:
            print(one.log()[-8000:])
        one.close()


@pytest.fixture(scope="module")
def postgres():
    one = Postgres()
    yield one
    one.close()


@pytest.fixture
def redis():
    """The port of a redis of our own."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis is not installed (Debian: redis-server)")
    port = free_port()
    process = subprocess.Popen([program, "--port", str(port), "--save", "", "--appendonly", "no"], stdout=subprocess.DEVNULL)
    eventually(lambda: listens(port))
    yield port
    process.kill()
    process.wait()


@pytest.fixture
def http():
    made = TRANSPORTS["http"]()
    yield made
    made.close()


@pytest.fixture
def way():
    made = http_socket()
    yield made
    made.close()


@pytest.fixture(scope="session")
def uwsgi():
    """The reference, built once from PyPI into .cache."""
    venv = ROOT / ".cache" / f"uwsgi-{REFERENCE}"
    binary = venv / "bin/uwsgi"
    venv.parent.mkdir(exist_ok=True)
    with open(venv.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests may run in several processes
        if not binary.exists():
            for command in ([sys.executable, "-m", "venv", venv],
                            [venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", f"uwsgi=={REFERENCE}"]):
                done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
                if done.returncode:
                    pytest.skip(f"uWSGI {REFERENCE} cannot be built here: {(done.stderr or done.stdout).strip().splitlines()[-1:]}")
    return binary
