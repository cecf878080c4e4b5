"""Our threads run also where `threading` has been replaced."""
import threading
import time
from _thread import get_ident

import pytest
from envoxyd_worker import threads


@pytest.mark.parametrize("replaced", [False, True])
def test_a_thread_of_the_system_with_its_name(monkeypatch, replaced):
    if replaced:
        current = threading.current_thread
        monkeypatch.setattr(threading, "current_thread", lambda: current())
    assert threads.patched() is replaced
    seen = []

    def work(what):
        seen.extend([what, get_ident(), threading.current_thread().name])

    threads.start(work, ("argument",), "name").join()
    assert (seen[0], seen[2]) == ("argument", "name")
    assert seen[1] != get_ident()


def test_join_waits_and_an_exception_is_told(monkeypatch, capfd):
    monkeypatch.setattr(threading, "Thread", None)
    order = []

    def fail():
        time.sleep(0.05)
        order.append("thread")
        raise ValueError("in a thread")

    threads.start(fail, (), "name").join()
    order.append("joined")
    assert order == ["thread", "joined"]
    assert "ValueError: in a thread" in capfd.readouterr().err
