"""Configuration files as production has them: each starts its service, answers on its way in, reloads and stops with 0.

A file says on its first lines how it is reached and what else is asked of it:
    ; way: socket | http | http-socket | http11-socket     (a socket is reached through nginx)
    ; env: NAME=VALUE
    ; get: PATH => text that the answer contains
"""
import re
import signal
from pathlib import Path

import pytest
from http_client import eventually, get
from server import free_port
from transports import Nginx

FILES = sorted(Path(__file__).with_name("production").glob("*.ini"))

WSGI = """
import sys

def application(environ, start_response):
    script, path = environ.get("SCRIPT_NAME", ""), environ["PATH_INFO"]
    text = f"version 1 {script} {path}"
    if path == "/imported":
        text += f" {'shop.patched' in sys.modules}"
    if path == "/header":
        text += " yes"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text.encode()]

app = application

def get_wsgi_application():
    return application
"""
SITE = {"shop/__init__.py": "", "shop/settings.py": "", "shop/patched.py": "", "shop/wsgi.py": WSGI, "shop/other.py": WSGI,
        "static/logo.txt": "a logo", "reload": "", "workers": "", "chain": ""}


def asked(text, key):
    return re.findall(rf"^; {key}: (.*?)\r?$", text, re.M)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_file(server, path):
    text = path.read_bytes().decode()
    way = asked(text, "way")[0]
    port = free_port()
    front = Nginx(f"127.0.0.1:{port}") if way == "socket" else None
    reached = front.port if front else port
    try:
        env = {"PORT": str(port), **dict(pair.split("=", 1) for pair in asked(text, "env"))}
        running = server(None, ["--ini", "shop.ini"], files={**SITE, "shop.ini": text}, env=env)
        running.wait_port(port)
        assert get(reached).text.startswith("version 1 ")
        for line in asked(text, "get"):
            where, _, wanted = line.partition(" => ")
            assert wanted in get(reached, where).text
        running.write("shop/wsgi.py", WSGI.replace("version 1", "version 2"))
        running.signal(signal.SIGHUP)
        eventually(lambda: get(reached).text.startswith("version 2 "), 20)
        running.signal(signal.SIGTERM)
        assert running.wait_exit() == 0
    finally:
        if front:
            front.close()
