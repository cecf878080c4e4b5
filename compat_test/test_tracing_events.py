"""Spans of what an Envoxy service handles: one trace from a request to the handlers of what it publishes, and to other services."""
import json

import pytest
import requests
from broker import Broker, Peer
from collector import Collector
from http_client import eventually
from server import free_port

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{CALLER}-01"

MODULE = """
from envoxy.tracing import traceparent

@on(endpoint="/start", protocols=["http"])
class Start(View):
    def get(self, request, **_):
        mqttc.publish("broker", "/first/1", {"n": 1}, qos=1)
        return Response({"seen": traceparent(), "environ": request.environ["HTTP_TRACEPARENT"]})

@on(endpoint="/first/+", protocols=["mqtt"], server="broker", qos=1)
class First(View):
    @log_event
    def on_event(self, data, **kwargs):
        note(step="first", seen=traceparent(), headers=data["headers"])
        mqttc.publish("local", "/second", {"n": 2})
        if data.get("fail"):
            raise ValueError("on purpose")

@on(endpoint="/second", protocols=["mqtt"], server="local")
class Second(View):
    def on_event(self, client, userdata, message):
        note(step="second", seen=traceparent())

__loader__ = [Start, First, Second]
"""

# What a service does that has OpenTelemetry itself.
WITH_SDK = MODULE.replace('        note(step="second"', """        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        with TracerProvider().get_tracer("service").start_as_current_span("inner") as span:
            note(step="inner", parent="%016x" % span.parent.span_id, own="%016x" % span.get_span_context().span_id, seen=traceparent())
        note(step="second\"""").replace("from envoxy.tracing", "import opentelemetry.context, opentelemetry.trace\nfrom envoxy.tracing")


@pytest.fixture
def collector():
    made = Collector()
    yield made
    made.close()


@pytest.fixture
def broker():
    made = Broker()
    yield made
    made.close()


def started(service, module, collector, conf, *args, name="tested"):
    return service(module, {"boot": [{"name": name}], **conf}, args=[f"--otlp-endpoint={collector.url}", *args],
                   env={"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_SERVICE_NAME": name})


def conf(broker):
    return {"mqtt_servers": {"broker": {"bind": f"mqtt://127.0.0.1:{broker.port}"}}}


def test_messages_are_in_the_trace_of_who_has_published_them(service, broker, collector):
    running = started(service, WITH_SDK, collector, conf(broker))
    running.connected()
    seen = requests.get(f"http://127.0.0.1:{running.port}/start", headers={"traceparent": PARENT}, timeout=10).json()
    eventually(lambda: len([span for span in collector.spans if span.trace == TRACE]) == 3)
    spans = {span.name: span for span in collector.spans if span.trace == TRACE}
    request, first, second = spans["GET"], spans["process /first/1"], spans["process /second"]
    assert (request.parent, first.parent, second.parent) == (CALLER, request.id, first.id)
    assert seen["seen"] == seen["environ"] == f"00-{TRACE}-{request.id}-01"
    notes = {line["step"]: line for line in running.sink()}
    assert notes["first"]["seen"] == f"00-{TRACE}-{first.id}-01"
    assert notes["first"]["headers"]["traceparent"] == seen["seen"] and "X-Cid" in notes["first"]["headers"]
    assert notes["second"]["seen"] == f"00-{TRACE}-{second.id}-01"
    assert notes["inner"]["parent"] == second.id and notes["inner"]["seen"] == f"00-{TRACE}-{notes['inner']['own']}-01"
    assert first.attributes.pop("envoxyd.worker") in range(1, 5)
    assert (first.kind, first.failed, first.attributes) == ("CONSUMER", False, {
        "messaging.system": "mqtt", "messaging.operation.type": "process", "messaging.operation.name": "process",
        "messaging.destination.name": "/first/1", "envoxyd.mqtt_server": "broker"})


def test_messages_of_others(service, broker, collector):
    """They begin traces, unless their envelope says whose they are in; handlers that fail are seen; several at a time are apart."""
    running = started(service, MODULE, collector, conf(broker), "--processes", "2")
    running.connected()
    peer = Peer(broker)
    headers = [None, {"traceparent": PARENT}, {"traceparent": 7}, {"traceparent": PARENT[:-1]}, {"traceparent": PARENT[:-1] + "0"}]
    for n in range(40):
        peer.publish(f"/first/{n}", json.dumps({"headers": headers[n % 5], "fail": n == 3}))
    eventually(lambda: len([line for line in running.sink() if line["step"] == "second"]) == 40, 20)
    eventually(lambda: len([span for span in collector.spans if span.name.startswith("process /first")]) == 32)
    by_number = {int(span.name.rsplit("/", 1)[1]): span for span in collector.spans if span.name.startswith("process /first")}
    assert sorted(by_number) == [n for n in range(40) if n % 5 != 4], "its sender does not record it"
    for n, span in by_number.items():
        assert ((span.trace, span.parent) == (TRACE, CALLER)) is (n % 5 == 1)
        assert span.parent == "" or n % 5 == 1
        assert span.failed is (n == 3)
    eventually(lambda: len([span for span in collector.spans if span.kind == "CONSUMER"]) == 64)
    recorded = {(span.trace, span.id) for span in collector.spans}
    for line in running.sink():
        _, trace, span, flags = line["seen"].split("-")
        assert ((trace, span) in recorded) is (int(flags, 16) & 1 == 1)
    assert len({span.id for span in collector.spans}) == len(collector.spans), "workers make ids of their own"
    peer.close()


def test_timers_are_spans(service, collector):
    running = started(service, """
from envoxy.tracing import traceparent
@every(0.2)
def tick():
    note(seen=traceparent())
__loader__ = []
""", collector, {})
    span = eventually(lambda: [span for span in collector.spans if span.kind == "INTERNAL"])[0]
    eventually(lambda: any(line["seen"].startswith(f"00-{span.trace}-{span.id}-") for line in running.sink()))
    assert span.name.endswith("tick") and span.parent == ""


def test_a_request_to_another_service_keeps_the_trace(service, collector):
    port = free_port()
    started(service, """
@on(endpoint="/things", protocols=["zmq"])
class Things(View):
    def get(self, request, **_):
        return Response({"seen": request.environ["HTTP_TRACEPARENT"]})
__loader__ = [Things]
""", collector, {"boot": [{"name": "there", "zmq": {"bind": f"tcp://127.0.0.1:{port}"}}]}, name="there")
    here = started(service, """
@on(endpoint="/start", protocols=["http"])
class Start(View):
    def get(self, request, **_):
        return Response({"seen": zmqc.get("there", "/things")["payload"]["seen"]})
__loader__ = [Start]
""", collector, {"zmq_servers": {"there": {"bind": f"tcp://127.0.0.1:{port}"}}}, name="here")
    seen = requests.get(f"http://127.0.0.1:{here.port}/start", headers={"traceparent": PARENT}, timeout=10).json()["seen"]
    eventually(lambda: len([span for span in collector.spans if span.trace == TRACE]) == 2)
    spans = {span.resource["service.name"]: span for span in collector.spans if span.trace == TRACE}
    assert spans["here"].parent == CALLER and spans["there"].parent == spans["here"].id
    assert seen == f"00-{TRACE}-{spans['there'].id}-01"
    assert spans["there"].attributes["url.path"] == "/things"
