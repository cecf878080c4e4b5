"""http-to: an HTTP router in front of other servers."""

import os
import re
import signal
import socket
import threading

import pytest
from http_client import Connection, eventually, get
from load import Load
from routed import ask, environ, node, router, router_pid, statistics
from server import free_port
from websocket_client import TEXT, Websocket


def memory(pid):
    """Resident kB."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def test_requests_take_turns_and_carry_what_a_worker_would_set(server):
    one, two = node(server, "one"), node(server, "two")
    front = router(
        server,
        "--http-to",
        f"127.0.0.1:{one.port}",
        "--http-to",
        f"127.0.0.1:{two.port}",
        "--http-var",
        "EXTRA=a=b",
        "--http-modifier1",
        "0",
    )
    assert [get(front.port).text for _ in range(6)] == ["one", "two"] * 3
    seen = environ(front.port, host="h:1", headers="X-Some: thing\r\nX_Bad: x\r\n")
    assert {
        name: seen[name] for name in ("UWSGI_ROUTER", "EXTRA", "HTTP_HOST", "HTTP_X_SOME", "SERVER_PORT", "REMOTE_ADDR", "SCRIPT_NAME")
    } == {
        "UWSGI_ROUTER": "http",
        "EXTRA": "a=b",
        "HTTP_HOST": "h:1",
        "HTTP_X_SOME": "thing",
        "SERVER_PORT": str(front.port),
        "REMOTE_ADDR": "127.0.0.1",
        "SCRIPT_NAME": "",
    }
    assert seen["REMOTE_PORT"].isdigit() and "HTTP_X_BAD" not in seen


def test_a_router_needs_no_workers(server):
    front = router(server, "--http-to", f"127.0.0.1:{free_port()}")
    front.wait_log(r"Operational MODE: no-workers")
    assert "spawned uWSGI worker" not in front.log()
    front.signal(signal.SIGTERM)
    assert front.wait_exit() == 0
    assert 'gateway "uWSGI http 1" has been buried' in front.log()
    front.wait_gone()


def test_a_node_that_stops_in_good_order_costs_nothing(server):
    one, two = node(server, "one", "--processes", "2"), node(server, "two", "--processes", "2")
    front = router(server, "--http-to", f"127.0.0.1:{one.port}", "--http-to", f"127.0.0.1:{two.port}")
    with Load(front.transport) as load:
        load.wait_for(100)
        one.signal(signal.SIGTERM)
        assert one.wait_exit() == 0
        load.wait_for(200)
    assert load.failures() == []
    assert f"marking 127.0.0.1:{one.port} as failed" in front.log()


def test_a_node_that_is_killed_costs_no_more_than_what_it_had_in_hand(server):
    one, two = node(server, "one"), node(server, "two")
    front = router(server, "--http-to", f"127.0.0.1:{one.port}", "--http-to", f"127.0.0.1:{two.port}", "--http-gracetime", "1")
    with Load(front.transport) as load:
        load.wait_for(100)
        for pid in one.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        one.wait_gone()
        load.wait_for(200)
    assert len(load.failures()) <= 1, load.failures()  # it has one worker
    assert all(request.status == 502 for request in load.failures())


def test_a_node_that_comes_back_is_used_after_the_gracetime(server):
    one = node(server, "one")
    late = free_port()
    front = router(server, "--http-to", f"127.0.0.1:{late}", "--http-to", f"127.0.0.1:{one.port}", "--http-gracetime", "1")
    assert [get(front.port).text for _ in range(3)] == ["one"] * 3
    front.wait_log(rf'unable to connect\(\) to node "127.0.0.1:{late}" \(0 retries\): connection refused')
    assert front.log().count("unable to connect") == 1  # it is left alone
    node(server, "late", port=late)
    eventually(lambda: get(front.port).text == "late")


def test_failures_have_a_status(server):
    silent = socket.create_server(("127.0.0.1", 0))
    mad = socket.create_server(("127.0.0.1", 0))

    def talk():
        try:
            while True:
                client, _ = mad.accept()
                client.recv(65536)
                client.sendall(b"no HTTP at all\r\n\r\n")
                client.close()
        except OSError:
            pass

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        assert ask(router(server, "--http-to", f"127.0.0.1:{free_port()}").port).status == 502
        assert ask(router(server, "--http-to", f"127.0.0.1:{mad.getsockname()[1]}").port).status == 502
        assert ask(router(server, "--http-to", f"127.0.0.1:{silent.getsockname()[1]}", "--http-timeout", "1").port).status == 504
        assert ask(router(server, "--http-subscription-server", f"127.0.0.1:{free_port()}").port).status == 503
    finally:
        silent.close()
        mad.shutdown(socket.SHUT_RDWR)
        mad.close()
        thread.join()


def test_a_worker_that_dies_takes_a_post_with_it_and_no_other(server):
    one = node(server, "one")
    front = router(server, "--http-to", f"127.0.0.1:{one.port}")
    assert ask(front.port, "/die", method="POST", body=b"x").status == 502
    eventually(lambda: ask(front.port).status == 200)


@pytest.mark.parametrize("options", [[], ["--http-chunked-input"], ["--http-post-buffering", "1000"]])
def test_bodies_of_any_framing_arrive(server, options):
    front = router(server, "--http-to", f"127.0.0.1:{node(server, 'one', '--wsgi-manage-chunked-input').port}", *options)
    for size in (1, 5000, 3_000_000):
        assert ask(front.port, "/body", method="POST", body=b"x" * size).text == str(size)
    with socket.create_connection(("127.0.0.1", front.port)) as client:
        client.settimeout(10)
        client.sendall(b"POST /body HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(20):
            client.sendall(b"2710\r\n" + b"y" * 10000 + b"\r\n")
        client.sendall(b"0\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        answer = client.makefile("rb").read()
    assert b"\r\n\r\n200000HTTP/1.1 200" in answer and answer.endswith(b"one")


def test_what_could_be_smuggled_is_refused(server):
    front = router(server, "--http-to", f"127.0.0.1:{node(server).port}")
    for head in ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 5\r\nContent-Length: 6\r\n", "Foo : x\r\n"):
        with socket.create_connection(("127.0.0.1", front.port)) as client:
            client.sendall(f"POST / HTTP/1.1\r\nHost: h\r\n{head}\r\n".encode())
            client.settimeout(10)
            assert client.makefile("rb").read().startswith(b"HTTP/1.1 400 ")


def test_expect_is_answered_and_limits_bodies(server):
    front = router(server, "--http-to", f"127.0.0.1:{node(server, 'one').port}", "--http-manage-expect=100")
    with socket.create_connection(("127.0.0.1", front.port)) as client:
        client.settimeout(10)
        client.sendall(b"POST /body HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n")
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"abc")
        assert client.makefile("rb").read().endswith(b"\r\n\r\n3")
    assert ask(front.port, "/body", method="POST", body=b"x" * 101, headers="Expect: 100-continue\r\n").status == 413


def test_keepalive_is_as_the_options_say(server):
    backend = node(server, "one")
    front = router(server, "--http-to", f"127.0.0.1:{backend.port}", "--http-auto-chunked")
    with Connection(front.port, keep=True) as client:
        for _ in range(3):
            assert client.get("/").text == "one"
            reply = client.get("/unsized")
            assert (reply.text, reply.headers.get("transfer-encoding")) == ("one two", "chunked")
        assert client.opened == 1
    plain = router(server, "--http-to", f"127.0.0.1:{backend.port}", keepalive=False)
    with Connection(plain.port, keep=True) as client:
        client.send("/")
        assert client._rest().endswith(b"one")  # and closed


def test_nodes_that_speak_http_keep_their_connections(server):
    app = """
