"""Options of HTTP sockets that look at heads: time for a request's, headers of a response's."""
import gzip
import socket

import pytest
from http_client import eventually
from transports import http

APP = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-User", "somebody"), ("uWSGI-Encoding", "gzip")])
    yield ("text " * 100 + environ["SERVER_NAME"]).encode()
"""


@pytest.fixture
def transport():
    return http()


def exchange(transport, head):
    with socket.create_connection(("127.0.0.1", transport.port)) as client:
        client.sendall(head)
        client.settimeout(10)
        return client.makefile("rb").read()


def test_a_head_that_trickles_in_has_its_time(server, transport):
    server(transport, ["--master", "--http-headers-timeout", "1"], app=APP)
    with socket.create_connection(("127.0.0.1", transport.port)) as client:
        client.settimeout(0.2)
        client.sendall(b"GET / HTTP/1.1\r\nHost: here\r\nX: ")
        answer = []

        def answered():
            try:
                client.sendall(b"x")
                answer.append(client.recv(4096))
            except socket.timeout:
                return False
            return True
        eventually(answered, 10)
        assert answer[0].startswith(b"HTTP/1.1 408 ")


def test_the_servers_name_is_the_host_header(server, transport):
    server(transport, ["--master", "--http-server-name-as-http-host", "true"], app=APP)
    assert exchange(transport, b"GET / HTTP/1.0\r\nHost: shop.example:80\r\n\r\n").endswith(b"text shop.example:80")


def test_an_answer_is_compressed_when_it_asks_and_the_client_can(server, transport):
    server(transport, ["--master", "--http-auto-gzip"], app=APP)
    head, _, body = exchange(transport, b"GET / HTTP/1.0\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n").partition(b"\r\n\r\n")
    assert b"\r\nContent-Encoding: gzip\r\n" in head
    assert gzip.decompress(body).startswith(b"text text ")
    head, _, body = exchange(transport, b"GET / HTTP/1.0\r\nHost: h\r\n\r\n").partition(b"\r\n\r\n")
    assert b"Content-Encoding" not in head and body.startswith(b"text text ")


@pytest.mark.parametrize("option, sent", [("--pull-header", False), ("--collect-header", True)])
def test_headers_become_variables_of_the_log(server, transport, option, sent):
    running = server(transport, ["--master", option, "X-User WHO", "--log-format", "%(method) by %(var.WHO)"], app=APP)
    answer = exchange(transport, b"GET / HTTP/1.0\r\nHost: h\r\n\r\n")
    assert (b"X-User: somebody\r\n" in answer) == sent
    running.wait_log("^GET by somebody$")


@pytest.mark.parametrize("option", ["http-socket-modifier1", "http-modifier1", "fastcgi-modifier1", "scgi-modifier1"])
def test_requests_for_other_languages_are_refused_at_the_start(server, option):
    running = server(None, ["--http-socket", "127.0.0.1:0", f"--{option}", "5"], app=APP)
    assert running.wait_exit() == 1
    assert option in running.log()


SLEEPING = """
import time

def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(2.5)
    start_response("200 OK", [("Content-Length", "2")])
    if environ["PATH_INFO"] == "/begun":
        def body():
            yield b"o"
            time.sleep(1.5)
            yield b"k"
        return body()
    return [b"ok"]
"""


@pytest.mark.parametrize("threads", ["1", "2"])
def test_an_application_that_takes_too_long_is_answered_for(server, transport, threads):
    one = server(transport, ["--master", "--http-timeout", "1", "--threads", threads], app=SLEEPING)
    assert exchange(transport, b"GET /slow HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 504 ")
    one.wait_log(r"has not begun to answer \"/slow\" of 127.0.0.1 within 1s \(http-timeout\): 504")
    one.wait_log(r"GET /slow => generated 0 bytes in \d+ msecs \(HTTP/1.0 504\)")
    assert exchange(transport, b"GET /begun HTTP/1.0\r\n\r\n").endswith(b"ok")
    assert exchange(transport, b"GET / HTTP/1.0\r\n\r\n").endswith(b"ok")


@pytest.mark.parametrize("option, path", [([], "/a/b/c%2F"), (["--http-path-info-no-decode-slashes", "true"], "/a%2fb/c%2F")])
def test_slashes_in_segments_of_a_path(server, transport, option, path):
    app = """
def application(environ, start_response):
    start_response("200 OK", [])
    return [environ["PATH_INFO"].encode()]
"""
    server(transport, ["--master", *option], app=app)
    assert exchange(transport, b"GET /a%2fb/%63%252F HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\n" + path.encode())
