"""Routers that find the addresses of nodes in a cache."""

import signal

from http_client import eventually, get
from routed import ask, node, router, router_pid, uwsgi_ask
from server import free_port

STORE = """
import uwsgi
def application(environ, start_response):
    key, _, value = environ["QUERY_STRING"].partition("=")
    done = uwsgi.cache_update(key, value, 0, "nodes") if value else uwsgi.cache_del(key, "nodes")
    start_response("200 OK", [])
    return [repr(done).encode()]
"""
CACHE = ["--cache2", "name=other,items=10", "--cache2", "name=nodes,items=1000,blocksize=100"]


def test_what_the_cache_says_counts_at_once(server):
    one, two = node(server, "one"), node(server, "two")
    port = free_port()
    front = router(server, "--http-use-cache=nodes", *CACHE, "--http-socket", f"127.0.0.1:{port}", "--wsgi-file", "store.py",
                   "--add-cache-item", f"nodes a.test=127.0.0.1:{one.port}", files={"store.py": STORE})
    front.wait_log("spawned uWSGI worker 1")
    eventually(lambda: ask(front.port, host="a.test").text == "one")
    assert ask(front.port, host="b.test").status == 503
    for number in range(100):
        target = (one, two)[number % 2]
        get(port, f"/?b.test=127.0.0.1:{target.port}")
        assert ask(front.port, host="b.test").text == ("one", "two")[number % 2]
    get(port, "/?b.test")
    assert ask(front.port, host="b.test").status == 503
    pid = router_pid(front)
    front.signal(signal.SIGHUP)
    front.wait_log(r"gracefully \(RE\)spawned")
    get(port, f"/?c.test=127.0.0.1:{two.port}")
    assert (ask(front.port, host="c.test").text, router_pid(front)) == ("two", pid)


def test_the_first_cache_needs_no_name_nor_workers(server):
    one = node(server, "one")
    port = free_port()
    front = server(None, ["--master", "--fastrouter", f"127.0.0.1:{port}", "--fastrouter-use-cache", "--cache2", "name=nodes,items=10",
                          "--add-cache-item", f"nodes a.test=127.0.0.1:{one.port}", "--fastrouter-fallback", f"127.0.0.1:{one.port}"])
    front.wait_port(port)
    eventually(lambda: uwsgi_ask(port, "a.test").endswith(b"one"))
    assert b" 503 " in uwsgi_ask(port, "b.test")  # the fallback is for failures


def test_it_is_as_with_uwsgi(server, uwsgi):
    one = node(server, "one", "--processes", "2")
    for binary in (uwsgi, None):
        port = free_port()
        more = {"binary": binary} if binary else {}
        front = server(None, ["--master", "--fastrouter", f"127.0.0.1:{port}", "--fastrouter-use-cache=nodes", *CACHE,
                              "--add-cache-item", f"nodes a.test=127.0.0.1:{one.port}", *(["--die-on-term"] if binary else [])], **more)
        front.wait_port(port)
        eventually(lambda: uwsgi_ask(port, "a.test").endswith(b"one"))
