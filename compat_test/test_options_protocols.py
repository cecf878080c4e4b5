"""Every protocol that the option table names: a request is answered in it, or the start says why there is none."""
import re
import socket
import subprocess

import pytest
from protocols import Sockets, rest_of, status, stdout
from server import BINARY, free_port

APP = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "6")])
    return [b"served"]
"""
NO_RAW_MODE = "raw connections are not implemented yet; run a program that listens itself with attach-daemon"

# For each name the client that speaks it, else the words with which the start refuses.
PROTOCOLS = {
    "uwsgi": "uwsgi", "puwsgi": "uwsgi", "http": "http", "http11": "http", "fastcgi": "fastcgi", "fastcgi-nph": "fastcgi",
    "scgi": "scgi", "scgi-nph": "scgi", "raw": f'command line: option "protocol": "raw" is not supported: {NO_RAW_MODE}',
    "nosuch": 'command line: option "protocol": "nosuch" is not one of uwsgi, http, http11, fastcgi, fastcgi-nph, scgi, scgi-nph, puwsgi',
}
# What these speak is in test_tls.py: an address alone is not enough for them.
TLS = {name: f'command line: option "{name}": "ADDRESS" is not ADDRESS,CERT,KEY[,CIPHERS[,CLIENT_CA]]'
       for name in ["ssl-socket", "suwsgi-socket", "https-socket", "https"]}
TLS["https2"] = 'command line: option "https2": "ADDRESS" is not one of addr, cert, key, ciphers, clientca, spdy'
OPTIONS = {
    "socket": "uwsgi", "uwsgi-socket": "uwsgi", "puwsgi-socket": "uwsgi", "http": "http", "httprouter": "http", "http-socket": "http",
    "http11-socket": "http", "fastcgi-socket": "fastcgi", "fastcgi-nph-socket": "fastcgi", "scgi-socket": "scgi", "scgi-nph-socket": "scgi",
    "raw-socket": f'command line: option "raw-socket" is not supported: {NO_RAW_MODE}',
    "http-to-https": "redirection", **TLS,
}


class Request(Sockets):
    """What Sockets would send to a server of its own."""

    def __init__(self):
        self.path = "/"


def check(running, port, client):
    """Sends a request in the client's protocol; where `client` is a text, the start has to say it."""
    if " " in client:
        assert running.wait_exit() == 1
        assert running.log().rstrip("\n").endswith(client.replace("ADDRESS", f"127.0.0.1:{port}", 1) if '"ADDRESS"' in client else client)
        assert "Traceback" not in running.log()
        return
    running.wait_port(port)
    if client == "redirection":
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(b"GET /x?y HTTP/1.1\r\nHost: a.test:80\r\n\r\n")
            answer = rest_of(connection)
        assert status(answer) == 301 and b"\r\nLocation: https://a.test/x?y\r\n" in answer
        return
    name, request = getattr(Request(), client)(b"")
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(request)
        answer = rest_of(connection)
    if client == "fastcgi":
        answer, whole = stdout(answer)
        assert whole
    assert status(answer) == 200
    assert answer.endswith(b"\r\n\r\nserved")


@pytest.mark.parametrize("name", PROTOCOLS)
def test_each_protocol(server, name):
    port = free_port()
    check(server(None, ["--protocol", name, "--socket", f"127.0.0.1:{port}"], app=APP), port, PROTOCOLS[name])


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_that_names_an_address_to_serve(server, name):
    port = free_port()
    check(server(None, [f"--{name}", f"127.0.0.1:{port}"], app=APP), port, OPTIONS[name])


def test_no_name_is_missing_here():
    text = subprocess.run([BINARY, "--help"], capture_output=True, text=True, check=True).stdout
    listening = re.findall(r"^ +(?:-.\|)?--(\S+) +(?:listen on this address|(?:serve|redirect) HTTPS?(?: on this address)?\b)", text, re.M)
    assert sorted(listening) == sorted(OPTIONS)
    named = re.search(r"--protocol +protocol of --socket: (.*?)(?: \(default: uwsgi\))?\n", text).group(1)
    assert sorted(re.split(", | or ", named)) == sorted(name for name, client in PROTOCOLS.items() if " " not in client)
