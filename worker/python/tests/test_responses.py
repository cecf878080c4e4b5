"""Headers that are collected or pulled, and answers that ask to be compressed."""
import gzip
import os

import pytest
from envoxyd_worker import responses


def call(app, python, **environ):
    """What the server would get: status, headers, body and the variables that were set."""
    options = {"collect_headers": None, "pull_headers": None, "auto_gzip": False, "no_delay": False, **python}
    variables, started, written = {}, [], []

    def start_response(status, headers, exc_info=None):
        started[:] = [status, headers]
        return written.append

    body = responses.wrap(app, options, variables.__setitem__)({"REQUEST_METHOD": "GET", **environ}, start_response)
    text = b"".join(body)
    if hasattr(body, "close"):
        body.close()
    return (*started, b"".join(written) + text, variables)


def answering(*headers, parts=(b"some ", b"", b"text")):
    def app(environ, start_response):
        start_response("200 OK", list(headers))
        return list(parts)

    return app


def test_without_options_the_application_is_left_alone():
    app = answering()
    assert responses.wrap(app, {"collect_headers": None, "pull_headers": [], "auto_gzip": False, "no_delay": False}, None) is app


def test_collected_headers_stay_and_pulled_ones_go():
    app = answering(("X-User", "me"), ("X-Other", "1"), ("x-secret", "word"))
    _, headers, body, variables = call(app, {"collect_headers": ["X-USER WHO"], "pull_headers": ["X-Secret SECRET", "X-Missing NOT"]})
    assert headers == [("X-User", "me"), ("X-Other", "1")]
    assert variables == {"WHO": "me", "SECRET": "word"}
    assert body == b"some text"


ROUTED = {"UWSGI_ROUTER": "http", "HTTP_ACCEPT_ENCODING": "br, gzip;q=0.5"}
ASKS = ("uWSGI-Encoding", "gzip")


def test_an_answer_that_asks_is_compressed():
    _, headers, body, _ = call(answering(ASKS, ("X", "1")), {"auto_gzip": True}, **ROUTED)
    assert headers == [("X", "1"), ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
    assert gzip.decompress(body) == b"some text"


@pytest.mark.parametrize("header, environ", [
    (("X", "1"), ROUTED), (("Content-Length", "9"), ROUTED), (("Content-Encoding", "br"), ROUTED),
    (ASKS, {**ROUTED, "UWSGI_ROUTER": ""}), (ASKS, {**ROUTED, "REQUEST_METHOD": "HEAD"}),
    (ASKS, {**ROUTED, "HTTP_ACCEPT_ENCODING": "identity, gzip;q=0.0"}), (ASKS, {**ROUTED, "HTTP_ACCEPT_ENCODING": ""}),
])
def test_others_are_not(header, environ):
    headers = [header] if header in (ASKS, ("X", "1")) else [ASKS, header]
    _, got, body, _ = call(answering(*headers), {"auto_gzip": True}, **environ)
    assert (got, body) == (headers, b"some text")


def test_a_generator_that_starts_late_and_one_that_writes():
    def late(environ, start_response):
        write = start_response("200 OK", [ASKS])
        write(b"first ")
        yield b"second"

    _, _, body, _ = call(late, {"auto_gzip": True}, **ROUTED)
    assert gzip.decompress(body) == b"first second"


def test_each_part_can_be_read_when_it_is_sent():
    part = os.urandom(100)
    options = {"collect_headers": None, "pull_headers": None, "auto_gzip": True, "no_delay": False}
    body = responses.wrap(answering(ASKS, parts=[part, b"end"]), options, None)({"REQUEST_METHOD": "GET", **ROUTED}, lambda *_: None)
    first = next(body)
    assert gzip.zlib.decompressobj(wbits=responses.GZIP).decompress(first) == part
    body.close()


def test_the_body_is_closed():
    class Body(list):
        closed = 0

        def close(self):
            self.closed += 1

    body = Body([b"x"])

    def app(environ, start_response):
        start_response("200 OK", [])
        return body

    call(app, {"auto_gzip": True}, **ROUTED)
    assert body.closed == 1
