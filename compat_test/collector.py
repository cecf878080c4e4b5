"""An OpenTelemetry collector for tests: OTLP over HTTP, in protobuf."""
import gzip
import http.server
import threading

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.trace.v1 import trace_pb2


class Span:
    """One that has been exported."""

    def __init__(self, span, resource, headers):
        self.name, self.headers = span.name, headers
        self.trace, self.id, self.parent = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
        self.kind = trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_")
        self.failed = span.status.code == trace_pb2.Status.STATUS_CODE_ERROR
        self.start, self.end, self.state = span.start_time_unix_nano, span.end_time_unix_nano, span.trace_state
        self.attributes, self.resource = values(span.attributes), values(resource.attributes)

    def __repr__(self):
        return f"<{self.kind} {self.name} {self.trace}/{self.id} < {self.parent} {self.attributes}>"


def values(attributes):
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


class Collector:
    """Keeps what it gets. status is what it answers."""

    def __init__(self, port=0):
        self.spans, self.posts, self.status = [], 0, 200
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.take(self.path, body, dict(self.headers))
                self.send_response(collector.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def take(self, path, body, headers):
        self.posts += 1
        assert path == "/v1/traces", path
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        request = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
        if self.status == 200:
            for of in request.resource_spans:
                self.spans += [Span(span, of.resource, headers) for scope in of.scope_spans for span in scope.spans]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)
