"""TLS: what starts and what does not; versions, ciphers, hosts, client certificates, sessions, new certificates."""
import json
import os
import pwd
import shutil
import socket
import ssl
import struct
from pathlib import Path

import pytest
from certificates import Authority
from http_client import eventually
from server import free_port
from sites import ask, client

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")

APP = """
import json, uwsgi
def application(environ, start_response):
    names = ("HTTPS", "HTTPS_DN", "HTTPS_CC", "HTTPS_CLIENT_CERTIFICATE", "wsgi.url_scheme", "SERVER_PORT")
    said = {name: environ[name] for name in names if name in environ}
    said["worker"], said["body"] = uwsgi.worker_id(), environ["wsgi.input"].read().decode("latin-1")
    text = json.dumps(said).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
    return [text]
"""
SUBJECT = "/C=DE/O=A, Inc/CN=cl\"ié\\/x/emailAddress=a@b.test"
DN = "/C=DE/O=A, Inc/CN=cl\"i\\xC3\\xA9\\/x/emailAddress=a@b.test"


# Starts that fail, and --check.

WRONG = {
    "no certificate": (["none.crt", "site.key"], "none.crt: no such file or directory"),
    "no key": (["site.crt", "none.key"], "none.key: no such file or directory"),
    "the key of another": (["site.crt", "other.key"], "private key does not match public key"),
    "a certificate for a key": (["site.crt", "site.crt"], "there is no private key in PEM form in it"),
    "a key for a certificate": (["site.key", "site.key"], "there is no certificate in PEM form in it"),
    "no client CA": (["site.crt", "site.key", "HIGH", "!none.ca"], "none.ca: no such file or directory"),
    "a client CA without a certificate": (["site.crt", "site.key", "HIGH", "site.key"], "there is no certificate in it"),
    "a cipher that is none": (["site.crt", "site.key", "NOSUCH"], '"NOSUCH" is no cipher that OpenSSL knows'),
}


@pytest.mark.parametrize("option", ["https", "https-socket", "ssl-socket"])
@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_ends_the_start_and_is_found_by_check(server, authority, option, what):
    parts, reason = WRONG[what]
    for name in ("site", "other"):
        authority.issue(name)
    names = [(part[:part.startswith("!")] + str(authority.dir / part.lstrip("!"))) if "." in part else part for part in parts]
    ini = f"[uwsgi]\nmaster = true\n{option} = 127.0.0.1:{free_port()},{','.join(names)}\nwsgi-file = app.py\n"
    files = {"app.py": APP, "site.ini": ini}
    refused = server(None, ["--ini", "site.ini"], files=files)
    assert refused.wait_exit() == 1
    last = refused.log().rstrip("\n").splitlines()[-1]
    assert last.startswith("site.ini:3: ") and reason in last
    checked = server(None, ["--ini", "site.ini", "--check"], files=files)
    assert checked.wait_exit() == 1
    assert f"wrong: {last}" in checked.log()


@pytest.mark.parametrize("args, reason", [
    (["--sni", "a.test none.crt,none.key"], "SNI a.test: open "), (["--sni-dir", "none"], "sni-dir: stat "),
    (["--ssl-enable3"], 'option "ssl-enable3" is not supported: '),
    (["--ssl-option", "262144"], "SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION"),
    (["--sni-regexp", "( CERT,KEY"], "regular expression"),
], ids=lambda value: value[0] if isinstance(value, list) else "")
def test_what_is_wrong_beside_the_socket(server, authority, args, reason):
    cert, key = authority.issue("site")
    args = [arg.replace("CERT", str(cert)).replace("KEY", str(key)) for arg in args]
    refused = server(None, ["--master", "--https", f"127.0.0.1:{free_port()},{cert},{key}", *args], app=APP)
    assert refused.wait_exit() == 1
    assert reason in refused.log().rstrip("\n").splitlines()[-1]


def test_the_log_names_sockets_as_usual(server, authority):
    cert, key = authority.issue("site")
    ports = [free_port() for _ in range(3)]
    pair = f"{cert},{key}"
    one = server(None, ["--master", "--https", f"127.0.0.1:{ports[0]},{pair}", "--http-to-https", f"127.0.0.1:{ports[1]}",
                        "--https-socket", f"127.0.0.1:{ports[2]},{pair}"], app=APP)
    one.wait_log(f"uWSGI http bound on 127.0.0.1:{ports[0]} fd ")
    one.wait_log(f"uWSGI http bound on 127.0.0.1:{ports[1]} fd ")
    one.wait_log(f"uwsgi socket 0 bound to TCP address 127.0.0.1:{ports[2]} fd ")


