"""Which exceptions replace a worker, and what environs are made of."""
import sys
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


def test_an_environ_has_room_for_a_request():
    """Else the dict of each request would grow while it is filled."""
    base = {f"wsgi.{n}": n for n in range(10)}
    made = wsgi.roomy(base).copy()
    assert made == base and list(made) == list(base)
    size = sys.getsizeof(made)
    made.update({f"HTTP_{n}": n for n in range(20)})
    assert sys.getsizeof(made) == size
    large = {f"wsgi.{n}": n for n in range(50)}
    assert wsgi.roomy(large) == large
