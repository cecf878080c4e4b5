"""Rules, files and caches answer while the application has Python's lock, and does not give it away."""
import shutil
import time

import pytest
from http_client import Connection, eventually
from server import Server, free_port

APP = """
import ctypes, os, uwsgi
usleep = ctypes.PyDLL(None).usleep  # PyDLL: Python's lock is kept
uwsgi.cache_set("/cached", b"from the cache", 0, "c")
uwsgi.cache_set("/dated", b"dated", 3600, "c")
uwsgi.register_rpc("slow", lambda: b"slow")

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/hold":
        open("held", "w").close()
        while not os.path.exists("release"):
            usleep(1000)
    body = environ["wsgi.input"].read() + environ.get("RULED", "").encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""
RULES = """
route = ^/(cached|dated) cache:key=${PATH_INFO},name=c
route = ^/set cacheset:key=set,name=c,value=v
route = ^/set cacheinc:key=n,name=c
route = ^/set metricinc:m
route = ^/set cachevar:key=set,name=c,var=V
route = ^/set addheader:X-Set: ${V} ${metric[m]}
route = ^/set return:204
route = ^/rpc rpc:slow
route-run = addvar:RULED=${PATH_INFO}
"""
OPTIONS = ["--cache2", "name=c,items=20", "--metric", "name=m", "--static-map", "/files=.", "--disable-logging"]


@pytest.fixture
def busy(tmp_path):
    """busy(*args) is a server, of whose threads one holds Python's lock until `release` is written, and that one's client."""
    def start(*args):
        port = free_port()
        one = Server(["--master", "--processes", "1", "--http-socket", f"127.0.0.1:{port}", *OPTIONS, *args, "--ini", "rules.ini",
                      "--wsgi-file", "app.py"], files={"app.py": APP, "rules.ini": "[uwsgi]\n" + RULES, "there.txt": "a file"})
        servers.append(one)
        one.port = port
        one.start().wait_port(port)
        held = Connection(port, timeout=30)
        connections.append(held)
        held.send("/hold")
        eventually((one.dir / "held").exists)
        return one, held
    servers, connections = [], []
    yield start
    for one in servers:
        one.write("release", "")
        print(one.log()[-6000:])
    for connection in connections:
        connection.close()
    for one in servers:
        one.close()


@pytest.mark.parametrize("threads", [2, 8])
def test_what_needs_no_python_is_answered_while_the_application_has_the_lock(busy, threads):
    one, held = busy("--threads", str(threads))
    waiting = [Connection(one.port, timeout=30) for _ in range(20)]
    for number, connection in enumerate(waiting):
        connection.send(f"/app/{number}")
    quick = Connection(one.port, timeout=5)
    began = time.monotonic()
    for number in range(1, 11):
        assert quick.get("/cached").text == "from the cache"
        assert quick.get("/files/there.txt").text == "a file"
        assert quick.get("/set").headers["x-set"] == f"v {number}"
    assert time.monotonic() - began < 5
    one.write("release", "")
    assert held.receive().text == "/hold"
    assert [connection.receive().text for connection in waiting] == [f"/app/{number}" for number in range(20)]


def test_rules_that_call_functions_wait_alone(busy):
    one, held = busy("--threads", "4")
    caller, quick = Connection(one.port, timeout=30), Connection(one.port, timeout=5)
    caller.send("/rpc")
    for _ in range(10):
        assert quick.get("/cached").text == "from the cache"
    one.write("release", "")
    assert caller.receive().text == "slow"
    assert held.receive().text == "/hold"


def test_a_stop_while_requests_wait(busy):
    one, held = busy("--threads", "2")
    waiting = Connection(one.port, timeout=30)
    waiting.send("/app")
    assert Connection(one.port, timeout=5).get("/cached").text == "from the cache"
    one.process.terminate()
    one.wait_log("stopping|SIGTERM|killed|Gracefully|goodbye|gracefully")
    one.write("release", "")
    assert held.receive().text == "/hold"
    assert waiting.receive().text == "/app"


def test_the_time_of_expiry_is_said(busy):
    one, _ = busy("--threads", "2")
    quick = Connection(one.port, timeout=5)
    assert "expires" not in quick.get("/cached").headers
    headers = quick.get("/dated").headers
    said = time.mktime(time.strptime(headers["expires"], "%a, %d %b %Y %H:%M:%S GMT")) - time.timezone
    assert 3500 < said - time.time() <= 3601


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")
@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
def test_caches_in_front_of_tls(busy, tmp_path, version):
    pytest.importorskip("h2")
    from certificates import Authority
    from http2_client import Http2
    from sites import Site

    port = free_port()
    cert, key = Authority(tmp_path).issue("site")
    one, held = busy("--threads", "4", "--https2", f"addr=127.0.0.1:{port},cert={cert},key={key},spdy=1")
    site = Site(one, port, cert, key)
    if version == "HTTP/1.1":
        assert site.get("/cached") == b"from the cache"
    else:
        with Http2(site) as client:
            for _ in range(20):
                assert client.ask("/cached").body == b"from the cache"
    one.write("release", "")
    assert held.receive().text == "/hold"