def test_certificates_relate_to_where_the_start_is_and_not_to_chdir(server, authority):
    cert, key = authority.issue("site")
    files = {"app.py": APP, "site.crt": cert.read_text(), "site.key": key.read_text(), "sub/empty": ""}
    args = ["--https", f"127.0.0.1:{free_port()},site.crt,site.key", "--chdir", "sub", "--wsgi-file", "../app.py"]
    checked = server(None, ["--check", "--master", *args], files=files)
    assert checked.wait_exit() == 0, checked.log()


def test_keys_are_neither_logged_nor_in_arguments_nor_environments(server, authority):
    cert, key = authority.issue("site")
    one = server(None, ["--master", "--show-config", "--https", f"127.0.0.1:{free_port()},{cert},{key}"], app=APP)
    one.wait_log("spawned uWSGI master process")
    secret = key.read_text().splitlines()[3]
    for pid in one.processes():
        for name in ("cmdline", "environ"):
            try:
                assert secret.encode() not in Path(f"/proc/{pid}/{name}").read_bytes()
            except OSError:  # it has ended
                pass
    assert secret not in one.log()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop privileges")
def test_a_key_that_only_root_may_read_is_read_at_the_start(server, authority):
    cert, key = authority.issue("site")
    assert key.stat().st_uid == 0 and key.stat().st_mode & 0o077 == 0
    account = pwd.getpwnam("nobody")
    one = server(None, ["--master", "--uid", "nobody", "--gid", str(account.pw_gid), "--https", f"127.0.0.1:{free_port()},{cert},{key}"],
                 app=APP)
    one.wait_log("spawned uWSGI master process")
    assert "permission denied" not in one.log()


# Redirections.

@pytest.mark.parametrize("request_, location", [
    (b"GET /x?y=1 HTTP/1.1\r\nHost: a.test:8080\r\n\r\n", b"https://a.test/x?y=1"), (b"HEAD /x HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", b"https://[::1]/x"),
    (b"POST /x HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9999999\r\n\r\nbegin", b"https://a.test/x"),
    (b"GET http://b.test:1/y HTTP/1.1\r\nHost: a.test\r\n\r\n", b"https://b.test/y"),
], ids=["port", "ipv6", "body", "absolute"])
def test_http_to_https(server, request_, location):
    port = free_port()
    one = server(None, ["--master", "--http-to-https", f"127.0.0.1:{port}"], app=APP)
    one.wait_port(port)
    answer = exchange(port, request_)
    assert answer.startswith(b"HTTP/1.1 301 Moved Permanently\r\n") and b"\r\nLocation: " + location + b"\r\n" in answer


@pytest.mark.parametrize("request_", [b"GET / HTTP/1.1\r\nHost: a\tb\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
                                      b"GET /\n HTTP/1.1\r\nHost: a\r\n\r\n"])
def test_hosts_that_are_none_are_not_redirected(server, request_):
    port = free_port()
    one = server(None, ["--master", "--http-to-https", f"127.0.0.1:{port}"], app=APP)
    one.wait_port(port)
    answer = exchange(port, request_)
    assert answer.startswith(b"HTTP/1.1 400 ") and b"Location" not in answer


def exchange(port, request_):
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(request_)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


# What workers serve.

@pytest.mark.parametrize("option", ["https", "https2", "https-socket"])
def test_requests_over_tls(site, option):
    one = site(option)
    said = one.ask(body=b"x" * 300000)
    assert (said["HTTPS"], said["wsgi.url_scheme"], said["SERVER_PORT"], len(said["body"])) == ("on", "https", str(one.port), 300000)
    assert "HTTPS_DN" not in said and "HTTPS_CC" not in said


def test_the_uwsgi_protocol_over_tls(site):
    one = site("ssl-socket")
    variables = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "QUERY_STRING": "", "SERVER_PROTOCOL": "HTTP/1.1"}
    block = b"".join(struct.pack("<H", len(part)) + part.encode() for pair in variables.items() for part in pair)
    with one.connect() as connection:
        connection.sendall(struct.pack("<BHB", 0, len(block), 0) + block)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["wsgi.url_scheme"] == "http"  # as with uWSGI: who speaks it says what the client had


@pytest.mark.parametrize("args, offered", [
    ([], {"-tls1_1": False, "-tls1_2": True, "-tls1_3": True}),
    (["--ssl-option", "134217728"], {"-tls1_2": False, "-tls1_3": True}),
    (["--ssl-option", "536870912"], {"-tls1_2": True, "-tls1_3": False}),
    (["--ssl-enable-tlsv1"], {"-tls1_1": True, "-tls1_2": True}),
], ids=["default", "no 1.2", "no 1.3", "old"])
def test_versions(site, args, offered):
    one = site(args=args)
    for version, works in offered.items():
        extra = ["-cipher", "ALL@SECLEVEL=0"] if version == "-tls1_1" else []
        assert one.s_client(version, *extra)[1] == works, version


