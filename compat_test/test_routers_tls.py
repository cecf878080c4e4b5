"""Routers whose clients speak TLS: https with nodes, and sslrouter."""

import json
import os
import shutil
import signal
import socket
import ssl

import pytest
from http_client import Connection, eventually
from load import Load
import routed
from routed import node, router_pid, subscribed
from server import free_port
from sites import client, rest_of
from websocket_client import TEXT, Websocket

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")

SUBJECT = "/C=DE/O=A/CN=x"
ECHO = """
import json
def application(environ, start_response):
    said = {k: v for k, v in environ.items() if isinstance(v, str)}
    said["body"] = environ["wsgi.input"].read().decode()
    said["NAME"] = "ECHO"
    body = json.dumps(said).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""


class Reached:
    """What Load wants to know."""

    def __init__(self, one):
        self.port, self.keeps, self.context = one.port, True, client()


@pytest.fixture
def secure(site):
    """secure(*args, option, rest) starts a router with a certificate."""

    def start(*args, option="https", rest="", kind="http", **more):
        one = site(option, rest, args=["--http-keepalive=30", *args], app=False, **more)
        one.server.wait_log(rf"spawned uWSGI {kind} 1 \(pid: \d+\)")
        return one

    return start


@pytest.fixture
def echo(server):
    """An address of a server that tells what it was sent."""

    def start(name="ECHO", protocol="socket"):
        return f"127.0.0.1:{node(server, app=ECHO.replace('ECHO', name), protocol=protocol).port}"

    return start


@pytest.mark.parametrize("option", ["https", "https2"])
def test_nodes_learn_that_it_was_tls(secure, echo, option):
    one = secure("--http-to", echo(), option=option)
    said = one.ask(body=b"x" * 300000)
    assert (said["HTTPS"], said["UWSGI_ROUTER"], said["SERVER_PORT"], len(said["body"])) == ("on", "http", str(one.port), 300000)
    assert "HTTPS_DN" not in said
    with Connection(one.port, keep=True, context=client()) as connection:
        assert [connection.get("/").status for _ in range(3)] == [200] * 3


def test_nodes_of_http_are_told_by_a_field(secure, echo):
    one = secure("--http-to", echo(protocol="http-socket"), "--http-backend-http")
    with one.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: site\r\nX-Forwarded-Proto: gopher\r\nConnection: close\r\n\r\n")
        answer = rest_of(connection)
    assert b'"HTTP_X_FORWARDED_PROTO": "https"' in answer and b"gopher" not in answer


@pytest.mark.parametrize("mark", ["", "!"], ids=["optional", "required"])
def test_client_certificates(secure, echo, authority, mark):
    ours = authority.issue("client", SUBJECT)
    one = secure("--http-to", echo(), "--https-export-cert", rest=f",HIGH,{mark}{authority.path}")
    said = one.ask(context=client(ours))
    assert said["HTTPS_CC"] == ours[0].read_text()
    assert said["HTTPS_CLIENT_CERTIFICATE"].encode("latin-1") == ssl.PEM_cert_to_DER_cert(said["HTTPS_CC"])
    assert said["HTTPS_DN"].startswith("/C=DE")
    if mark:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            one.ask()
    else:
        assert "HTTPS_DN" not in one.ask()


def test_large_answers_pass(server, secure):
    big = node(server, "one")
    one = secure("--http-to", f"127.0.0.1:{big.port}")
    assert len(one.get("/big/100")) == 100 * 65536
    assert one.get("/unsized") == b"one two"


def test_hosts_have_their_certificates(secure, echo, authority):
    cert, key = authority.issue("a.test")
    one = secure("--http-to", echo(), "--sni", f"a.test {cert},{key}")
    assert [one.shown(name) for name in ("a.test", "other.test", None)] == ["a.test", "site", "site"]


def test_reloads_and_new_certificates_cost_nothing(server, secure, authority):
    one = secure("--http-to", f"127.0.0.1:{node(server, 'one', '--processes', '2').port}")
    pid = router_pid(one.server)
    with Load(Reached(one), clients=4) as load:
        load.wait_for(50)
        one.server.signal(signal.SIGHUP)
        one.server.wait_log(r"gracefully \(RE\)spawned uWSGI master process")
        load.wait_for(50)
        before = one.s_client("-showcerts")[0]
        authority.issue("site")
        one.server.wait_log("certificates have changed")
        eventually(lambda: one.s_client("-showcerts")[0].split("-----END")[0] != before.split("-----END")[0])
        load.wait_for(50)
    assert load.failures() == []
    assert router_pid(one.server) == pid


def test_an_upgrade_costs_nothing(server, secure):
    one = secure("--http-to", f"127.0.0.1:{node(server, 'one', '--processes', '2').port}")
    pid = router_pid(one.server)
    with Load(Reached(one), clients=4) as load:
        load.wait_for(50)
        one.server.signal(signal.SIGUSR2)
        one.server.wait_log("upgrade: the new master serves")
        eventually(lambda: router_pid(one.server) != pid)
        load.wait_for(100)
    assert load.failures() == []
    for found in one.server.processes():
        try:
            os.kill(found, signal.SIGTERM)
        except ProcessLookupError:
            pass
    one.server.wait_gone()


def test_a_router_that_dies_has_its_keys_again(server, secure):
    one = secure("--http-to", f"127.0.0.1:{node(server, 'one').port}")
    os.kill(router_pid(one.server), signal.SIGKILL)
    one.server.wait_log("died .*trying respawn")
    eventually(lambda: one.server.log().count("spawned uWSGI http 1") == 2)
    assert one.get() == b"one"


def test_another_certificate_file_replaces_the_router(server, secure, authority):
    name = node(server, "one")
    cert, key = authority.issue("site")
    other = authority.issue("other")
    port = free_port()
    text = f"[uwsgi]\nmaster = true\nhttps = 127.0.0.1:{port},{cert},{key}\nhttp-to = 127.0.0.1:{name.port}\nhttp-keepalive = 30\n"
    one = server(None, ["--ini", "c.ini"], files={"c.ini": text})
    one.wait_port(port)
    one.port = port
    with Load(Reached(one), clients=4) as load:
        load.wait_for(30)
        (one.dir / "c.ini").write_text(text.replace(f"{cert},{key}", f"{other[0]},{other[1]}"))
        one.signal(signal.SIGHUP)
        one.wait_log(r"has been buried")
        load.wait_for(50)
    assert load.failures() == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change users")
def test_the_router_may_be_somebody_who_cannot_read_the_key(server, secure, authority):
    one = secure("--http-to", f"127.0.0.1:{node(server, 'one').port}", "--http-uid", "nobody", "--http-gid", "nogroup")
    os.chmod(one.key, 0o600)
    assert one.get() == b"one"


def test_a_client_that_says_nothing_does_not_hold_up_a_stop(server, secure):
    one = secure("--http-to", f"127.0.0.1:{node(server, 'one').port}")
    with socket.create_connection(("127.0.0.1", one.port)):
        one.server.signal(signal.SIGTERM)
        assert one.server.wait_exit(10) == 0


def test_proxy_lines_come_before_the_handshake(secure, echo):
    one = secure("--http-to", echo(), "--http-enable-proxy-protocol")
    raw = socket.create_connection(("127.0.0.1", one.port), 10)
    raw.sendall(b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 443\r\n")
    with client().wrap_socket(raw, server_hostname="site") as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: site\r\nConnection: close\r\n\r\n")
        said = json.loads(rest_of(connection).split(b"\r\n\r\n", 1)[1])
    assert (said["REMOTE_ADDR"], said["REMOTE_PORT"], said["HTTPS"]) == ("192.0.2.1", "1234", "on")


def test_the_router_redirects_to_https(secure, echo):
    port = free_port()
    one = secure("--http-to", echo(), "--http-to-https", f"127.0.0.1:{port}")
    assert "spawned uWSGI worker" not in one.server.log()
    reply = routed.ask(port, "/x?y=1", host="a.test:8080", method="POST", body=b"x")
    assert (reply.status, reply.headers["location"]) == (301, "https://a.test/x?y=1")
    assert routed.ask(port, host="a b").status == 400


@pytest.mark.parametrize("option", ["https", "sslrouter"])
def test_a_node_brings_its_certificate_along(server, secure, authority, option):
    names, stats = free_port(), free_port()
    kind = {"https": "http"}.get(option, option)
    one = secure(f"--{kind}-subscription-server", f"127.0.0.1:{names}", f"--{kind}-stats", f"127.0.0.1:{stats}",
                 *(["--sslrouter-sni"] if option == "sslrouter" else []), option=option, kind=kind)
    cert, key = authority.issue("a.test")
    assert one.shown("a.test") == "site"
    target = node(server, "one", "--subscribe2", f"server=127.0.0.1:{names},key=a.test,sni_crt={cert},sni_key={key}",
                  protocol="http-socket" if option == "sslrouter" else "socket")
    subscribed(stats, "a.test", 1)
    assert [one.shown(name) for name in ("a.test", "www.a.test", "b.test")] == ["a.test", "site", "site"]
    request = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"
    assert one.exchange(request, name="a.test").endswith(b"\r\n\r\none")
    os.kill(router_pid(one.server, kind), signal.SIGKILL)  # who comes next knows it too
    eventually(lambda: one.server.log().count(f"spawned uWSGI {kind} 1") == 2)
    assert one.shown("a.test") == "a.test"
    target.signal(signal.SIGTERM)
    assert target.wait_exit() == 0
    assert one.shown("a.test") == "site"


@pytest.mark.parametrize("option", ["sslrouter", "sslrouter2"])
def test_sslrouter_passes_on_what_tls_carries(server, secure, option):
    target = node(server, "one", protocol="http-socket")
    one = secure("--sslrouter-to", f"127.0.0.1:{target.port}", option=option, kind="sslrouter")
    assert one.get() == b"one"
    assert len(one.get("/big/100")) == 100 * 65536


def test_sslrouter_chooses_by_host(server, secure):
    names = free_port()
    stats = free_port()
    one = secure("--sslrouter-subscription-server", f"127.0.0.1:{names}", "--sslrouter-sni", "--sslrouter-stats", f"127.0.0.1:{stats}",
                 option="sslrouter", kind="sslrouter")
    for host in ("a.test", "b.test"):
        node(server, host, "--subscribe-to", f"127.0.0.1:{names}:{host}", protocol="http-socket")
        subscribed(stats, host, 1)
    request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert one.exchange(request, name="a.test").endswith(b"a.test")
    assert one.exchange(request, name="B.test").endswith(b"b.test")
    assert one.exchange(request, name="c.test") == b""


def test_sslrouter_without_hosts_is_known_by_its_address(server, secure):
    names, stats = free_port(), free_port()
    one = secure("--sslrouter-subscription-server", f"127.0.0.1:{names}", "--sslrouter-stats-server", f"127.0.0.1:{stats}",
                 option="sslrouter", kind="sslrouter")
    node(server, "one", "--subscribe-to", f"127.0.0.1:{names}:127.0.0.1:{one.port}", protocol="http-socket")
    subscribed(stats, f"127.0.0.1:{one.port}", 1)
    assert one.get() == b"one"


def test_websockets_pass(server, secure):
    app = """
def application(environ, start_response):
    import uwsgi
    uwsgi.websocket_handshake()
    uwsgi.websocket_send(uwsgi.websocket_recv())
    return []
"""
    one = secure("--http-to", f"127.0.0.1:{node(server, app=app).port}")
    with Websocket(one.port, context=client()) as connection:
        connection.send(TEXT, b"hello")
        assert connection.receive() == (TEXT, b"hello")
