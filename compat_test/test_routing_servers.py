"""Rules that need a server of their own: statistics, logs, limits, engines, reloads."""
import gzip
import json
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest
from http_client import Connection, eventually, get
from load import Load
from protocols import rest_of
from routed_app import APP, EXECUTABLE, FILES, request, told
from server import Server, free_port
from transports import TRANSPORTS


@pytest.fixture
def routed(server):
    """routed(rules, ...) is (server, port): rules are lines of OPTION = VALUE."""
    def start(rules, *args, app=APP, files=None, **more):
        port = free_port()
        one = Server(["--master", "--processes", "1", "--http-socket", f"127.0.0.1:{port}", *args, "--ini", "rules.ini",
                      *(["--wsgi-file", "app.py"] if app else [])],
                     files={**FILES, **(files or {}), **({"app.py": app} if app else {})}, wrapper=EXECUTABLE, **more)
        one.write("rules.ini", "[uwsgi]\n" + rules.replace("DIR", str(one.dir)))
        servers.append(one)
        return one.start().wait_port(port), port
    servers = []
    yield start
    for one in servers:
        print(one.log()[-6000:])
        one.close()


def test_answers_of_rules_are_no_requests_of_the_application(routed):
    one, port = routed("route = ^/r redirect:/\nroute = ^/s static:DIR/there.txt")
    for path in ("/r", "/s", "/r"):
        get(port, path)
    get(port, "/app")
    one.wait_log(r"app: 0\|req: 1/4\] .* GET /app =>")


def test_stats_count_answers_of_rules(routed):
    stats = free_port()
    _, port = routed("route = ^/r redirect:/\nroute = ^/s static:DIR/there.txt", "--stats", f"127.0.0.1:{stats}")
    for path in ("/r", "/s", "/app"):
        get(port, path)

    def counted():
        with socket.create_connection(("127.0.0.1", stats), 10) as client:
            core = json.loads(rest_of(client))["workers"][0]["cores"][0]
        return (core["requests"], core["routed_requests"]) == (3, 2)
    eventually(counted)


def test_variables_that_become_too_large(routed):
    one, port = routed("route-run = addvar:A=${HTTP_X}${HTTP_X}${HTTP_X}${HTTP_X}\n"
                       "route-run = addvar:B=${A}${A}${A}\nroute-run = addvar:C=${B}${B}")
    with Connection(port, keep=True) as client:
        assert told(client, "/grow", ["X: " + "x" * 3500]).status == 500
        assert told(client, "/grow", ["X: x"]).status == 200
    one.assert_running()


def test_disableheaders(routed):
    _, port = routed("route-run = disableheaders:")
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(request("/x", []))
        assert rest_of(client) == b"app /x"


def test_harakiri_of_a_rule(routed):
    app = "import time\ndef application(e, s):\n    s('200 OK', [])\n    if e['PATH_INFO'] == '/slow': time.sleep(20)\n    return [b'ok']\n"
    one, port = routed("route = ^/slow harakiri:1", app=app)
    with socket.create_connection(("127.0.0.1", port), 15) as client:
        client.sendall(request("/slow", []))
        assert rest_of(client) == b""
    one.wait_log("HARAKIRI")
    assert eventually(lambda: get(port, "/").text == "ok")


def test_alarms(routed):
    one, port = routed("alarm = a log:\nerror-route-status = 500 alarm:a failed ${REQUEST_URI}")
    get(port, "/status/500")
    one.wait_log(r"failed /status/500")


def test_names_of_processes(routed):
    one, port = routed("route = ^/name setprocname:named ${PATH_INFO}")
    get(port, "/name/x")
    eventually(lambda: any(Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"named /name/x") for pid in one.processes()))


def test_log_variables(routed):
    one, port = routed("route-run = logvar:lv=${PATH_INFO}\nresponse-route-run = logvar:late=${uwsgi[status]}\n"
                       "log-format = line %(lv) %(late)")
    get(port, "/x")
    one.wait_log(r"^line /x 200$")


ENGINES = {"threads": ["--threads", "4"], "gevent": ["--gevent", "4", f"--home={sys.prefix}"],
           "asyncio": ["--asyncio", "4", f"--home={sys.prefix}"],
           "asgi": ["--asgi-file", "asgi.py", f"--home={sys.prefix}"]}
