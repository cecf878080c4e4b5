"""Spans of requests and events at an OpenTelemetry collector: which there are, whose parents they are, and what they cost others."""
import signal
import sys
import time

import pytest
import requests
from collector import Collector
from http_client import eventually
from server import alive, free_port

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{CALLER}-01"

# Answers with the context that the application sees, and makes a span of its own when asked to.
APP = """
from opentelemetry import trace
from opentelemetry.propagate import extract
from opentelemetry.sdk.trace import TracerProvider

tracer = TracerProvider().get_tracer("app")

def child(carrier):
    with tracer.start_as_current_span("inner", context=extract(carrier)) as span:
        c = span.get_span_context()
        parent = getattr(span, "parent", None)  # one that is not recorded has none
        return "%032x %016x %s" % (c.trace_id, parent.span_id if parent else 0, c.trace_flags.sampled)

def application(environ, start_response):
    if environ["PATH_INFO"] == "/raise":
        raise ValueError("on purpose")
    start_response("404 Not Found" if environ["PATH_INFO"] == "/absent" else "200 OK", [("Content-Type", "text/plain")])
    given = {name: environ[key] for name, key in (("traceparent", "HTTP_TRACEPARENT"), ("tracestate", "HTTP_TRACESTATE")) if key in environ}
    return ["\\n".join([given.get("traceparent", "-"), given.get("tracestate", "-"), child(given)]).encode()]
"""

ASGI = APP + """
async def asgi(scope, receive, send):
    environ = {"PATH_INFO": scope["path"]}
    for name, value in scope["headers"]:
        assert "HTTP_" + name.decode().upper() not in environ or name != b"traceparent"
        environ["HTTP_" + name.decode().upper()] = value.decode()
    said = []
    body = application(environ, lambda status, headers: said.append(int(status[:3])))
    await send({"type": "http.response.start", "status": said[0], "headers": []})
    await send({"type": "http.response.body", "body": body[0]})
"""

ENGINES = {
    "wsgi": ["--master", "-p", "2"],
    "threads": ["--master", "-p", "1", "--threads", "4"],
    "gevent": ["--master", "-p", "1", "--gevent", "20"],
    "asgi": ["--master", "-p", "1", "--asgi-file", "asgi.py:asgi"],
}


@pytest.fixture
def collector():
    made = Collector()
    yield made
    made.close()


def traced(server, way, collector, engine="wsgi", *args, **more):
    files = {"asgi.py": ASGI} if engine == "asgi" else {}
    env = {"OTEL_BSP_SCHEDULE_DELAY": "100", **more.pop("env", {})}
    running = server(way, [*ENGINES[engine], "--virtualenv", sys.prefix, "--otlp-endpoint=" + collector.url, *args],
                     app=None if engine == "asgi" else APP, files=files, env=env, **more)
    running.wait_log("spawned OTLP exporter")
    return running


def ask(way, path="/", **headers):
    """(traceparent, tracestate, the parent of a span that the application has made) as the application sees them."""
    return requests.get(f"http://127.0.0.1:{way.port}{path}", headers=headers, timeout=10).text.split("\n")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_request_is_a_span_and_the_parent_of_what_the_application_makes(server, way, collector, engine):
    traced(server, way, collector, engine, "--otlp-service", "shop", "--otlp-header", "x-key=a=b",
           env={"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,service.name=other"})
    before = time.time_ns()
    seen, state, inner = ask(way, "/things/1?secret=1", traceparent=PARENT, tracestate="a=1,b=2", **{"user-agent": "test/1"})
    span, = eventually(lambda: collector.spans)
    assert (span.trace, span.parent, span.kind, span.name, span.state, span.failed) == (TRACE, CALLER, "SERVER", "GET", "a=1,b=2", False)
    assert seen == f"00-{TRACE}-{span.id}-01" and state == "a=1,b=2"
    assert inner == f"{TRACE} {span.id} True"
    assert before <= span.start <= span.end <= time.time_ns()
    worker = span.attributes.pop("envoxyd.worker")
    assert worker in (1, 2)
    span.attributes.pop("envoxyd.queue_time", None)
    assert span.attributes == {
        "http.request.method": "GET", "url.path": "/things/1", "url.scheme": "http", "http.response.status_code": 200,
        "client.address": "127.0.0.1", "user_agent.original": "test/1", "network.protocol.name": "http", "network.protocol.version": "1.1",
        "server.address": "127.0.0.1", "server.port": way.port}
    assert (span.resource["service.name"], span.resource["deployment.environment.name"], span.headers["X-Key"]) == ("shop", "test", "a=b")


