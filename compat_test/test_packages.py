"""Other people's packages for the `uwsgi` module, used as their own documentation says."""
import json
import sys

import pytest
from http_client import eventually, get
from test_uwsgi_functions import exchange

BASE = ["--master", "--virtualenv", sys.prefix]

NOTE = """
import os, uwsgi

def note(text):
    role = "mule" if uwsgi.mule_id() else "spooler" if uwsgi.i_am_the_spooler() else "worker"
    fd = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{text} in {role}\\n".encode())
    os.close(fd)
"""

ASKED = """
def application(environ, start_response):
    value = eval(environ["QUERY_STRING"].replace("%20", " ").replace("%22", '"'))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr(value).encode()]
"""


@pytest.fixture
def app(server, http, tmp_path):
    """app(package, code, options) -> (ask, notes)"""
    file = tmp_path / "notes"
    file.write_text("")
    file.chmod(0o666)

    def start(package, code, *options):
        pytest.importorskip(package)
        server(http, [*BASE, *options], app=NOTE + code + ASKED, env={"NOTES": str(file)})

        def ask(expression):
            reply = get(http.port, "/?" + expression.replace(" ", "%20").replace('"', "%22"))
            assert reply.status == 200, expression
            return eval(reply.text)

        return ask, lambda: set(file.read_text().split("\n"))

    return start


TASKS = """
from uwsgi_tasks import RetryTaskException, TaskExecutor, cron, get_current_task, task, timer

@task(executor=TaskExecutor.MULE)
def in_mule(a, b=None):
    note(f"mule {a} {b}")

@task(executor=TaskExecutor.SPOOLER)
def in_spooler(a):
    note(f"spooler {len(a)}")

@task(executor=TaskExecutor.SPOOLER, retry_count=2, retry_timeout=1)
def again(a):
    this = get_current_task()
    this.buffer["times"] = this.buffer.get("times", 0) + 1
    note(f"again {this.buffer['times']}")
    raise RetryTaskException()

@timer(seconds=1, iterations=1, target="mule")
def timed(number):
    note("timer")

@cron(minute=-1, target="spooler")
def by_clock(number):
    note("cron")
"""


def test_uwsgi_tasks(app):
    ask, notes = app("uwsgi_tasks", TASKS, "--mule", "--spooler", "jobs", "--spooler-frequency", "1")
    for call in ("in_mule(1,b='x')", "in_spooler('abc')", "in_spooler('a'*100000)", "again(1)"):
        ask(f"type({call}).__name__")
    wanted = {"mule 1 x in mule", "spooler 3 in spooler", "spooler 100000 in spooler", "again 1 in spooler", "again 2 in spooler",
              "timer in mule", "cron in spooler"}
    eventually(lambda: wanted <= notes())


CACHING = """
from cachelib import UWSGICache
from flask import Flask
from flask_caching import Cache
site = Flask(__name__)
site.config.update(CACHE_TYPE="flask_caching.contrib.uwsgicache.UWSGICache", CACHE_UWSGI_NAME="second")
cache = Cache(site)
calls = []

@cache.memoize(50)
def slow(a):
    calls.append(a)
    return {"a": a, "n": len(calls)}

first = UWSGICache()
"""


def test_cachelib_and_flask_caching(app):
    ask, _ = app("flask_caching", CACHING, "--cache2", "name=first,items=100", "--cache2", "name=second,items=100")
    assert ask("(first.set('k',[1]),first.add('k',2),first.get('k'),first.inc('n',5),first.has('z'),first.get_many('k','n'))") == \
        (True, False, [1], 5, False, [[1], 5])
    assert ask("(slow(1),slow(1),slow(2),cache.delete_memoized(slow,1),slow(1))") == \
        ({"a": 1, "n": 1}, {"a": 1, "n": 1}, {"a": 2, "n": 2}, None, {"a": 1, "n": 3})
    assert ask("(first.clear(),first.get('k'),len(uwsgi.cache_keys('second'))>0,cache.clear(),uwsgi.cache_keys('second'))") == \
        (True, None, True, True, [])


CONF = """
from uwsgiconf.runtime.caching import Cache
from uwsgiconf.runtime.locking import Lock
from uwsgiconf.runtime.monitoring import Metric
from uwsgiconf.runtime.mules import Farm, Mule, mule_offload
from uwsgiconf.runtime.platform import uwsgi as platform
from uwsgiconf.runtime.rpc import get_rpc_list, make_rpc_call, register_rpc
from uwsgiconf.runtime.scheduling import register_cron, register_timer_rb
from uwsgiconf.runtime.signals import Signal
from uwsgiconf.runtime.spooler import Spooler

cache, metric, signal = Cache("own"), Metric("own"), Signal(100)

@signal
def signalled(number):
    note(f"signal {number}")

@register_timer_rb(1, repeat=1, target=Farm("crew"))
def timed():
    note("timer")

@register_cron(hour="0-23", target=Mule(1))
def by_clock():
    note("cron")

@register_rpc("greet")
def greet(name):
    return b"hello " + name

@mule_offload()
def offloaded(a, b=None):
    note(f"offloaded {a} {b}")

@Spooler.task()
def spooled(a):
    note(f"spooled {a}")
    return True

@platform.postfork_hooks.add()
def forked():
    note("postfork")

@Lock(1)
def locked():
    return Lock(1).is_set
"""


