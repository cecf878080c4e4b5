"""Which span is the current one, and what the extension is told of messages."""
import json
import sys
import types

import pytest
from envoxyd_worker import tracing

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Extension:
    """In the place of _envoxyd: gives a context, and keeps what it is told."""

    def __init__(self, context):
        self.context, self.told = context, []

    def call(self, service, operation, payload):
        assert service == "tracing"
        if operation == tracing.BEGIN:
            self.told.append(payload)
            return self.context.encode()
        self.told.append(json.loads(payload))
        return b""


@pytest.fixture
def extension(monkeypatch):
    made = Extension(PARENT)
    monkeypatch.setitem(sys.modules, "_envoxyd", made)
    return made


@pytest.fixture
def without_opentelemetry(monkeypatch):
    for name in ("opentelemetry.trace", "opentelemetry.context"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_contexts_are_nested(without_opentelemetry):
    assert tracing.traceparent() == ""
    with tracing.attached("outer"):
        with pytest.raises(ValueError), tracing.attached("inner"):
            assert tracing.traceparent() == "inner"
            raise ValueError
        assert tracing.traceparent() == "outer"
    assert tracing.traceparent() == ""


def test_opentelemetry_has_the_same_context_and_its_spans_come_first():
    trace = pytest.importorskip("opentelemetry.trace")
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    import opentelemetry.context  # noqa: F401 - which is what an application does that makes spans

    with tracing.attached(PARENT):
        assert tracing.traceparent() == PARENT
        with sdk.TracerProvider().get_tracer("test").start_as_current_span("inner") as span:
            assert f"{span.parent.span_id:016x}" == PARENT[36:52]
            assert tracing.traceparent()[36:52] == f"{span.get_span_context().span_id:016x}"
    assert not trace.get_current_span().get_span_context().is_valid
    with tracing.attached("nonsense"):
        assert not trace.get_current_span().get_span_context().is_valid


def test_a_middleware_has_the_context_of_the_request(without_opentelemetry):
    application = tracing.Middleware(lambda environ, start_response: [tracing.traceparent()])
    assert application({tracing.VARIABLE: PARENT}, None) == [PARENT]
    assert application({}, None) == [""]


def test_the_extension_is_told_of_messages_that_are_sampled(extension, without_opentelemetry):
    with pytest.raises(KeyError), tracing.Spans().message("broker", "/a", "\ud800") as span:
        assert tracing.traceparent() == PARENT
        span.failed = True
        raise KeyError
    begun, ended = extension.told
    assert begun == b"?" and ended.pop("nanos") >= 0
    assert ended == {"traceparent": PARENT, "parent": "\ud800", "topic": "/a", "server": "broker", "failed": True}
    extension.context, extension.told = PARENT[:-1] + "2", []
    with tracing.Spans().message("broker", "/a", ""):
        pass
    assert extension.told == [b""]


def test_without_opentelemetry_nothing_of_it_is_imported(monkeypatch, without_opentelemetry):
    monkeypatch.setitem(sys.modules, "opentelemetry", types.ModuleType("opentelemetry"))
    with tracing.attached(PARENT):
        assert tracing.traceparent() == PARENT
    assert "opentelemetry.trace" not in sys.modules
