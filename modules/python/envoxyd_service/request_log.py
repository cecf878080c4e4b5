"""Request and response lines: level 8 the line, level 9 headers and JSON bodies too, without secrets."""
import io
import json
import time

import envoxy
import uwsgi
from flask import g, request

from . import redaction

LONGEST = 64 * 1024  # bytes of a body that is looked at
SHOWN = 2000  # characters of it that are logged


def install(app):
    """Log each request of the application and note when the last one ended (uwsgi.opt["last_event_ms"])."""
    app.before_request(_log_request)
    app.after_request(_log_response)


def _log_request():
    log = envoxy.log
    if not log.is_gte_log_level(log.TRACE):
        return
    line = f"> Request [HTTP] {request.method} {_path()}"
    log.trace(line)
    if log.is_gte_log_level(log.VERBOSE):
        g.envoxyd_start = time.monotonic()
        log.verbose(f"{line} | Headers:{redaction.headers(request.headers.items())}{_payload(_request_body())}")


def _log_response(response):
    log = envoxy.log
    uwsgi.opt["last_event_ms"] = now = time.time()
    if not log.is_gte_log_level(log.TRACE):
        return response
    line = f"< Response [HTTP] {request.method} {_path()} - {response.status_code}"
    log.trace(line)
    if log.is_gte_log_level(log.VERBOSE):
        log.verbose(f"{line} | Headers{redaction.headers(response.headers.items())}{_payload(_response_body(response))}")
        log.verbose(f"updating last_event_ms {now}")
        took = time.monotonic() - g.get("envoxyd_start", time.monotonic())
        log.verbose(f"Request {_path()} took {took:.2f} sec")
    return response


def _path():
    return redaction.query(request.full_path) if request.query_string else request.path


def _request_body():
    """The JSON body, put back so that the view reads it as if nobody had looked."""
    length = request.content_length
    if not request.is_json or not length or length > LONGEST:
        return None
    body = request.environ["wsgi.input"].read(length)
    request.environ["wsgi.input"] = io.BytesIO(body)
    return body


def _response_body(response):
    if not response.is_json or not response.is_sequence or response.direct_passthrough:
        return None
    body = response.get_data()
    return body if len(body) <= LONGEST else None


def _payload(body):
    """" | Payload…" for a body that is JSON, "" otherwise."""
    if not body:
        return ""
    try:
        text = json.dumps(redaction.value(json.loads(body)), ensure_ascii=False)
    except (ValueError, RecursionError):
        return ""
    return " | Payload" + (text if len(text) <= SHOWN else text[:SHOWN] + "...")