def test_traces_begin_here_without_a_caller_that_can_be_understood(server, way, collector):
    traced(server, way, collector)
    wrong = ["", "00", PARENT.upper(), PARENT[:-1], PARENT + "0", "ff" + PARENT[2:], f"00-{'0' * 32}-{CALLER}-01",
             f"00-{TRACE}-{'0' * 16}-01", f"{PARENT}, {PARENT}"]
    for number, given in enumerate(wrong, 1):
        seen, state, inner = ask(way, **({"traceparent": given} if given else {}), tracestate="a=1")
        span = eventually(lambda: len(collector.spans) == number and collector.spans[-1])  # noqa: B023
        assert span.parent == "" and span.trace != TRACE and state == "-", given
        assert seen.startswith(f"00-{span.trace}-{span.id}-") and int(seen[-2:], 16) & 1
        assert inner == f"{span.trace} {span.id} True"
    seen, _, _ = ask(way, traceparent="cc" + PARENT[2:] + "-what-comes")
    span = eventually(lambda: len(collector.spans) == len(wrong) + 1 and collector.spans[-1])
    assert (span.trace, span.parent, seen) == (TRACE, CALLER, f"00-{TRACE}-{span.id}-01")


def test_what_is_not_sampled_is_passed_on_as_such_and_sent_nowhere(server, way, collector):
    traced(server, way, collector, "wsgi", "--otlp-sample", "0")
    seen, _, inner = ask(way)
    assert int(seen[-2:], 16) & 1 == 0 and inner == f"{seen[3:35]} {'0' * 16} False"
    seen, _, _ = ask(way, traceparent=PARENT[:-1] + "0")
    assert seen.startswith(f"00-{TRACE}-") and CALLER not in seen and seen.endswith("-00")
    ask(way, traceparent=PARENT)  # its caller records it
    assert [span.parent for span in eventually(lambda: collector.spans)] == [CALLER]


def test_a_part_of_the_traces_is_sampled(server, way, collector):
    traced(server, way, collector, env={"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.3"})
    with requests.Session() as session:
        sampled = [int(session.get(f"http://127.0.0.1:{way.port}/").text.split("\n")[0][-2:], 16) & 1 for _ in range(400)]
    assert 60 < sum(sampled) < 180
    eventually(lambda: len(collector.spans) == sum(sampled))


def test_failures_are_marked(server, way, collector):
    traced(server, way, collector, "wsgi", "--static-map", "/static=.")
    for path in ("/raise", "/absent", "/static/app.py"):
        requests.get(f"http://127.0.0.1:{way.port}{path}", timeout=10)
    eventually(lambda: len(collector.spans) == 3)
    failed = [(span.failed, span.attributes["http.response.status_code"], span.attributes.get("error.type")) for span in collector.spans]
    assert failed == [(True, 500, "500"), (False, 404, None), (False, 200, None)]
    requests.request("BREW", f"http://127.0.0.1:{way.port}/", timeout=10)
    span = eventually(lambda: len(collector.spans) == 4 and collector.spans[-1])
    method = span.attributes["http.request.method"], span.attributes["http.request.method_original"]
    assert (span.name, *method) == ("HTTP", "_OTHER", "BREW")