ASGI = """
import uwsgi
async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    status = int(scope["path"][8:]) if scope["path"].startswith("/status/") else 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"x-app", b"1")]})
    await send({"type": "http.response.body", "body": b"app ", "more_body": True})
    await send({"type": "http.response.body", "body": scope["path"].encode()})
uwsgi.register_rpc("hello", lambda *words: b"hello " + b"|".join(words))
"""
STAGES = """
route = ^/r$ redirect:/to
route = ^/rpc rpc:hello x
route = ^/gzip gzip:
route = ^/fixcl fixcl:
route = ^/c/ cache:key=${PATH_INFO},name=c
route = ^/c/ cachestore:key=${PATH_INFO},name=c
route-run = addvar:HTTP_X_RULE=seen
error-route-status = 404 redirect:/sorry
response-route-run = addheader:X-Late: ${uwsgi[status]} ${HTTP_X_RULE} ${rpc[hello y]}
response-route = ^/del delheader:X-App
final-route = ^/final log:final ${uwsgi[status]}
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_stages_in_every_engine(routed, engine):
    one, port = routed(STAGES, *ENGINES[engine], "--cache2", "name=c,items=9", app=None if engine == "asgi" else APP,
                       files={"asgi.py": ASGI})
    with Connection(port, keep=True) as client:
        for path, code, body, headers in (
            ("/r", 302, "Moved", {"location": "/to"}), ("/rpc", 200, "hello x", {}),
            ("/status/404", 302, "Moved", {"location": "/sorry", "x-app": None}),
            ("/gzip/list", 200, "app /gzip/list", {"content-encoding": "gzip"}),
            ("/fixcl/l", 200, "app /fixcl/l", {"content-length": "12"}),
            ("/c/1", 200, "app /c/1", {"x-app": "1"}), ("/c/1", 200, "app /c/1", {"x-app": None}),
            ("/del", 200, "app /del", {"x-app": None, "x-late": "200 seen hello y"}), ("/final", 200, "app /final", {}),
        ):
            reply = told(client, path, [])
            text = gzip.decompress(reply.body).decode() if reply.headers.get("content-encoding") == "gzip" else reply.text
            assert (reply.status, text, {name: reply.headers.get(name) for name in headers}) == (code, body, headers), path
        client.close()
        client.open()
        client.socket.sendall(request("/r", ["Content-Length: 300000"], "POST") + b"x" * 300_000)
        assert client.receive().status == 302
    one.wait_log("^final 200$")


def test_functions_of_rules_that_wait_in_a_loop(routed):
    """A function that would let other greenlets go on must not do so in the midst of a rule."""
    app = APP + "\nimport gevent\nuwsgi.register_rpc('wait', lambda: (gevent.sleep(0.05), b'waited')[1])\n"
    _, port = routed("route = ^/wait rpc:wait\nresponse-route = ^/late addheader:X-Late: ${rpc[wait]}", *ENGINES["gevent"], app=app)
    results = []

    def ask(path, expected):
        with Connection(port, keep=True) as client:
            for _ in range(5):
                reply = client.get(path)
                results.append((reply.text, reply.headers.get("x-late")) == expected)
    kinds = [("/wait", ("waited", None)), ("/late", ("app /late", "waited")), ("/", ("app /", None))]
    threads = [threading.Thread(target=ask, args=args) for args in kinds * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert results == [True] * 45


def test_threads_under_load_with_rules_that_ask_python(routed):
    rules = """
route = ^/hit cache:key=k,name=c
route-run = cacheinc:key=n,name=n
route-run = cachevar:key=k,name=c,var=V
response-route-run = addheader:X-Late: ${rpc[hello ${V}]}
final-route-run = metricinc:m
"""
    app = APP + "\nuwsgi.cache_set('k', b'value', 0, 'c')\n"
    one, port = routed(rules, "--threads", "4", "--cache2", "name=c,items=9", "--cache2", "name=n,items=9", "--metric", "name=m",
                       "--disable-logging", app=app)
    assert get(port, "/hit").text == "value"
    transport = TRANSPORTS["http-socket"]()
    transport.port = port
    with Load(transport, clients=8, path="/app?{number}") as load, Load(transport, clients=8, path="/hit?{number}") as hits:
        load.wait_for(1500)
        hits.wait_for(1500)
    assert load.failures() == hits.failures() == []
    one.assert_running()


def test_a_reload_keeps_serving_with_rules(routed):
    one, port = routed("route = ^/r return:410\nroute-run = addheader:X-Rule: 1", "--disable-logging")
    transport = TRANSPORTS["http-socket"]()
    transport.port = port
    with Load(transport, clients=4, path="/app?{number}") as load:
        load.wait_for(50)
        one.write("rules.ini", "[uwsgi]\nroute = ^/r return:404\n")
        one.signal(signal.SIGHUP)
        eventually(lambda: get(port, "/r").status == 404)
        load.wait_for(50)
    assert load.failures() == []
    assert "x-rule" not in get(port, "/").headers


def test_a_wrong_rule_leaves_the_old_ones_at_a_reload(routed):
    one, port = routed("route = ^/r return:410")
    one.write("rules.ini", "[uwsgi]\nroute = ^/r nonsense:1\n")
    one.signal(signal.SIGHUP)
    one.wait_log(r'rules\.ini:2.*unable to register route|unable to register route.*rules\.ini:2')
    assert get(port, "/r").status == 410
