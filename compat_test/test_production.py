"""Configuration files as production has them: each starts its service, answers on its way in, reloads and stops with 0.

A file says on its first lines (JSON, which has no comments, in keys of its own) how it is reached and what else is asked of it:
    ; way: socket | http | http-socket | http11-socket     (a socket is reached through nginx)
    ; env: NAME=VALUE
    ; get: PATH => text that the answer contains
    ; section: the section to read
    ; wrapper: what the server is started through
"""
import re
import signal
import sys
from pathlib import Path

import pytest
from http_client import eventually, get
from server import free_port
from transports import Nginx

FILES = sorted(Path(__file__).with_name("production").glob("*.*"))
LANGUAGES = {".ini": "--ini", ".yaml": "--yaml", ".yml": "--yaml", ".json": "--json"}

WSGI = """
import os
import sys

def application(environ, start_response):
    script, path = environ.get("SCRIPT_NAME", ""), environ["PATH_INFO"]
    text = f"version 1 {script} {path}"
    if path == "/imported":
        text += f" {'shop.patched' in sys.modules}"
    if path.startswith("/env/"):
        text += " " + os.environ.get(path[5:], "is not set")
    if path == "/header":
        text += " yes"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(text)))])
    return [text.encode()]

app = application

def get_wsgi_application():
    return application
"""
AGENT = """
import os
import sys

os.environ["AGENT_RUNS"] = "1"
os.execv(sys.argv[2], sys.argv[2:])
"""
SHARED = """[uwsgi]
master = true
module = shop.wsgi
processes = 2
"""
SITE = {"shop/__init__.py": "", "shop/settings.py": "", "shop/patched.py": "", "shop/wsgi.py": WSGI, "shop/other.py": WSGI,
        "static/logo.txt": "a logo", "reload": "", "workers": "", "chain": "",
        "agent": AGENT, "shared.ini": SHARED}


def asked(text, key):
    return re.findall(rf"^[;#] {key}: (.*?)\r?$", text, re.M) + re.findall(rf'^ *"{key}": "(.*)",$', text, re.M)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_file(server, path):
    text = path.read_bytes().decode()
    way = asked(text, "way")[0]
    port = free_port()
    front = Nginx(f"127.0.0.1:{port}") if way == "socket" else None
    reached = front.port if front else port
    try:
        env = {"PORT": str(port), **dict(pair.split("=", 1) for pair in asked(text, "env"))}
        name = "shop" + path.suffix
        section = ":".join(["", *asked(text, "section")])
        wrapper = [word for line in asked(text, "wrapper") for word in (sys.executable, *line.split())]
        running = server(None, [LANGUAGES[path.suffix], name + section], files={**SITE, name: text}, env=env, wrapper=wrapper)
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
