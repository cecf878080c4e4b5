"""Subscriptions, the fast router and the raw router: nodes that announce themselves, ours and uWSGI's."""

import os
import re
import signal
import socket
import subprocess
import threading

import pytest
from http_client import eventually, get
from load import Load
from routed import NODE, ask, node, router, router_pid, statistics, subscribed, uwsgi_ask
from server import free_port

BODY = b"\r\n\r\n"


@pytest.fixture
def fast(server):
    """fast(...) starts a fast router with a subscription server: .port, .server (its address), .stats."""

    def start(*args, binary=None, unix=False):
        port, stats, udp = free_port(), free_port(), free_port()
        where = "subscriptions.sock" if unix else f"127.0.0.1:{udp}"
        more = {"binary": binary} if binary else {}
        one = server(
            None,
            [
                "--master",
                "--fastrouter",
                f"127.0.0.1:{port}",
                "--fastrouter-subscription-server",
                where,
                "--fastrouter-stats-server",
                f"127.0.0.1:{stats}",
                *(["--die-on-term"] if binary else []),
                *args,
            ],
            **more,
        )
        one.port, one.stats, one.server = port, stats, str(one.dir / where) if unix else where
        one.wait_port(stats)
        one.wait_log("fastrouter stats server enabled")
        return one

    return start


def subscriber(server, to, name="node", *args, **more):
    """A node that subscribes for the key k."""
    return node(server, name, "--subscribe-to", f"{to.server}:k", "--subscribe-freq", "1", *args, **more)


def said(answer):
    return answer.partition(BODY)[2].decode()


@pytest.mark.parametrize("unix", [False, True])
def test_nodes_come_and_leave(server, fast, unix):
    front = fast(unix=unix)
    assert uwsgi_ask(front.port, "k").startswith(b"HTTP/1.1 503 ")
    one = subscriber(server, front, "one")
    subscribed(front.stats, "k", 1)
    assert said(uwsgi_ask(front.port, "k")) == "one"
    assert uwsgi_ask(front.port, "other").startswith(b"HTTP/1.1 503 ")
    front.wait_log(r"\[uwsgi-subscription for pid \d+\] new pool: k \(hash key: \d+\)")
    front.wait_log(rf"k => new node: 127.0.0.1:{one.port}")
    one.wait_log(f"subscribing to {re.escape(front.server)}:k")
    one.signal(signal.SIGTERM)
    assert one.wait_exit() == 0
    assert one.log().index("unsubscribing from") < one.log().index("goodbye")
    subscribed(front.stats, "k", 0)
    front.wait_log(rf"k => removing node: 127.0.0.1:{one.port}")


def test_weights_and_modifiers(server, fast):
    front = fast()
    node(server, "heavy", "--subscribe2", f"server={front.server},key=k,weight=3")
    node(server, "light", "--subscribe2", f"server={front.server},key=k")
    subscribed(front.stats, "k", 2)
    answers = [said(uwsgi_ask(front.port, "k")) for _ in range(8)]
    assert (answers.count("heavy"), answers.count("light")) == (6, 2)
    node(server, "other", "--subscribe2", f"server={front.server},key=m,modifier1=5")
    subscribed(front.stats, "m", 1)
    assert uwsgi_ask(front.port, "m").startswith(b"HTTP/1.1 502 ")  # no language of ours: the packet had another modifier


def test_http_routers_take_subscriptions_by_host(server):
    udp, stats = free_port(), free_port()
    front = router(
        server,
        "--http-subscription-server",
        f"127.0.0.1:{udp}",
        "--http-stats-server",
        f"127.0.0.1:{stats}",
        "--subscription-dotsplit",
        "--http-subscription-fallback-key",
        "fallback.example",
    )
    for key, name in (("a.example:8080", "a"), ("b.example", "b"), ("fallback.example", "fallback")):
        node(server, name, "--subscribe-to", f"127.0.0.1:{udp}:{key}")
        subscribed(stats, key, 1)
    for host, name in (
        ("a.example:8080", "a"),
        ("A.Example:8080", "a"),
        ("b.example", "b"),
        ("www.b.example", "b"),
        ("unknown", "fallback"),
    ):
        assert ask(front.port, host=host).text == name, host
    assert statistics(stats)["http"] == [f"127.0.0.1:{front.port}", f"127.0.0.1:{udp}"]