def test_ciphers(site):
    one = site(rest=",EECDH+AESGCM:!AES128")
    assert "Cipher is ECDHE-RSA-AES256-GCM-SHA384" in one.s_client("-tls1_2")[0]
    assert not one.s_client("-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256")[1]


def test_hosts(site, authority):
    pairs = {name: ",".join(map(str, authority.issue(name))) for name in ("a.test", "wild.test", "re.test", "above.test")}
    directory = authority.dir / "hosts"
    directory.mkdir()
    authority.issue("dir.test", directory=directory)
    one = site(args=["--sni", f"a.test {pairs['a.test']}", "--sni", f"*.wild.test {pairs['wild.test']}",
                     "--sni-regexp", rf"^x\d+\.re\.test$ {pairs['re.test']}", "--sni-dir", str(directory)])
    expected = {"a.test": "a.test", "A.Test": "a.test", "b.wild.test": "wild.test", "x1.re.test": "re.test",
                "x.re.test": "site", "dir.test": "dir.test", "other.test": "site", None: "site"}
    assert {name: one.shown(name) for name in expected} == expected
    assert one.s_client("-servername", "../above.test")[0].count("above.test") == 0
    later = authority.issue("later.test", directory=directory)
    assert later and one.shown("later.test") == "later.test"


@pytest.mark.parametrize("option", ["https", "https-socket"])
@pytest.mark.parametrize("mark", ["", "!"], ids=["optional", "required"])
def test_client_certificates(site, authority, option, mark):
    other = Authority(authority.dir, "Stranger")
    ours, strange = authority.issue("client", SUBJECT), other.issue("strange", SUBJECT)
    one = site(option, rest=f",HIGH,{mark}{authority.path}", args=["--https-export-cert"])
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        said = one.ask(context=client(ours, version))
        assert said["HTTPS_DN"] == DN
        assert said["HTTPS_CC"] == ours[0].read_text()
        assert said["HTTPS_CLIENT_CERTIFICATE"].encode("latin-1") == ssl.PEM_cert_to_DER_cert(said["HTTPS_CC"])
        if mark:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                one.ask(context=client(version=version))
        else:
            assert "HTTPS_DN" not in one.ask(context=client(version=version))
        with pytest.raises((ssl.SSLError, ConnectionError)):
            one.ask(context=client(strange, version))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def test_a_session_is_resumed_at_another_worker_and_after_a_reload(site, version):
    one = site(args=["--processes", "2"])
    context = client(version=version)
    with one.connect(context=context) as connection:
        first = ask(connection)["worker"]
        session = connection.session

    def resumed_elsewhere():
        with one.connect(context=context, session=session) as connection:
            assert connection.session_reused
            return ask(connection)["worker"] != first

    eventually(resumed_elsewhere)
    one.server.signal(1)
    one.server.wait_log("gracefully \\(RE\\)spawned")
    with one.connect(context=context, session=session) as connection:
        assert connection.session_reused
        ask(connection)


def test_no_session_without_tickets(site):
    one = site(args=["--ssl-option", "16384"])
    context = client(version=ssl.TLSVersion.TLSv1_2)
    with one.connect(context=context) as connection:
        ask(connection)
        session = connection.session
    with one.connect(context=context, session=session) as connection:
        assert not connection.session_reused


def test_new_certificates_are_served_without_a_reload(site, authority):
    one = site()
    assert one.shown("site") == "site"
    authority.issue("renewed")
    shutil.copy(authority.dir / "renewed.crt", one.cert)  # half of a change serves the old one
    shutil.copy(authority.dir / "renewed.key", one.key)
    eventually(lambda: one.shown("site") == "renewed", timeout=15)
    assert "certificates have changed" in one.server.log()
    one.key.write_text("broken")
    one.server.wait_log("TLS: .*site.key.*: the certificates from before go on")
    assert one.shown("site") == "renewed"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop privileges")
def test_a_key_of_roots_serves_on_over_a_reload_without_privileges(site):
    one = site(args=["--uid", "nobody"])
    one.server.signal(1)
    one.server.wait_log("site.key: permission denied .*it goes on as it was read before")
    one.server.wait_log("gracefully \\(RE\\)spawned")
    assert one.shown("site") == "site"


def test_plain_http_to_a_tls_socket_ends(site):
    one = site()
    with socket.create_connection(("127.0.0.1", one.port), 10) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = connection.recv(65536)
    assert b"200 OK" not in answer
    assert one.ask()["HTTPS"] == "on"