def application(environ, start_response):
    seen = "\\n".join(f"{k}={v}" for k, v in environ.items() if k.startswith(("HTTP_", "CONTENT", "REMOTE"))).encode()
    body = seen + b" " + environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""
    front = router(server, "--http-to", f"127.0.0.1:{node(server, protocol='http-socket', app=app).port}", "--http-backend-http")
    with Connection(front.port, keep=True) as client:
        seen = {client.get("/").text for _ in range(5)}
        assert client.opened == 1
    assert len(seen) == 1 and "HTTP_X_FORWARDED_FOR=127.0.0.1" in seen.pop()  # REMOTE_PORT is not told, but the rest is
    assert ask(front.port, method="POST", body=b"hello", headers="X-Forwarded-For: 192.0.2.1\r\nTE: x\r\n").text.endswith("hello")
    assert "HTTP_X_FORWARDED_FOR=192.0.2.1, 127.0.0.1" in ask(front.port, headers="X-Forwarded-For: 192.0.2.1\r\n").text


def connections_to(port):
    """The local ends of established TCP connections to a port, as ports."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table][1:]
    return {row[1] for row in rows if row[2].endswith(f":{port:04X}") and row[3] == "01"}


def test_nodes_that_speak_uwsgi_keep_connections_when_both_are_ours(server):
    one = node(server, "one", "--processes", "2")
    front = router(server, "--http-to", f"127.0.0.1:{one.port}")
    with Connection(front.port, keep=True) as client:
        eventually(lambda: client.get("/").text == "one" and connections_to(one.port))
        kept = connections_to(one.port)
        assert [client.get("/").text for _ in range(10)] == ["one"] * 10 and connections_to(one.port) == kept
        assert client.get("/unsized").text == "one two"  # whose end is the connection's
    workers = {int(pid) for pid in re.findall(r"spawned uWSGI worker \d \(pid: (\d+)", one.log())}
    assert len(workers) == 2
    with Load(front.transport) as load:
        load.wait_for(100)
        one.signal(signal.SIGHUP)
        eventually(lambda: not workers & set(one.processes()), 20)
        load.wait_for(100)
    assert load.failures() == []


WEBSOCKETS = """
import uwsgi
def application(environ, start_response):
    uwsgi.websocket_handshake()
    while True:
        uwsgi.websocket_send(uwsgi.websocket_recv())
