"""What is gevent's own: its patches, its hub, greenlets and drivers of the application's."""
import signal
import sys
import time

import pytest
from apps import ANSWER
from http_client import eventually, get
from load import at_once

HERE = ["--virtualenv", sys.prefix]

GEVENT = f"""
import sys, threading, time, uwsgi
PATCHED = "gevent.monkey" in sys.modules and sys.modules["gevent.monkey"].is_module_patched("time")
{ANSWER}
import gevent
from gevent.local import local
mine = local()

def application(environ, start_response):
    kept, mine.seen = getattr(mine, "seen", False), True
    time.sleep(0.3)
    child = gevent.spawn(in_child)
    return answer(start_response, f"{{PATCHED}} {{kept}} {{child.get()}} {{type(gevent.getcurrent()).__mro__[1].__name__}}")

def in_child():
    try:
        return uwsgi.connection_fd()
    except RuntimeError:
        return "not in a request"
"""


@pytest.mark.parametrize("option, early", [("--gevent-monkey-patch", False), ("--gevent-early-monkey-patch", True)])
def test_gevent_patches_the_standard_library(server, way, option, early):
    running = server(way, ["--master", "--gevent", "20", option, *HERE, "-p", "2"], app=GEVENT)
    begun = time.monotonic()
    answers = at_once(way.port, ["/"] * 20)
    assert time.monotonic() - begun < 3, "time.sleep let the others go on"
    assert set(answers) == {f"{early} False not in a request Greenlet"}
    assert "started threads" not in running.log()


WAITS_FOR_HUB = f"""
import gevent
{ANSWER}
def later():
    gevent.sleep(0.5)
    open("done-later", "w").close()
def application(environ, start_response):
    gevent.spawn(later)
    return answer(start_response, "ok")
"""


@pytest.mark.parametrize("waits", [True, False])
def test_the_end_waits_for_the_hub_if_told_so(server, way, waits):
    running = server(way, ["--master", "--gevent", "5", *HERE, *(["--gevent-wait-for-hub"] if waits else [])], app=WAITS_FOR_HUB)
    get(way.port)
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    assert (running.dir / "done-later").exists() == waits


EXITS = f"""
import gevent, os, sys
{ANSWER}
def application(environ, start_response):
    if environ["PATH_INFO"] == "/exit":
        gevent.spawn(sys.exit, 3)
        gevent.sleep(0.3)
    return answer(start_response, str(os.getpid()))
"""


def test_a_greenlet_that_exits_ends_the_worker_in_good_order(server, way):
    """As in a request: what is in hand is answered, and another worker takes the place."""
    running = server(way, ["--master", "--gevent", "5", *HERE], app=EXITS)
    old = get(way.port).text
    assert get(way.port, "/exit").text == old
    eventually(lambda: get(way.port).text != old)
    assert "SystemExit: 3" in running.log()


GREEN_DRIVER = f"""
import os, psycopg2
from gevent.socket import wait_read, wait_write
from psycopg2 import extensions
{ANSWER}
def wait(connection):  # as psycogreen does
    while True:
        state = connection.poll()
        if state == extensions.POLL_OK:
            return
        (wait_read if state == extensions.POLL_READ else wait_write)(connection.fileno())

extensions.set_wait_callback(wait)

def application(environ, start_response):
    connection = psycopg2.connect(os.environ["PG"])
    cursor = connection.cursor()
    cursor.execute("select pg_sleep(0.5), 7")
    return answer(start_response, str(cursor.fetchone()[1]))
"""


def test_a_driver_with_a_wait_callback_lets_the_others_go_on(server, way, postgres):
    where = f"host=127.0.0.1 port={postgres.port} dbname=shop user=shop password=shop"
    server(way, ["--master", "--gevent", "10", *HERE], app=GREEN_DRIVER, env={"PG": where})
    begun = time.monotonic()
    assert at_once(way.port, ["/"] * 10) == ["7"] * 10
    assert time.monotonic() - begun < 3
