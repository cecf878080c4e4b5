"""A log format that is JSON makes JSON of every request, and names the user that the application found."""
import json

import pytest
from http_client import Connection

APP = """
def application(environ, start_response):
    import uwsgi
    uwsgi.set_logvar("user", 'an"n')
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"done"]
"""
FORMAT = '{"user": "%(user)", "agent": "%(uagent)", "uri": "%(uri)", "status": %(status)}'


@pytest.mark.parametrize("transport", ["http-socket"], indirect=True)
def test_lines_of_json(server, transport):
    running = server(transport, ["--master", "--log-format", FORMAT], app=APP)
    with Connection(transport.port) as client:
        client.open()
        client.socket.sendall(b'GET /"x"\\ HTTP/1.1\r\nHost: h\r\nUser-Agent: q"uo\\te \xff\t","user":"eve\r\nConnection: close\r\n\r\n')
        assert client.receive().status == 200
    line = json.loads(running.wait_log(r"^\{.*\}$").group(0))
    assert line == {"user": 'an"n', "agent": 'q"uo\\te \ufffd\t","user":"eve', "uri": '/"x"\\', "status": 200}
