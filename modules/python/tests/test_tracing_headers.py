"""What a service says of the current span to others, and whose message it takes one for."""
import pytest
from envoxy import tracing as of_services
from envoxyd_service import mqtt_events
from envoxyd_worker import gateway, tracing

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_messages_name_the_current_span_only_where_spans_are_exported(monkeypatch):
    with tracing.attached(PARENT):
        assert of_services.context_headers() == {}
        monkeypatch.setattr(gateway, "spans", tracing.Spans)
        assert of_services.context_headers() == {"traceparent": PARENT} and of_services.traceparent() == PARENT
    assert of_services.context_headers() == {}


@pytest.mark.parametrize("payload, want", [
    (b'{"headers": {"traceparent": "%s"}}' % PARENT.encode(), PARENT),
    (b'{"headers": {}}', ""),
    (b'{"headers": {"traceparent": 7}}', ""),
    (b'{"traceparent": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", ""),
    (b'{"headers": ["traceparent"]}', ""),
    (b'{"payload": {"traceparent": "x"}}', ""),
    (b'["traceparent"]', ""),
    (b'"traceparent', ""),
    (b'\xff"traceparent"', ""),
    (b"", ""),
])
def test_who_has_sent_a_message(payload, want):
    assert mqtt_events.sender(payload) == want
