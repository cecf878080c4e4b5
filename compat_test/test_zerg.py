"""Instances that serve each other's sockets: --zerg-server, --zerg, --zerg-fallback and --zergpool, also together with uWSGI itself."""
import signal
import socket

import pytest
from apps import versioned
from http_client import eventually, get
from load import Load, Several
from server import free_port
from transports import http_socket

FOREIGN = """
import os
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"uwsgi %d" % os.getpid()]
"""


@pytest.fixture
def transport():
    return http_socket()


def answers(port, *versions):
    """Until each of the versions has answered: instances take turns."""
    seen = set()

    def all_of_them():
        seen.add(get(port).text.split()[0])
        return seen >= set(versions)

    eventually(all_of_them)
    return seen


def attach(server, first, version, *options):
    eventually((first.dir / "zerg").exists)
    return server(args=["--master", "--zerg", first.dir / "zerg", "--protocol", "http", *options], app=versioned(version))


def test_another_instance_serves_too_and_after_reloads_and_the_end_of_the_first(server, transport):
    first = server(transport, ["--master", "--zerg-server", "zerg"], app=versioned("one"))
    first.wait_log("Zerg server enabled on zerg")
    second = attach(server, first, "two")
    second.wait_log("zerg sockets attached")
    assert answers(transport.port, "one", "two") == {"one", "two"}
    with Load(transport) as load:
        second.write("app.py", versioned("three"))
        second.signal(signal.SIGHUP)
        eventually(lambda: any(text.startswith("three") for text in load.texts))
        second.signal(signal.SIGTERM)
        assert second.wait_exit() == 0
    assert load.failures() == []
    assert answers(transport.port, "one") == {"one"}
    first.signal(signal.SIGTERM)
    assert first.wait_exit() == 0
    assert not (first.dir / "zerg").exists()


def test_what_is_attached_is_not_shut_down_by_the_other(server, transport):
    first = server(transport, ["--master", "--zerg-server", "zerg"], app=versioned("one"))
    second = attach(server, first, "two")
    second.wait_log("spawned uWSGI worker 1")
    second.signal(signal.SIGTERM)
    assert second.wait_exit() == 0
    assert get(transport.port).text.startswith("one")


SLOW = """
import time
def application(environ, start_response):
    open("begun", "w").close()
    time.sleep(0.5)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"slow"]
"""


def test_what_is_attached_stays_while_the_other_finishes_its_requests(server, transport):
    first = server(transport, ["--master", "--zerg-server", "zerg"], app=versioned("one"))
    eventually((first.dir / "zerg").exists)
    second = server(args=["--master", "--zerg", first.dir / "zerg", "--protocol", "http"], app=SLOW)
    second.wait_log("spawned uWSGI worker 1")

    def serve(_, __):
        assert get(transport.port).text.split()[0] in ("one", "slow")

    with Several(4, lambda: None, serve) as clients:
        eventually((second.dir / "begun").exists)
        second.signal(signal.SIGTERM)  # longer than a master waits before it refuses connections to sockets of its own
        assert second.wait_exit() == 0
    assert clients.failures == []
    assert get(transport.port).text.startswith("one")


def test_without_a_server_the_start_fails_or_falls_back(server, transport):
    options = ["--master", "--zerg", "absent"]
    running = server(transport, options, app=versioned("own"), ready=False)
    assert running.wait_exit() == 1
    assert "zerg server absent" in running.log()
    server(transport, [*options, "--zerg-fallback"], app=versioned("own"))
    assert get(transport.port).text.startswith("own")


def test_ones_own_sockets_are_for_when_there_is_no_server(server, transport):
    first = server(transport, ["--master", "--zerg-server", "zerg"], app=versioned("one"))
    own = free_port()
    second = attach(server, first, "two", "--zerg-fallback", "--http-socket", f"127.0.0.1:{own}")
    second.wait_log("spawned uWSGI worker 1")
    answers(transport.port, "one", "two")
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", own)) != 0


def test_a_pool_hands_out_sockets_that_it_does_not_serve(server):
    port, other = free_port(), free_port()
    pool = server(args=["--master", "--zergpool", f"zerg:127.0.0.1:{port},127.0.0.1:{other}"])
    pool.wait_log("Zerg server enabled on zerg")
    member = attach(server, pool, "one")
    member.wait_log("spawned uWSGI worker 1")
    assert get(port).text.startswith("one") and get(other).text.startswith("one")
    pool.signal(signal.SIGHUP)
    pool.wait_log(r"(?s)loading configuration and code.*spawned")
    later = attach(server, pool, "two")
    later.wait_log("spawned uWSGI worker 1")
    answers(port, "one", "two")


def test_uwsgi_attaches_to_ours(server, transport, uwsgi):
    first = server(transport, ["--master", "--zerg-server", "zerg"], app=versioned("one"))
    eventually((first.dir / "zerg").exists)
    second = server(args=["--zerg", first.dir / "zerg", "--protocol", "http", "--master", "--die-on-term"], app=FOREIGN, binary=uwsgi)
    second.wait_log("spawned uWSGI worker 1")
    answers(transport.port, "one", "uwsgi")


def test_ours_attaches_to_uwsgi(server, transport, uwsgi):
    first = server(transport, ["--zerg-server", "zerg", "--master", "--die-on-term"], app=FOREIGN, binary=uwsgi)
    eventually((first.dir / "zerg").exists)
    second = attach(server, first, "two")
    second.wait_log("zerg sockets attached")
    answers(transport.port, "uwsgi", "two")
