"""Arithmetic of metrics, which is that of numbers of 64 bits, and exact between processes."""
import os
from ctypes import c_int64
from types import SimpleNamespace

import pytest
from envoxyd_worker import uwsgi_module
from envoxyd_worker.layouts import METRIC
from envoxyd_worker.uwsgi_module import metrics
from test_shared_memory import in_child, make

LEAST, MOST = -(1 << 63), (1 << 63) - 1


@pytest.fixture
def uwsgi():
    fd = os.memfd_create("metrics")
    os.write(fd, METRIC.pack(1, b"") + METRIC.pack(0, b"m") + bytes(10 * METRIC.size))
    state = SimpleNamespace(spec={"metrics_fd": fd}, shared=uwsgi_module.state(make()).shared)
    return SimpleNamespace(**metrics.functions(state))


def after(uwsgi, start, name, *value):
    assert uwsgi.metric_set("m", start) is True
    assert getattr(uwsgi, "metric_" + name)("m", *value) is True
    return uwsgi.metric_get("m")


@pytest.mark.parametrize("start", [0, 1, -1, 7, -7, 1 << 40, MOST, LEAST])
@pytest.mark.parametrize("by", [1, -1, 2, 3, -3, 1 << 40, MOST, LEAST])
def test_numbers_wrap_and_are_cut_as_those_of_c(uwsgi, start, by):
    assert after(uwsgi, start, "inc", by) == c_int64(start + by).value
    assert after(uwsgi, start, "mul", by) == c_int64(start * by).value
    exact = -(-start // by) if (start < 0) != (by < 0) else start // by
    assert after(uwsgi, start, "div", by) == (start if (start, by) == (LEAST, -1) else exact)
    assert (after(uwsgi, start, "set_max", by), after(uwsgi, start, "set_min", by)) == (max(start, by), min(start, by))


def test_what_cannot_be_done(uwsgi):
    assert (after(uwsgi, 5, "div", 0), after(uwsgi, 5, "dec"), after(uwsgi, 5, "mul")) == (5, 4, 5)
    assert (uwsgi.metric_get("none"), uwsgi.metric_inc("none"), uwsgi.metric_mul("none", 1 << 64)) == (0, None, None)
    for name in ("set", "inc", "dec", "mul", "div", "set_max", "set_min"):
        change = getattr(uwsgi, "metric_" + name)
        with pytest.raises(OverflowError):
            change("m", 1 << 64)
        for arguments in (("m", 1.5), (b"m",), ("m", "1")):
            with pytest.raises(TypeError):
                change(*arguments)
    assert uwsgi.metric_get("m") == 5


def test_processes_multiply_at_once(uwsgi):
    uwsgi.metric_set("m", 1)

    def multiply():
        for _ in range(5000):
            uwsgi.metric_mul("m", 3)

    pids = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            try:
                multiply()
            finally:
                os._exit(0)
        pids.append(pid)
    assert in_child(multiply)
    for pid in pids:
        os.waitpid(pid, 0)
    assert uwsgi.metric_get("m") == c_int64(pow(3, 20000, 1 << 64)).value