def test_nodes_that_come_and_go_cost_no_request(server):
    udp, stats = free_port(), free_port()
    front = router(server, "--http-subscription-server", f"127.0.0.1:{udp}", "--http-stats-server", f"127.0.0.1:{stats}")
    subscribe = ("--subscribe-to", f"127.0.0.1:{udp}:localhost", "--subscribe-freq", "1", "--processes", "2")
    first = node(server, "first", *subscribe)
    subscribed(stats, "localhost", 1)
    with Load(front.transport) as load:
        for name in ("second", "third"):
            load.wait_for(50)
            following = node(server, name, *subscribe)
            subscribed(stats, "localhost", 2)
            load.wait_for(50)
            first.signal(signal.SIGTERM)
            assert first.wait_exit() == 0
            subscribed(stats, "localhost", 1)
            first = following
        load.wait_for(50)
        first.signal(signal.SIGHUP)
        first.wait_log("gracefully .RE.spawned")
        load.wait_for(50)
    assert load.failures() == []
    assert set(load.texts) == {"first", "second", "third"}
    assert "unable to connect" not in front.log()


def test_a_killed_node_is_left_alone_and_then_forgotten(server, fast):
    front = fast("--subscription-tolerance", "3")
    one, two = subscriber(server, front, "one"), subscriber(server, front, "two")
    subscribed(front.stats, "k", 2)
    for pid in one.processes():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    one.wait_gone()
    assert {said(uwsgi_ask(front.port, "k")) for _ in range(6)} == {"two"}
    front.wait_log(rf"marking 127.0.0.1:{one.port} as failed")
    subscribed(front.stats, "k", 1)
    assert two.running()


def test_a_router_that_dies_knows_its_nodes_again(server, fast):
    front = fast("--fastrouter-processes", "2")
    node(server, "one", "--subscribe-to", f"{front.server}:k", "--subscribe-freq", "60")  # it does not come back in this time
    subscribed(front.stats, "k", 1)
    for _ in range(20):  # both processes know it
        assert said(uwsgi_ask(front.port, "k")) == "one"
    first = statistics(front.stats)["pid"]
    front.signal_process(first, signal.SIGKILL)
    eventually(lambda: front.log().count("spawned uWSGI fastrouter 1") == 2)
    for _ in range(20):
        assert said(uwsgi_ask(front.port, "k")) == "one"
    front.signal(signal.SIGUSR2)
    front.wait_log("the new master serves")
    eventually(lambda: front.log().count("has been buried") == 2)
    assert said(uwsgi_ask(front.port, "k")) == "one"


def test_subscriptions_are_blocked_and_let_be(server, fast):
    front = fast()
    one = subscriber(server, front, "one", "--start-unsubscribed", "--master-fifo", "fifo")
    one.wait_log("spawned uWSGI master process")

    def write(byte):
        with open(one.dir / "fifo", "wb", buffering=0) as pipe:
            pipe.write(byte)

    assert statistics(front.stats)["subscriptions"] == []
    write(b"S")
    one.wait_log("subscriptions re-enabled")
    subscribed(front.stats, "k", 1)
    write(b"S")
    one.wait_log("subscriptions blocked")
    subscribed(front.stats, "k", 0)
    assert one.running()


