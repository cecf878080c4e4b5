"""--prometheus: what is told; nothing that is counted goes back, and no scrape fails, whatever the server goes through."""
import os
import re
import shutil
import signal
import subprocess
import time

import pytest
from apps import ANSWER, versioned
from http_client import Connection, eventually, get
from load import Load
from postgresql import NOT_THERE, programs
from scraping import Prometheus, Scraper, scrape
from server import free_port
from test_upgrade import Upgraded, by_signal
from transports import Transport, http_socket

APP = f"""
import os, time, uwsgi
{ANSWER}
def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/raise":
        raise ValueError("as asked")
    if path == "/slow":
        time.sleep(30)
    if path == "/metric":
        uwsgi.metric_inc("shop.orders", 2)
        uwsgi.metric_set("shop.carts", 7)
    if path == "/cache":
        uwsgi.cache_set("key", b"value")
        uwsgi.cache_get("key"), uwsgi.cache_get("none")
    if path == "/mule":
        uwsgi.mule_msg(b"work", 1)
    if path == "/spool":
        uwsgi.spool({{b"n": b"1"}})
    return answer(start_response, "done", status="404 Not Found" if path == "/none" else "200 OK")

uwsgi.spooler = lambda job: uwsgi.SPOOL_OK
"""

MULE = """
import uwsgi
while True:
    uwsgi.mule_get_msg()
"""


def started(server, *args, transport=None, **more):
    """A server, and the port of its metrics."""
    transport, port = transport or http_socket(), free_port()
    running = server(transport, ["--master", "--prometheus", port, *args], app=APP, **more)
    running.wait_log("metrics server enabled on 127.0.0.1:")
    return running, transport, port


def test_requests_are_told_of(server):
    running, transport, port = started(server, "--processes", "2")
    with Connection(transport.port, keep=True) as client:
        for path, status in (("/", 200), ("/none", 404), ("/raise", 500)):
            assert client.get(path).status == status
    found = eventually(lambda: (m := scrape(port))["envoxyd_requests_total"] == 3 and m)
    for code, count in (("2xx", 1), ("4xx", 1), ("5xx", 1), ("none", 0)):
        assert found[f'envoxyd_http_requests_total{{code="{code}"}}'] == count
    assert found["envoxyd_exceptions_total"] == 1
    for name in ("envoxyd_http_request_duration_seconds", "envoxyd_http_request_queue_duration_seconds"):
        assert found[name + "_count"] == found[name + '_bucket{le="+Inf"}'] == 3
        assert 0 <= found[name + "_sum"] < 30
    socket = f'{{protocol="http",socket="127.0.0.1:{transport.port}"}}'
    assert found["envoxyd_listener_requests_total" + socket] == 3
    assert 1 <= found["envoxyd_listener_accepted_connections_total" + socket] <= 3
    assert found["envoxyd_listen_queue_limit" + socket] == 100
    assert found['envoxyd_workers{state="idle"}'] == 2
    assert found['envoxyd_worker_resident_memory_bytes{worker="1"}'] > 1 << 20


def test_what_stands_beside_the_workers_is_told_of(server):
    running, transport, port = started(
        server, "--mule=mule.py", "--spooler", "spool", "--cache2", "name=pages,items=10", "--metric", "shop.orders",
        "--metric", "name=shop.carts,type=gauge", "--attach-daemon", "sleep 1000", files={"mule.py": MULE, "spool/.keep": ""})
    for path in ("/metric", "/cache", "/mule", "/spool"):
        assert get(transport.port, path).status == 200
    wanted = {
        'envoxyd_application_metric_total{name="shop.orders"}': 2, 'envoxyd_application_metric{name="shop.carts"}': 7,
        'envoxyd_cache_items{cache="pages"}': 1,
        'envoxyd_cache_hits_total{cache="pages"}': 1, 'envoxyd_cache_misses_total{cache="pages"}': 1,
        'envoxyd_mule_tasks_total{mule="1"}': 1, 'envoxyd_mule_respawns_total{mule="1"}': 0,
        f'envoxyd_spooler_tasks_total{{directory="{running.dir}/spool",spooler="1"}}': 1,
        'envoxyd_daemon_up{daemon="0"}': 1,
    }
    eventually(lambda: wanted.items() <= scrape(port).items())