def test_uwsgiconf(app):
    ask, notes = app("uwsgiconf", CONF, "--cache2", "name=own,items=10", "--metric", "own", "--locks", "2", "--mule", "--farm", "crew:1",
                     "--spooler", "jobs", "--spooler-frequency", "1")
    assert ask("(cache.set('k',5),cache.get('k'),cache.incr('n',delta=3),cache.get('n',as_int=True),sorted(cache.keys),cache.clear())") == \
        (True, "5", True, 3, ["k", "n"], None)
    assert ask("(metric.set(10),metric.incr(),metric.mul(2),metric.value,metric.set(5,mode='max'),metric.value)") == \
        (True, True, True, 22, True, 22)
    assert ask("(locked(),Lock(1).is_set,make_rpc_call('greet',args=['you']),get_rpc_list())") == (True, False, "hello you", ("greet",))
    assert ask("(platform.workers_count,platform.worker_id,platform.ready_for_requests,platform.workers_info[0]['status'])") == \
        (1, 1, True, "busy")
    ask("(signal.send(),offloaded(1,b=2),Mule(1).send('text'),type(spooled('x')))[0]")
    wanted = {"signal 100 in worker", "timer in mule", "cron in mule", "offloaded 1 2 in mule", "spooled x in spooler",
              "postfork in worker", "postfork in mule", "postfork in spooler"}
    eventually(lambda: wanted <= notes())


DJANGO = """
import sys
from django.conf import settings
settings.configure(
    SECRET_KEY="a test's", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], INSTALLED_APPS=["django_uwsgi"],
    CACHES={"default": {"BACKEND": "django_uwsgi.cache.UwsgiCache", "LOCATION": "site", "TIMEOUT": 100}})
import django
django.setup()
from django.core.cache import cache
from django_uwsgi.decorators import *
from django_uwsgi.stats import get_uwsgi_stats
urlpatterns = []

@spool
def spooled(job):
    note(f"spooled {job['colour']}")

@mulefunc
def in_mule(a):
    note(f"mulefunc {a}")

@timer(1)
def timed(number):
    note("timer")

@rpc("greet")
def greet(name):
    return b"hello " + name
"""


def test_django_uwsgi_ng(app):
    ask, notes = app("django_uwsgi", DJANGO, "--cache2", "name=site,items=100", "--mule", "--spooler", "jobs", "--spooler-frequency", "1")
    assert ask("(cache.set('k',{'x':[1]}),cache.get('k'),cache.add('k',2),cache.add('n',5),cache.incr('n'),cache.get_many(['k','n']))") == \
        (None, {"x": [1]}, False, True, 6, {"k": {"x": [1]}, "n": 6})
    assert ask("(cache.set('gone','x',timeout=0),cache.get('gone'),cache.clear(),cache.get('k'))") == (None, None, None, None)
    stats = ask("(lambda s:(s['workers'][0]['status'],s['workers'][0]['load']>=0,len(s['stats']),s['jobs']))(get_uwsgi_stats())")
    assert stats == (b"busy", True, 12, [])
    assert ask("(uwsgi.call(b'greet',b'you'),in_mule(3),spooled({'colour':'red'})is None)") == (b"hello you", None, False)
    eventually(lambda: {"spooled red in spooler", "mulefunc 3 in mule", "timer in worker"} <= notes())


PROMETHEUS = """
os.makedirs("figures", exist_ok=True)
os.environ["PROMETHEUS_MULTIPROC_DIR"] = os.path.abspath("figures")
import prometheus_client
from prometheus_client import CollectorRegistry, Counter, multiprocess, values
from uwsgidecorators import postfork
values.ValueClass = values.MultiProcessValue(process_identifier=uwsgi.worker_id)
served = Counter("served", "in all workers")

@postfork
def forked():
    if uwsgi.worker_id():
        served.inc(100)

def total():
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return registry.get_sample_value("served_total")
"""


def test_prometheus_client_in_several_workers(app):
    ask, _ = app("prometheus_client", PROMETHEUS, "--processes", "2")
    eventually(lambda: ask("total()") == 200.0)
    for _ in range(5):
        ask("served.inc()")
    assert ask("total()") == 205.0


SOCKETS = """
import socketio
server = socketio.Server(async_mode="threading", allow_upgrades=False)

@server.event
def connect(sid, environ):
    server.emit("hello", {"a": 1}, to=sid)

application = socketio.WSGIApp(server)
"""


def test_socketio_by_long_polling(server, http):
    pytest.importorskip("socketio")
    server(http, [*BASE, "--threads", "4"], app=SOCKETS)
    path = "/socket.io/?EIO=4&transport=polling"
    sid = json.loads(get(http.port, path).text[1:])["sid"]
    body = b"40"
    head = f"POST {path}&sid={sid} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    assert exchange(http, head + body).endswith(b"OK")
    assert '42["hello",{"a":1}]' in get(http.port, f"{path}&sid={sid}").text
