"""The context of the current span, for what a service sends to others."""
try:
    from envoxyd_worker import gateway, tracing
except ImportError:  # a script, a test: there are no spans
    gateway = tracing = None


def traceparent():
    """The context in which spans of the service's own are children of the request's, or message's, as a W3C traceparent; "" without."""
    return tracing.traceparent() if tracing is not None and gateway.spans() is not None else ""


def context_headers():
    """What a message to another service says of the current span: a traceparent, or nothing."""
    context = traceparent()
    return {"traceparent": context} if context else {}