"""


@pytest.mark.parametrize("protocol", ["socket", "http-socket"])
def test_websockets_pass(server, protocol):
    backend = node(server, "one", "--threads", "4", protocol=protocol, app=WEBSOCKETS)
    front = router(
        server,
        "--http-to",
        f"127.0.0.1:{backend.port}",
        "--http-websockets",
        *(["--http-backend-http"] if protocol == "http-socket" else []),
    )
    with Websocket(front.port) as first, Websocket(front.port) as second:
        for client in (first, second, first):
            client.send(TEXT, b"hello " * 20000)
            assert client.receive() == (TEXT, b"hello " * 20000)


def test_a_proxy_line_says_who_the_client_is(server):
    backend = node(server, "one")
    for options in (["--http-to", f"127.0.0.1:{backend.port}"], None):
        if options:
            front = router(server, *options, "--http-enable-proxy-protocol")
            port = front.port
        else:
            port = free_port()
            server(
                None, ["--master", "--http", f"127.0.0.1:{port}", "--http-enable-proxy-protocol"], app=(backend.dir / "app.py").read_text()
            ).wait_port(port)
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"PROXY TCP4 192.0.2.9 198.51.100.1 4567 443\r\nGET /env HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            client.settimeout(10)
            text = client.makefile("rb").read().decode()
        assert '"REMOTE_ADDR": "192.0.2.9"' in text and '"SERVER_PORT": "443"' in text and '"REMOTE_PORT": "4567"' in text


def test_stud_says_who_the_client_is(server):
    front = router(server, "--http-to", f"127.0.0.1:{node(server).port}", "--http-stud-prefix", "127.0.0.1")
    with socket.create_connection(("127.0.0.1", front.port)) as client:
        client.sendall(b"\x02\xc0\x00\x02\x09GET /env HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        client.settimeout(10)
        text = client.makefile("rb").read().decode()
    assert '"REMOTE_ADDR": "192.0.2.9"' in text and '"HTTPS": "on"' in text
    assert ask(front.port).status == 400


def test_slow_clients_and_large_bodies_take_little_memory(server):
    backend = node(server, "one", "--threads", "8")
    front = router(server, "--http-to", f"127.0.0.1:{backend.port}")
    get(front.port)
    pid = router_pid(front)
    before = memory(pid)
    slow = []
    for _ in range(6):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", front.port))
        client.sendall(b"GET /big/3000 HTTP/1.1\r\nHost: h\r\n\r\n")  # 190 MB
        slow.append(client)
    size = 100 << 20
    with socket.create_connection(("127.0.0.1", front.port)) as client:
        client.settimeout(30)
        client.sendall(f"POST /body HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n".encode())
        for _ in range(size >> 20):
            client.sendall(b"z" * (1 << 20))
        assert client.makefile("rb").read().endswith(str(size).encode())
    assert memory(pid) - before < 20_000
    for client in slow:
        client.close()


def test_idle_connections_take_little_memory(server):
    front = router(server, "--http-to", f"127.0.0.1:{node(server).port}")
    get(front.port)
    pid = router_pid(front)
    before = memory(pid)
    clients = [Connection(front.port, keep=True) for _ in range(400)]
    for client in clients:
        assert client.get().status == 200
    assert (memory(pid) - before) / len(clients) < 24  # kB
    for client in clients:
        client.close()


def test_reloads_and_deaths_of_a_router_cost_nothing(server):
    one, two = node(server, "one", "--processes", "2"), node(server, "two", "--processes", "2")
    port = free_port()
    config = "[uwsgi]\nmaster = true\nhttp = 127.0.0.1:%d\nhttp-keepalive = 30\nhttp-to = 127.0.0.1:%d\n"
    from transports import Transport

    front = server(None, ["--ini", "router.ini"], files={"router.ini": config % (port, one.port)})
    front.wait_port(port)
    eventually(lambda: get(port).text == "one")
    front.wait_log(r"spawned uWSGI http 1 \(pid: \d+\)")
    pid = router_pid(front)
    with Load(Transport("router", [], port, True, port)) as load:
        load.wait_for(50)
        front.signal(signal.SIGHUP)  # nothing has changed: it goes on
        front.wait_log("gracefully .RE.spawned uWSGI master")
        load.wait_for(50)
        assert router_pid(front) == pid
        front.write("router.ini", config % (port, two.port))
        front.signal(signal.SIGHUP)
        eventually(lambda: get(port).text == "two")
        front.wait_log("has been buried")
        load.wait_for(50)
    assert load.failures() == []
    front.signal_process(router_pid(front), signal.SIGKILL)
    front.wait_log("DAMN ! uWSGI http 1")
    eventually(lambda: get(port).text == "two")


def test_an_upgrade_costs_nothing(server):
    front = router(server, "--http-to", f"127.0.0.1:{node(server, 'one', '--processes', '2').port}")
    pid = router_pid(front)
    with Load(front.transport) as load:
        load.wait_for(50)
        front.signal(signal.SIGUSR2)
        front.wait_log("upgrade: the new master serves")
        eventually(lambda: router_pid(front) != pid)
        load.wait_for(100)
    assert load.failures() == []
    for found in front.processes():
        try:
            os.kill(found, signal.SIGTERM)
        except ProcessLookupError:
            pass
    front.wait_gone()


def test_several_processes_share_the_requests(server):
    front = router(server, "--http-to", f"127.0.0.1:{node(server, 'one').port}", "--http-processes", "2")
    front.wait_log(r"spawned uWSGI http 2 \(pid: \d+\)")
    for _ in range(20):
        assert get(front.port).text == "one"


def test_statistics(server):
    one, stats = node(server, "one"), free_port()
    dead = free_port()
    front = router(
        server, "--http-to", f"127.0.0.1:{one.port}", "--http-to", f"127.0.0.1:{dead}", "--http-stats-server", f"127.0.0.1:{stats}"
    )
    for _ in range(4):
        get(front.port)
    said = statistics(stats)
    assert said["http"] == [f"127.0.0.1:{front.port}"] and said["pid"] == router_pid(front)
    first, second = said["static_nodes"]
    assert first == {"name": f"127.0.0.1:{one.port}", "hits": 4, "grace": 0}
    assert second["name"] == f"127.0.0.1:{dead}" and second["hits"] == 1 and second["grace"] > 0


def test_uwsgi_as_node_and_as_router(server, uwsgi):
    theirs, ours = node(server, "theirs", binary=uwsgi), node(server, "ours")
    to = ["--http-to", f"127.0.0.1:{theirs.port}", "--http-to", f"127.0.0.1:{ours.port}"]
    assert {get(router(server, *to).port).text, get(router(server, *to[2:]).port).text} == {"theirs", "ours"}
    front = router(server, *to, binary=uwsgi)
    assert {get(front.port).text for _ in range(4)} == {"theirs", "ours"}
    mine = router(server, *to[:2])
    for size in (10, 100_000):
        assert ask(mine.port, "/body", method="POST", body=b"x" * size).text == str(size)


@pytest.mark.parametrize(
    "options, said",
    [
        (["--http", ":0", "--http-to", "x", "--http-use-code-string", "0:a:b"], "http-use-code-string.*subscription-server"),
        (["--http", ":0", "--http-to", "x", "--http-use-cache"], "http-use-cache.*name one with cache2"),
        (["--http", ":0", "--http-to", "x", "--http-manage-rtsp"], "http-manage-rtsp.*RTSP is not spoken"),
        (["--http", ":0", "--http-to", "x", "--http-auto-gzip"], "http-auto-gzip.*enable compression there"),
        (["--sslrouter", ":0,a", "--sslrouter-to", "x"], "sslrouter.*ADDRESS,CERT,KEY"),
        (["--sslrouter", ":0,a,b", "--sslrouter-to", "x"], "a: no such file"),
        (["--fastrouter-to", "x"], "fastrouter.*no address"),
        (["--http", ":0", "--http-stud-prefix", "127.0.0.1", "--wsgi-file", "a.py"], "http-stud-prefix.*PROXY"),
        (["--http", ":0", "--http-modifier1", "5", "--wsgi-file", "a.py"], "http-modifier1.*unless http-to"),
        (["--socket", ":0", "--wsgi-file", "a.py", "--subscribe-to", "127.0.0.1:1"], "subscribe-to.*not SERVER:KEY"),
        (["--socket", ":0", "--wsgi-file", "a.py", "--subscribe2", "server=a,key=b,nonsense=1"], "subscribe2.*unknown property .nonsense"),
        (["--http", ":0", "--http-to", "x", "--subscription-algo", "best"], "subscription-algo.*is not one of wrr"),
    ],
)
def test_what_cannot_be_is_refused(server, options, said):
    running = server(None, ["--master", *options])
    assert running.wait_exit() == 1
    running.wait_log(said)
