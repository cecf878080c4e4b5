"""The examples, copied as their pages say, and the configurations that `envoxyd init` writes."""
import json
import subprocess
import urllib.parse
from pathlib import Path

import pytest
from http_client import Connection, eventually, get
from server import BINARY, ROOT, free_port
from transports import Nginx

VENV = ROOT / ".venv"
EXAMPLES = ROOT / "examples"
WSGI = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'found']\n"


def texts(directory):
    """{name: text} of all files of an example."""
    return {str(path.relative_to(directory)): path.read_text() for path in directory.rglob("*")
            if path.is_file() and "__pycache__" not in path.parts}


def init(directory, *words, status=0):
    done = subprocess.run([BINARY, "init", *words], cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def django(server):
    """The Django example as a directory that is ready to serve, and its server, which is not started."""
    pytest.importorskip("django")
    running = server(None, ["--version"], files=texts(EXAMPLES / "django"))
    running.wait_exit()
    (running.dir / ".venv").symlink_to(VENV)
    (running.dir / "spool").mkdir()
    for words in (["makemigrations", "--check"], ["migrate"], ["collectstatic", "--noinput"]):
        done = subprocess.run([VENV / "bin/python3", "manage.py", *words], cwd=running.dir, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return running


def test_django_behind_nginx(django, server):
    running = server(None, ["--ini", django.dir / "envoxyd.ini"], env={"RUNTIME_DIRECTORY": str(django.dir)})
    eventually((django.dir / "shop.sock").exists)
    (django.dir / "shop.sock").chmod(0o777)  # this nginx may have another user
    port = free_port()
    site = (django.dir / "nginx.conf").read_text()
    for here, there in {"listen 80;": f"listen 127.0.0.1:{port};", "/srv/shop/": f"{django.dir}/", "unix:/run/shop/": f"unix:{django.dir}/",
                        "include uwsgi": "include /etc/nginx/uwsgi"}.items():
        assert here in site
        site = site.replace(here, there)
    front = Nginx(f"unix:{django.dir}/shop.sock", site=site)
    try:
        eventually(lambda: get(port, "/").status == 200, 20)
        assert get(port, "/static/orders/orders.css").text == (EXAMPLES / "django/orders/static/orders/orders.css").read_text()
        with Connection(port) as connection:
            connection.open()
            body = urllib.parse.urlencode({"item": "tea & milk"}).encode()
            connection.socket.sendall(b"POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
                                      b"Content-Length: %d\r\n\r\n" % len(body) + body)
            assert json.loads(connection.receive().text) == {"order": 1}
        eventually(lambda: "Order 1: tea &amp; milk" in get(port, "/").text, 20)
        assert not list((django.dir / "spool").glob("uwsgi_spoolfile*"))
        assert "Traceback" not in running.log()
    finally:
        front.close()


def test_the_cards_run_where_they_are_copied_to(server):
    """From the directory itself, and named from elsewhere."""
    for chdir in (True, False):
        port = free_port()
        files = {f"mycards/{name}": text.replace("1883", str(free_port())) for name, text in texts(EXAMPLES / "cards").items()}
        where = ["--set", "conf=envoxy.json", "--chdir", "mycards"] if chdir else ["--set", "conf=mycards/envoxy.json"]
        server(None, ["--http", f"127.0.0.1:{port}", "--virtualenv", VENV, *where], files=files).wait_port(port)
        assert eventually(lambda port=port: get(port, "/v1/cards").status == 200, 20)


@pytest.mark.parametrize("kind", ["wsgi", "django", "envoxy"])
def test_what_init_writes_serves(server, kind, request):
    if kind == "django":
        directory = request.getfixturevalue("django").dir
        (directory / "envoxyd.ini").unlink()
    else:
        files = {"app.py": WSGI} if kind == "wsgi" else texts(EXAMPLES / "cards")
        made = server(None, ["--version"], files=files)
        made.wait_exit()
        directory = made.dir
        (directory / ".venv").symlink_to(VENV)
    if kind == "wsgi":  # systemd wants such a path in quotes
        directory = directory.rename(directory.with_name(directory.name + " and 5%"))
        request.addfinalizer(lambda: directory.rename(made.dir))
    text = init(directory)
    assert f"({kind})" in text and "start it: envoxyd --ini envoxyd.ini" in text
    ini, port = directory / "envoxyd.ini", free_port()
    ini.write_text(ini.read_text().replace("127.0.0.1:8080", f"127.0.0.1:{port}"))
    if kind == "envoxy":
        conf = directory / "envoxy.json"
        conf.write_text(conf.read_text().replace("1883", str(free_port())))
    checked = subprocess.run([BINARY, "--ini", ini, "--check"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    server(None, ["--ini", ini]).wait_port(port)
    path = {"wsgi": "/", "django": "/static/orders/orders.css", "envoxy": "/v1/cards"}[kind]
    assert eventually(lambda: get(port, path).status == 200, 20)
    assert "envoxyd.ini" in init(directory, status=1) and ini.exists()  # nothing is overwritten
    unit = (directory / "envoxyd.service").read_text()
    place = f'"{directory}/envoxyd.ini"'.replace("%", "%%") if kind == "wsgi" else f"{directory}/envoxyd.ini"
    assert f"ExecStart={BINARY} --ini {place}\n" in unit


def test_init_says_what_it_looked_for(tmp_path):
    text = init(tmp_path, status=1)
    assert "envoxyd init: no application was found in " in text and "manage.py" in text
    assert "usage: envoxyd init [wsgi|django|envoxy]" in init(tmp_path, "rails", status=2)
    assert not list(Path(tmp_path).iterdir())