def test_promtool_has_no_objection(server):
    if not shutil.which("promtool"):
        pytest.skip("promtool is not installed (Debian: prometheus)")
    running, transport, port = started(
        server, "--mule", "--cache2", "name=pages,items=10", "--metric", "shop.orders", "--attach-daemon", "sleep 1000")
    get(transport.port)
    done = subprocess.run(["promtool", "check", "metrics"], input=scrape(port).text, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_addresses_may_be_several_and_unix_sockets(server):
    transport, ports = http_socket(), [free_port(), free_port()]
    addresses = [part for address in (ports[0], f"127.0.0.1:{ports[1]}", "metrics.sock") for part in ("--prometheus", address)]
    running = server(transport, ["--master", "--vacuum", *addresses], app=APP)
    running.wait_log("metrics server enabled on metrics.sock")
    for where in (*ports, running.dir / "metrics.sock"):
        assert scrape(where)["envoxyd_requests_total"] == 0
        with Connection(where) as client:
            assert client.get("/").text == "The metrics of this envoxyd are at /metrics\n"
        with Connection(where) as client:
            assert client.get("/other").status == 404
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    assert not (running.dir / "metrics.sock").exists()


def test_a_reload_changes_the_addresses(server):
    transport, first, second = http_socket(), free_port(), free_port()

    def conf(port):
        return f"[uwsgi]\nmaster = true\nwsgi-file = app.py\nprometheus = {port}\n"

    running = server(transport, ["--ini", "conf.ini"], files={"conf.ini": conf(first), "app.py": APP})
    running.wait_log("metrics server enabled")
    assert scrape(first)['envoxyd_reloads_total{result="success"}'] == 0
    running.write("conf.ini", conf(second))
    running.signal(signal.SIGHUP)
    running.wait_log("gracefully .RE.spawned")
    assert scrape(second)['envoxyd_reloads_total{result="success"}'] == 1
    with pytest.raises(ConnectionRefusedError):
        scrape(first)


def test_nothing_goes_back_while_workers_die_and_code_changes(server):
    """Reloads, one that fails, a worker that is killed, harakiri."""
    running, transport, port = started(
        server, "--processes", "2", "--harakiri", "1", "--mule=mule.py", "--cache2", "name=pages,items=10", "--metric", "shop.orders",
        "--disable-logging", files={"mule.py": MULE})
    with Scraper(port) as scraper, Load(transport, path="/{number}"):
        for path in ("/metric", "/cache", "/mule"):
            get(transport.port, path)
        eventually(lambda: scraper.latest('envoxyd_mule_tasks_total{mule="1"}') == 1)
        for number in range(1, 4):
            running.signal(signal.SIGHUP)
            eventually(lambda n=number: scraper.latest('envoxyd_reloads_total{result="success"}') == n, 30)
        running.write("app.py", "raise SystemExit")
        running.signal(signal.SIGHUP)
        eventually(lambda: scraper.latest('envoxyd_reloads_total{result="failure"}') == 1, 30)
        assert scraper.latest("envoxyd_last_reload_successful") == 0
        before = scraper.latest("envoxyd_worker_respawns_total")
        with Connection(transport.port, timeout=30) as slow:
            slow.send("/slow")
            eventually(lambda: scraper.latest("envoxyd_worker_harakiris_total") == 1, 30)
        eventually(lambda: scraper.latest("envoxyd_worker_respawns_total") > before, 30)
    assert scraper.failures == [] and len(scraper.scrapes) > 20
    assert scraper.gone_back() == []
    assert scraper.latest('envoxyd_application_metric_total{name="shop.orders"}') == 2
    assert scraper.latest('envoxyd_mule_tasks_total{mule="1"}') == 1


def test_nothing_goes_back_at_upgrades(server):
    transport, port = http_socket(), free_port()
    args = ["--master", "--processes", "2", "--disable-logging", "--pidfile", "server.pid", "--prometheus", port]
    upgraded = Upgraded(server(transport, args, app=versioned(1)))
    upgraded.running.wait_log("metrics server enabled")
    with Scraper(port) as scraper, Load(transport) as load:
        for _ in range(3):
            load.wait_for(50)
            old = upgraded.pid()
            by_signal(upgraded, None)
            upgraded.wait_other_than(old)
        load.wait_for(50)
        served = len(load.requests)
        eventually(lambda: scraper.latest("envoxyd_requests_total") >= served)
    assert load.failures() == []
    assert scraper.failures == [] and scraper.gone_back() == []
    for name in ("envoxyd_requests_total", 'envoxyd_http_requests_total{code="2xx"}'):
        eventually(lambda of=name: scrape(port)[of] == len(load.requests))
    os.kill(upgraded.pid(), signal.SIGTERM)
    upgraded.running.wait_gone()


def test_prometheus_scrapes_through_ten_reloads(server):
    if not shutil.which("prometheus"):
        pytest.skip("prometheus is not installed (Debian: prometheus)")
    running, transport, port = started(server, "--processes", "2", "--disable-logging")
    prometheus = Prometheus(port)
    try:
        with Load(transport, path="/{number}") as load:
            prometheus.wait("up", lambda v: v == [1])
            began = time.monotonic()
            for number in range(1, 11):
                running.signal(signal.SIGHUP)
                prometheus.wait("envoxyd_reloads_total{result='success'}", lambda v, n=number: v == [n])
            seconds = int(time.monotonic() - began)
        served = len(load.requests)
        prometheus.wait("sum(envoxyd_http_requests_total)", lambda v: v == [served])
        assert load.failures() == []
        (up,) = prometheus.history("up", seconds).values()
        assert len(up) >= 9 and set(up) == {1}
        counters = prometheus.history('{__name__=~"envoxyd_.*(_total|_count|_bucket|_sum)"}', seconds)
        assert len(counters) > 40 and [name for name, values in counters.items() if values != sorted(values)] == []
    finally:
        prometheus.close()


EVENTS = '''
@on(endpoint="/in/+", protocols=["mqtt"], server="local")
class In(View):
    def on_event(self, client, userdata, message):
        if b"bad" in message.payload:
            raise ValueError("as asked")
        note(n=1)

@on(endpoint="/publish", protocols=["http"])
class Publish(View):
    def get(self, request, **kw):
        for payload in ("good", "good", "bad"):
            mqttc.publish("local", "/in/1", payload)
        return Response({})

@every(0.05)
def tick():
    note(n=2)
__loader__ = [In, Publish]
'''


def test_events_are_told_of_and_survive_the_gateway(service):
    port = free_port()
    running = service(EVENTS, args=["--prometheus", port])
    assert get(running.port, "/publish").status == 200
    wanted = {"received": 3, "handled": 2, "failed": 1, "dropped": 0}
    names = {f'envoxyd_event_source_{what}_total{{kind="mqtt",server="local",source="/in/+"}}': value for what, value in wanted.items()}
    found = eventually(lambda: names.items() <= (m := scrape(port)).items() and m)
    assert found["envoxyd_events_published_total"] == 3
    eventually(lambda: next(v for k, v in scrape(port).items() if k.startswith("envoxyd_event_source_handled_total{kind=\"timer\"")) >= 2)
    found = scrape(port)
    assert found['envoxyd_events_total{result="failed"}'] == 1 and found['envoxyd_events_total{result="handled"}'] >= 4
    (gateway,) = [int(pid) for pid in re.findall(r"spawned event gateway \(pid: (\d+)\)", running.log())]
    with Scraper(port) as scraper:
        os.kill(gateway, signal.SIGKILL)
        running.wait_log(r"event gateway \(pid: \d+\) died")
        eventually(lambda: (scraper.latest("envoxyd_events_received_total") or 0) > found["envoxyd_events_received_total"])
        get(running.port, "/publish")
        wanted = {name: 2 * value for name, value in names.items()}
        eventually(lambda: wanted.items() <= scrape(port).items())
    assert scraper.failures == [] and scraper.gone_back() == []


POOLED = '''
from envoxy import pgsqlc
@on(endpoint="/query", protocols=["http"])
class Query(View):
    def get(self, request, **kw):
        pgsqlc.query("main", "select pg_sleep(%(for)s)", {"for": float(request.args.get("for", "0"))})
        return Response({})
__loader__ = [Query]
'''


@pytest.mark.skipif(programs() is None, reason=NOT_THERE)
def test_pools_are_told_of_as_long_as_their_workers_live(service, postgres):
    port = free_port()
    conf = {"psql_servers": {"main": postgres.section(max_conn=1)}}
    running = service(POOLED, conf, args=["--prometheus", port, "--processes", "1", "--threads", "2"])

    def pool(*names):
        found = scrape(port)
        return [found.get(f"envoxyd_postgres_pool_{name}}}", 0) for name in names]

    now = ('connections{server="main",state="in_use"', 'connections{server="main",state="idle"', 'waiting{server="main"')
    with Load(Transport("http", [], running.port, True, running.port), clients=2, path="/query?for=1&{number}"):
        eventually(lambda: pool(*now) == [1, 0, 1])
    eventually(lambda: pool(*now) == [0, 1, 0])
    counted = ('waits_total{server="main"', 'acquired_total{server="main"', 'opened_total{server="main"')
    before = pool(*counted)
    assert before[0] >= 1 and before[1] >= 2 and before[2] == 1
    running.signal(signal.SIGHUP)
    running.wait_log("gracefully .RE.spawned")
    eventually(lambda: pool(*now) == [0, 0, 0], 30)
    assert pool(*counted) == before
