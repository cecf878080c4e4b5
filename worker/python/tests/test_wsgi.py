"""Which exceptions replace a worker."""
import types

import pytest
from envoxyd_worker import wsgi


class Wrong(Exception):
    pass


class Mute(Exception):
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize("given, error, hit", [
    ({}, Wrong("x"), False),
    ({"types": ["Wrong"]}, Wrong("x"), True),
    ({"types": [f"{__name__}.Wrong"]}, Wrong("x"), True),
    ({"types": ["builtins.ValueError"]}, ValueError(), True),
    ({"types": ["Exception", "x"]}, Wrong("x"), False),
    ({"values": ["x y"]}, Wrong("x y"), True),
    ({"values": ["x"]}, Wrong("x y"), False),
    ({"reprs": ["Wrong: x"]}, Wrong("x"), True),
    ({"reprs": ["Wrong", "x", "Wrong: y"]}, Wrong("x"), False),
    ({"values": ["x"]}, Mute(), False),
])
def test_monitored_exceptions(given, error, hit):
    python = {"catch_exceptions": False, "reload_on_exception": False}
    python.update({"reload_on_exception_" + of: given.get(of) for of in ("types", "values", "reprs")})
    stopped = []
    errors = wsgi.Errors({"python": python}, types.SimpleNamespace(stop=stopped.append))
    assert errors(type(error), error, None, "application") is None
    assert stopped == ([5] if hit else [])
    assert errors(type(error), error, None, "after_req_hook") is None
    assert len(stopped) == hit
