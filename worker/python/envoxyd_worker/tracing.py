"""Which span is the current one, and the spans of messages: where envoxyd exports spans (--otlp-endpoint)."""
import json
import sys
import time
from contextlib import contextmanager
from contextvars import ContextVar

VARIABLE = "HTTP_TRACEPARENT"
SERVICE, BEGIN, END = "tracing", 1, 2  # the extension's

_current = ContextVar("envoxyd_traceparent", default="")


def traceparent():
    """The context of the current span: OpenTelemetry's, if the application has one, else the request's or message's; "" without."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is not None:
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    return _current.get()


@contextmanager
def attached(context):
    """Make a traceparent the current context, for OpenTelemetry too where the application has imported it."""
    token = _current.set(context)
    api = sys.modules.get("opentelemetry.context") if context else None
    attached = api.attach(_extracted(context)) if api is not None else None
    try:
        yield
    finally:
        if attached is not None:
            api.detach(attached)
        _current.reset(token)


def _extracted(context):
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": context})


class Middleware:
    """Calls a WSGI application with the request's context as the current one."""

    def __init__(self, application):
        self.application = application

    def __call__(self, environ, start_response):
        with attached(environ.get(VARIABLE, "")):
            return self.application(environ, start_response)


class Span:
    """That of a message; who handles it says whether that has failed."""

    failed = False


class Spans:
    """Makes the spans of messages; what is sampled, and where it goes, is the extension's business."""

    @contextmanager
    def message(self, server, topic, parent):
        """The span of a message; parent is the traceparent of who has published it, or ""."""
        span, extension = Span(), sys.modules["_envoxyd"]
        context = extension.call(SERVICE, BEGIN, parent.encode("utf-8", "replace")).decode()
        began = time.monotonic_ns()
        try:
            with attached(context):
                yield span
        finally:
            if int(context[-2:], 16) & 1:
                ended = {"traceparent": context, "parent": parent, "topic": topic, "server": server, "failed": span.failed,
                         "nanos": time.monotonic_ns() - began}
                extension.call(SERVICE, END, json.dumps(ended).encode())
