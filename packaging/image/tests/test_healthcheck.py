import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

SCRIPT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "healthcheck.py")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(self.path.strip("/").partition("?")[2] or 204))
        self.end_headers()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def port():
    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def check(url):
    env = {"HEALTH_URL": url, "http_proxy": "http://127.0.0.1:9"}
    done = subprocess.run([sys.executable, "-IS", SCRIPT], env=env, capture_output=True, text=True, timeout=30)
    return done.returncode, done.stderr


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:PORT", "http://127.0.0.1:PORT", "http://127.0.0.1:PORT/?302"])
def test_healthy(port, url):
    assert check(url.replace("PORT", str(port))) == (0, "")


@pytest.mark.parametrize("url, reason", [
    ("http://127.0.0.1:PORT/?500", "status 500"),
    ("http://127.0.0.1:PORT/?404", "status 404"),
    ("http://127.0.0.1:1/", "refused"),
    ("tcp://127.0.0.1:1", "refused"),
    ("tcp://127.0.0.1:99999", "out of range"),
    ("tcp://127.0.0.1", "HEALTH_URL is"),
    ("tcp://", "HEALTH_URL is"),
    ("ftp://127.0.0.1/", "HEALTH_URL is"),
    ("", "HEALTH_URL is"),
])
def test_unhealthy_with_the_reason(port, url, reason):
    status, said = check(url.replace("PORT", str(port)))
    assert status == 1 and reason in said and "Traceback" not in said