def test_a_file_says_whether_to_subscribe_and_a_list_which_keys(server, fast):
    front = fast()
    one = server(
        None,
        [
            "--master",
            "--socket",
            "127.0.0.1:0",
            "--subscribe-freq",
            "1",
            "--subscribe2",
            f"server={front.server},key=checked,check=there",
            "--subscribe-to",
            f"{front.server}:@keys",
        ],
        app=NODE,
        files={"keys": "# keys\na.example\n\nb.example,0\n"},
    )
    subscribed(front.stats, "a.example", 1)
    subscribed(front.stats, "b.example", 1)
    assert uwsgi_ask(front.port, "checked").startswith(b"HTTP/1.1 503 ")
    one.write("there", "")
    subscribed(front.stats, "checked", 1)
    assert said(uwsgi_ask(front.port, "a.example")) == "NAME"
    (one.dir / "there").unlink()
    subscribed(front.stats, "checked", 0)


def test_notices_come_by_a_unix_socket(server, fast):
    one = subscriber(server, fast(unix=True), "one", "--subscription-notify-socket", "notices")
    one.wait_log(rf"\[subscription-notify-socket\] \[subscription ack\] You have subscribed to k as 127.0.0.1:{one.port}")


def test_signatures_are_checked(server, fast, tmp_path):
    private = tmp_path / "private.pem"
    keys = tmp_path / "keys"
    keys.mkdir()
    subprocess.run(["openssl", "genrsa", "-out", private, "2048"], check=True, capture_output=True)
    subprocess.run(["openssl", "rsa", "-in", private, "-pubout", "-out", keys / "k_80.pem"], check=True, capture_output=True)
    front = fast("--subscriptions-sign-check", f"SHA1:{keys}")
    node(server, "forged", "--subscribe-to", f"{front.server}:k:80", "--subscribe-freq", "1")
    front.wait_log("refused k:80 => .*not signed")
    node(server, "unknown", "--subscribe-to", f"{front.server}:other,0,SHA1:{private}", "--subscribe-freq", "1")
    node(server, "signed", "--subscribe-to", f"{front.server}:k:80,0,SHA1:{private}", "--subscribe-freq", "1")
    subscribed(front.stats, "k:80", 1)
    assert {said(uwsgi_ask(front.port, "k:80")) for _ in range(4)} == {"signed"}
    assert uwsgi_ask(front.port, "other").startswith(b"HTTP/1.1 503 ")


def test_credentials_are_checked(server, fast, tmp_path):
    for name in ("k", "foreign"):
        (tmp_path / name).write_text("")
    os.chown(tmp_path / "foreign", 65534, 65534)
    front = fast("--subscriptions-credentials-check", str(tmp_path), unix=True)
    node(server, "foreign", "--subscribe-to", f"{front.server}:foreign")
    front.wait_log("refused foreign => .*does not own")
    one = subscriber(server, front, "one")
    subscribed(front.stats, "k", 1)
    said_of = statistics(front.stats)["subscriptions"][0]["nodes"][0]
    assert (said_of["uid"], said_of["gid"], said_of["pid"]) == (os.getuid(), os.getgid(), one.pid)