def test_a_request_that_is_passed_on_keeps_its_trace(server, way, collector):
    """By a rule to another server, and by the HTTP router."""
    other, front = free_port(), free_port()
    traced(server, way, collector, "wsgi", "--http-socket", f"127.0.0.1:{other}", "--http-to", f"127.0.0.1:{other}",
           "--http", f"127.0.0.1:{front}", "--http-backend-http", "--route", f"^/there http:127.0.0.1:{other},,/here")
    seen, _, _ = ask(way, "/there", traceparent=PARENT)
    eventually(lambda: len(collector.spans) == 2)
    spans = {span.attributes["url.path"]: span for span in collector.spans}
    assert spans["/there"].parent == CALLER and spans["/here"].parent == spans["/there"].id
    assert {span.trace for span in collector.spans} == {TRACE} and seen == f"00-{TRACE}-{spans['/here'].id}-01"
    assert "HTTP" not in requests.get(f"http://127.0.0.1:{front}/router", headers={"traceparent": PARENT}, timeout=10).text
    span = eventually(lambda: len(collector.spans) == 3 and collector.spans[-1])
    assert (span.attributes["url.path"], span.trace, span.parent) == ("/router", TRACE, CALLER)


def test_a_collector_that_is_away_costs_nobody_anything(server, way, collector):
    """One line in the log when it goes, one when it is back; the stop is not held up."""
    running = traced(server, way, collector)
    ask(way)
    eventually(lambda: collector.spans)
    collector.status = 400
    with requests.Session() as session:
        for number in range(300):
            assert session.get(f"http://127.0.0.1:{way.port}/", timeout=10).status_code == 200
            if number in (100, 200):
                posts = collector.posts
                eventually(lambda: collector.posts > posts)  # noqa: B023
    running.wait_log("does not take spans")
    collector.status = 200

    def again():
        ask(way)
        return "takes spans again" in running.log()

    eventually(again, 20)
    assert running.log().count("does not take spans") == running.log().count("takes spans again") == 1
    collector.close()
    ask(way)
    begun = time.monotonic()
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    assert time.monotonic() - begun < 8
    assert "lost in all" in running.log()
    running.wait_gone()


def test_reloads_keep_the_exporter_and_lose_no_span(server, way, collector):
    running = traced(server, way, collector)
    count = 0
    for _ in range(3):
        for _ in range(50):
            ask(way)
            count += 1
        before = running.log().count("gracefully (RE)spawned")
        running.signal(signal.SIGHUP)
        eventually(lambda: running.log().count("gracefully (RE)spawned") > before)  # noqa: B023
    eventually(lambda: len(collector.spans) == count)
    assert running.log().count("spawned OTLP exporter") == 1
    exporter = int(running.wait_log(r"spawned OTLP exporter \(pid: (\d+)\)").group(1))
    running.signal_process(exporter, signal.SIGKILL)
    eventually(lambda: running.log().count("spawned OTLP exporter") == 2)
    ask(way)  # it waits in the socket if the exporter is not there yet
    eventually(lambda: len(collector.spans) == count + 1)
    ask(way)
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    assert len(collector.spans) == count + 2, "what is not exported yet is exported at the stop"


def test_an_upgrade_loses_no_span(server, way, collector):
    running = traced(server, way, collector)
    for _ in range(20):
        ask(way)
    running.signal(signal.SIGUSR2)
    eventually(lambda: running.log().count("spawned OTLP exporter") == 2, 30)
    ask(way)
    eventually(lambda: not alive(running.pid), 30)
    ask(way)
    eventually(lambda: len(collector.spans) == 22)
    assert "lost" not in running.log()


def test_without_the_option_there_is_nothing(server, way):
    running = server(way, ["--master", "--virtualenv", sys.prefix], app=APP, env={"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"})
    assert ask(way, traceparent=PARENT)[0] == PARENT
    assert "OTLP" not in running.log()


@pytest.mark.parametrize("options, said", [
    (["--otlp-sample", "0.1"], "without otlp-endpoint"),
    (["--otlp-endpoint=x:1"], "no URL of a collector"),
    (["--otlp-endpoint", "--otlp-sample", "2"], "not between 0 and 1"),
])
def test_what_makes_no_sense_is_refused(server, way, options, said):
    running = server(way, ["--master", *options], app=APP, ready=False)
    assert running.wait_exit() != 0
    assert said in running.log()