def test_datagrams_that_are_none_are_told_safely(server, fast):
    front = fast()
    host, port = front.server.split(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        for data in (b"", b"x", b"\xe0\xff\xff\x00", b"\xe0\x0e\x00\x00\x03\x00key\x07\x00k\nforge", os.urandom(1000)):
            client.sendto(data, (host, int(port)))
    front.wait_log("refused")
    assert "\nforge" not in front.log()
    subscriber(server, front, "one")
    subscribed(front.stats, "k", 1)


def test_bodies_and_long_answers_pass_the_fast_router(server, fast):
    front = fast("--fastrouter-post-buffering", "1000000")
    subscriber(server, front, "one")
    subscribed(front.stats, "k", 1)
    for size in (3, 100_000, 5_000_000):
        assert said(uwsgi_ask(front.port, "k", "/body", "POST", b"x" * size)) == str(size)
    assert len(uwsgi_ask(front.port, "k", "/big/100").partition(BODY)[2]) == 100 * 65536
    assert said(uwsgi_ask(front.port, "ignored", more=[("UWSGI_FASTROUTER_KEY", "k")])) == "one"


def test_other_ways_to_find_nodes(server, tmp_path):
    one = server(None, ["--master", "--socket", str(tmp_path / "a.example")], app=NODE)
    one.wait_log("spawned uWSGI worker 1")
    for options in (
        ["--fastrouter-use-base", str(tmp_path)],
        ["--fastrouter-use-pattern", f"{tmp_path}/%s"],
        ["--fastrouter-to", str(tmp_path / "a.example")],
        ["--fastrouter-use-pattern", "/nowhere/%s", "--fastrouter-fallback", str(tmp_path / "a.example")],
    ):
        port = free_port()
        front = server(None, ["--master", "--fastrouter", f"127.0.0.1:{port}", *options]).wait_port(port)
        assert said(uwsgi_ask(port, "a.example")) == "NAME", front.log()
        if "-use-base" in options[0]:
            assert uwsgi_ask(port, "../" + tmp_path.name + "/a.example").startswith(b"HTTP/1.1 503 ")
            assert uwsgi_ask(port, "absent").startswith(b"HTTP/1.1 502 ")


def test_an_instance_is_reached_through_its_own_router(server):
    port, own = free_port(), free_port()
    running = server(
        None, ["--master", "--fastrouter", f"127.0.0.1:{port}", "--fastrouter-use-socket", "--socket", f"127.0.0.1:{own}"], app=NODE
    )
    running.wait_port(port)
    answers = []
    client = threading.Thread(target=lambda: answers.append(uwsgi_ask(port, "k", "/sleep/1")))
    assert said(uwsgi_ask(port, "k")) == "NAME"
    client.start()
    eventually(lambda: "ESTAB" in subprocess.run(["ss", "-Htn", f"sport = :{own}"], capture_output=True, text=True).stdout)
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    client.join()
    assert said(answers[0]) == "NAME"


def test_a_cheap_router_leaves_its_socket_to_others(server, fast):
    shared = free_port()
    udp, stats = free_port(), free_port()
    running = server(
        None,
        [
            "--master",
            "--shared-socket",
            f"127.0.0.1:{shared}",
            "--fastrouter",
            "=0",
            "--socket",
            "=0",
            "--fastrouter-cheap",
            "--fastrouter-subscription-server",
            f"127.0.0.1:{udp}",
            "--fastrouter-stats-server",
            f"127.0.0.1:{stats}",
        ],
        app=NODE.replace("NAME", "own"),
    )
    running.wait_port(stats)
    running.wait_log("Going cheap")
    assert {said(uwsgi_ask(shared, "k")) for _ in range(10)} == {"own"}
    other = node(server, "other", "--subscribe-to", f"127.0.0.1:{udp}:k")
    running.wait_log("leaving cheap mode")
    eventually(lambda: said(uwsgi_ask(shared, "k")) == "other")
    other.signal(signal.SIGTERM)
    other.wait_exit()
    eventually(lambda: running.log().count("Going cheap") == 2)
    assert {said(uwsgi_ask(shared, "k")) for _ in range(10)} == {"own"}


def test_a_raw_router_passes_anything_on(server):
    port, udp, stats = free_port(), free_port(), free_port()
    front = server(
        None,
        [
            "--master",
            "--rawrouter",
            f"127.0.0.1:{port}",
            "--rawrouter-subscription-server",
            f"127.0.0.1:{udp}",
            "--rawrouter-stats-server",
            f"127.0.0.1:{stats}",
        ],
    )
    front.wait_port(stats)
    node(server, "raw", "--subscribe-to", f"127.0.0.1:{udp}:127.0.0.1:{port}", protocol="http-socket")
    subscribed(stats, f"127.0.0.1:{port}", 1)
    assert get(port).text == "raw"
    assert ask(port, "/body", method="POST", body=b"x" * 3_000_000).text == "3000000"
    front.wait_log(r"spawned uWSGI rawrouter 1 \(pid: \d+\)")


def test_xclient_tells_a_mail_server_the_client(server):
    seen = []
    listener = socket.create_server(("127.0.0.1", 0))

    def mail():
        client, _ = listener.accept()
        with client, client.makefile("rwb") as stream:
            stream.write(b"220-first\r\n220 mail ESMTP\r\n")
            stream.flush()
            seen.append(stream.readline())
            stream.write(b"220 again ESMTP\r\n")
            stream.flush()
            seen.append(stream.readline())
            stream.write(b"221 bye\r\n")

    thread = threading.Thread(target=mail)
    thread.start()
    port = free_port()
    server(
        None,
        ["--master", "--rawrouter", f"127.0.0.1:{port}", "--rawrouter-to", f"127.0.0.1:{listener.getsockname()[1]}", "--rawrouter-xclient"],
    ).wait_log("spawned uWSGI rawrouter 1")
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(10)
        stream = client.makefile("rwb")
        assert stream.readline() == b"220 again ESMTP\r\n"
        stream.write(b"QUIT\r\n")
        stream.flush()
        assert stream.read() == b"221 bye\r\n"
    thread.join()
    listener.close()
    assert seen == [b"XCLIENT ADDR=127.0.0.1\r\n", b"QUIT\r\n"]


def test_uwsgi_subscribes_to_ours_and_ours_to_uwsgi(server, fast, uwsgi):
    mine, theirs = fast(unix=True), fast(binary=uwsgi)
    one = subscriber(server, mine, "theirs", binary=uwsgi)
    subscribed(mine.stats, "k", 1)
    assert said(uwsgi_ask(mine.port, "k")) == "theirs"
    two = subscriber(server, theirs, "ours")
    subscribed(theirs.stats, "k", 1)
    assert said(uwsgi_ask(theirs.port, "k")) == "ours"
    one.signal(signal.SIGTERM)
    two.signal(signal.SIGTERM)
    assert two.wait_exit() == 0 and one.wait_exit() == 0
    subscribed(mine.stats, "k", 0)
    subscribed(theirs.stats, "k", 0)


def test_statistics_have_what_uwsgi_has(server, fast, uwsgi):
    documents = []
    for binary in (None, uwsgi):
        front = fast(binary=binary)
        subscriber(server, front, "one")
        subscribed(front.stats, "k", 1)
        assert said(uwsgi_ask(front.port, "k")) == "one"
        documents.append(eventually(lambda: (s := statistics(front.stats))["subscriptions"][0]["nodes"][0]["tx"] and s))
    ours, theirs = documents
    assert ours.keys() == theirs.keys()
    pools = [document["subscriptions"][0] for document in documents]
    assert pools[0].keys() == pools[1].keys() and pools[0]["hash"] == pools[1]["hash"] and pools[0]["hits"] == pools[1]["hits"] == 1
    nodes = [pool["nodes"][0] for pool in pools]
    assert nodes[0].keys() == nodes[1].keys()
    for name in ("requests", "cores", "load", "weight", "ref", "modifier1"):
        assert nodes[0][name] == nodes[1][name], name


def test_subscriptions_are_passed_on(server, fast):
    upper = fast()
    lower = fast("--fastrouter-resubscribe", upper.server)
    one = subscriber(server, lower, "one")
    subscribed(upper.stats, "k", 1)
    assert said(uwsgi_ask(upper.port, "k")) == "one"  # through both
    one.signal(signal.SIGTERM)
    subscribed(upper.stats, "k", 0)


def test_a_router_runs_as_its_own_user(server, fast):
    if os.getuid() != 0:
        pytest.skip("only root may change users")
    front = fast("--fastrouter-uid", "65534", "--fastrouter-gid", "65534")
    assert os.stat(f"/proc/{router_pid(front, 'fastrouter')}").st_uid == 65534
    subscriber(server, front, "one")
    subscribed(front.stats, "k", 1)
    assert said(uwsgi_ask(front.port, "k")) == "one"
