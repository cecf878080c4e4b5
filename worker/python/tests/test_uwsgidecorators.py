"""uwsgidecorators on a made-up `uwsgi` module, which notes what it is asked for."""
import asyncio
import importlib
import inspect
import os
import sys
import threading
import types
from pathlib import Path

import pytest

IMPORTABLE = str(Path(__file__).resolve().parent.parent / "importable")


def made_up():
    """A `uwsgi` in worker 1 of a server with a master."""
    uwsgi = types.ModuleType("uwsgi")
    uwsgi.calls, uwsgi.registered, uwsgi.messages, uwsgi.incoming = [], {7: None}, [], []
    uwsgi.who = {"worker": 1, "mule": 0, "farm": None, "spooler": None}

    def noting(name, result=None):
        def function(*args):
            uwsgi.calls.append((name, *args))
            return result

        setattr(uwsgi, name, function)

    for name in ("add_timer", "add_ms_timer", "add_rb_timer", "add_file_monitor", "lock", "unlock", "set_user_harakiri",
                 "install_mule_msg_hook", "log"):
        noting(name)
    uwsgi.SPOOL_OK, uwsgi.SPOOL_RETRY, uwsgi.SPOOL_IGNORE = -2, -1, 0
    noting("add_cron", True)
    noting("register_rpc", True)
    uwsgi.masterpid = lambda: 1
    uwsgi.worker_id = lambda: uwsgi.who["worker"]
    uwsgi.mule_id = lambda: uwsgi.who["mule"]
    uwsgi.in_farm = lambda name: True if name == uwsgi.who["farm"] else None
    uwsgi.i_am_the_spooler = lambda: uwsgi.who["spooler"]
    uwsgi.signal_registered = lambda number: True if number in uwsgi.registered else None
    uwsgi.mule_msg_recv_size = lambda: 65536
    uwsgi.mule_get_msg = uwsgi.farm_get_msg = lambda: uwsgi.incoming.pop(0)

    def register_signal(number, target, function):
        uwsgi.registered[number] = (target, function)

    def mule_msg(message, mule=0):
        uwsgi.messages.append((message, mule))
        return True

    uwsgi.register_signal, uwsgi.mule_msg = register_signal, mule_msg
    return uwsgi


@pytest.fixture
def uwsgi(monkeypatch):
    made = made_up()
    monkeypatch.setitem(sys.modules, "uwsgi", made)
    monkeypatch.syspath_prepend(IMPORTABLE)
    forget()
    yield made
    forget()


def forget():
    for name in [name for name in sys.modules if name.split(".")[0] == "uwsgidecorators"]:
        del sys.modules[name]


@pytest.fixture
def decorators(uwsgi):
    return importlib.import_module("uwsgidecorators")


def test_the_import_needs_a_master_and_sets_the_hooks(uwsgi):
    uwsgi.masterpid = lambda: 0
    with pytest.raises(Exception, match="master"):
        importlib.import_module("uwsgidecorators")
    uwsgi.masterpid = lambda: 1
    decorators = importlib.import_module("uwsgidecorators")
    assert uwsgi.post_fork_hook is decorators.postfork_chain_hook
    assert ("install_mule_msg_hook", decorators.mule_msg_dispatcher) in uwsgi.calls
    space = {}
    exec("from uwsgidecorators import *", space)
    assert space["uwsgi"] is uwsgi and space["timer"] is decorators.timer and "postfork_chain" in space and "mules" not in space


def test_the_names_are_those_of_the_table(decorators, python_api):
    table = {row.name for row in python_api.rows("uwsgidecorators") if python_api.available(row)}
    assert set(decorators.__all__) - {"uwsgi"} == table


def test_postfork_runs_in_order_and_where_it_is_meant_to(uwsgi, decorators):
    ran = []

    @decorators.postfork
    def first():
        """What it is for."""
        ran.append("first")

    @decorators.postfork(2)
    def second():
        ran.append("second")

    decorators.postfork_chain.append(lambda: ran.append("a library's"))
    uwsgi.post_fork_hook()
    assert ran == ["first", "a library's"]
    uwsgi.who["worker"] = 2
    uwsgi.post_fork_hook()
    assert ran[2:] == ["first", "second", "a library's"]
    first()
    second()
    assert ran[5:] == ["first", "second"]
    assert (first.__name__, first.__doc__) == ("first", "What it is for.")
    assert decorators.postfork_chain[0] is first and first.wid == 0


@pytest.mark.parametrize(("name", "when", "call"), [
    ("timer", (3,), "add_timer"), ("mstimer", (200,), "add_ms_timer"), ("rbtimer", (3,), "add_rb_timer"),
    ("cron", (59, 3, -1, -1, -1), "add_cron"), ("filemon", ("/tmp",), "add_file_monitor"),
])
def test_what_is_scheduled_takes_a_free_signal_or_the_named_one(uwsgi, decorators, name, when, call):
    def function(number):
        """Mine."""

    decorator = getattr(decorators, name)
    assert decorator(*when)(function) is function
    assert decorator(*when, target="mule", signum=77)(function) is function
    assert uwsgi.registered[0] == ("", function) and uwsgi.registered[77] == ("mule", function)
    assert [c for c in uwsgi.calls if c[0] == call] == [(call, 0, *when), (call, 77, *when)]


def test_names_of_arguments(uwsgi, decorators):
    decorators.timer(secs=1)(print)
    decorators.cron(minute=1, hour=2, day=3, month=4, dayweek=5)(print)
    assert uwsgi.calls[-2:] == [("add_timer", 0, 1), ("add_cron", 1, 1, 2, 3, 4, 5)]
    with pytest.raises(TypeError):
        decorators.cron(1, 2, 3)


def test_signals_and_rpc_hand_the_function_over(uwsgi, decorators):
    def function(*args):
        return b"x"

    assert decorators.signal(40, target="workers")(function) is function
    assert uwsgi.registered[40] == ("workers", function)
    assert decorators.rpc("name")(function) is function
    assert ("register_rpc", "name", function) in uwsgi.calls
    with pytest.raises(AttributeError):
        decorators.erlang("name")(function)
    assert not hasattr(decorators, "metric")


def test_there_are_256_signals(uwsgi, decorators):
    uwsgi.registered = dict.fromkeys(range(255))
    assert decorators.get_free_signal() == 255
    uwsgi.registered[255] = None
    with pytest.raises(Exception, match="no free"):
        decorators.get_free_signal()


def test_a_call_of_a_mulefunc_is_a_message_that_a_mule_understands(uwsgi, decorators):
    ran = []

    @decorators.mulefunc
    def anywhere(a, b=None):
        """Doc."""
        ran.append((a, b))

    @decorators.mulefunc(2)
    def second(a):
        ran.append(a)

    @decorators.mulefunc(b"crew")
    def crew():
        ran.append("crew")

    assert anywhere([1, "x"], b={"k": None}) is None and second("s") is None and crew() is None
    assert [mule for _, mule in uwsgi.messages] == [0, 2, b"crew"]
    for message, _ in uwsgi.messages:
        decorators.mule_msg_dispatcher(message)
    assert ran == [([1, "x"], {"k": None}), "s", "crew"]
    assert anywhere.__doc__ == "Doc." and set(decorators.mule_functions) == {"anywhere", "second", "crew"}


def test_other_messages_are_left_alone_and_broken_ones_told(uwsgi, decorators):
    decorators.mule_msg_dispatcher(b"plain text")
    decorators.mule_msg_dispatcher(b"\x80\x04 pickled by somebody else")
    assert not any(name == "log" for name, *_ in uwsgi.calls)
    decorators.mule_msg_dispatcher(b"\x80 cut: uwsgi_mulefunc")
    assert uwsgi.calls[-1][0] == "log"


def test_a_call_that_does_not_arrive_is_not_lost_in_silence(uwsgi, decorators):
    @decorators.mulefunc
    def work(data):
        pass

    with pytest.raises(ValueError, match="recv-size"):
        work(b"x" * 65536)
    uwsgi.mule_msg = lambda message, mule: False
    assert work(b"x") is None
    assert uwsgi.calls[-1][0] == "log" and "lost" in uwsgi.calls[-1][1]


class Enough(SystemExit):
    """Ends what loops for ever."""


def test_mules_and_farms_run_what_is_theirs(uwsgi, decorators):
    ran = []

    @decorators.mule(1)
    def brain():
        ran.append("brain")

    @decorators.muleloop(2)
    def again():
        ran.append("again")
        if len(ran) == 3:
            raise Enough

    @decorators.mulemsg(3)
    def got(message):
        ran.append(message)

    @decorators.farm("crew")
    def crew(message):
        ran.append(message)
        raise Enough

    uwsgi.post_fork_hook()
    assert ran == []
    uwsgi.who.update(worker=0, mule=1)
    uwsgi.post_fork_hook()
    assert ran == ["brain"]
    uwsgi.who["mule"] = 2
    with pytest.raises(Enough):
        uwsgi.post_fork_hook()
    assert ran == ["brain", "again", "again"]
    uwsgi.who["mule"], uwsgi.incoming = 3, [b"one", None, b"", b"two"]
    with pytest.raises(IndexError):
        uwsgi.post_fork_hook()
    assert ran[3:] == [b"one", b"two"]
    uwsgi.who.update(mule=4, farm="crew")
    uwsgi.incoming = [b"", b"row"]
    with pytest.raises(Enough):
        uwsgi.post_fork_hook()
    assert ran[5:] == [b"row"] and brain.__name__ == "brain"


def test_an_exception_ends_a_mule(uwsgi, decorators):
    @decorators.mule(1)
    def brain():
        raise ZeroDivisionError("of the brain")

    uwsgi.who["mule"] = 1
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(writer, 2)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        try:
            uwsgi.post_fork_hook()
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as text:
        assert "ZeroDivisionError: of the brain" in text.read()
    assert os.WEXITSTATUS(os.waitpid(child, 0)[1]) == 1


def test_a_lock_is_around_the_call_whatever_happens(uwsgi, decorators):
    @decorators.lock
    def guarded(x):
        """Doc."""
        uwsgi.calls.append("in")
        return 1 // x

    uwsgi.calls.clear()
    assert guarded(1) == 1
    assert uwsgi.calls == [("lock",), "in", ("unlock",)]
    with pytest.raises(ZeroDivisionError):
        guarded(0)
    assert uwsgi.calls[-1] == ("unlock",) and guarded.__doc__ == "Doc."
    uwsgi.calls.clear()
    uwsgi.who["spooler"] = True
    assert guarded(1) is None and uwsgi.calls == []


def test_the_time_limit_ends_with_the_call_that_returns(uwsgi, decorators):
    @decorators.harakiri(30)
    def limited(x):
        return 1 // x

    uwsgi.calls.clear()
    assert limited(1) == 1
    with pytest.raises(ZeroDivisionError):
        limited(0)
    assert uwsgi.calls == [("set_user_harakiri", 30), ("set_user_harakiri", 0), ("set_user_harakiri", 30)]


def test_coroutine_functions_stay_what_they_are(uwsgi, decorators):
    async def work(x):
        """Doc."""
        await asyncio.sleep(0)
        uwsgi.calls.append("in")
        return x

    for decorate in (decorators.lock, decorators.harakiri(30)):
        wrapped = decorate(work)
        assert inspect.iscoroutinefunction(wrapped) and wrapped.__doc__ == "Doc."
        uwsgi.calls.clear()
        assert asyncio.run(wrapped(5)) == 5
        assert uwsgi.calls[1] == "in" and len(uwsgi.calls) == 3
    uwsgi.who["spooler"] = True
    assert asyncio.run(decorators.lock(work)(5)) is None


def test_a_thread_for_each_call(uwsgi, decorators):
    ran, done = [], threading.Event()

    def background(x, y=0):
        ran.append((x, y, threading.current_thread().daemon, threading.current_thread() is threading.main_thread()))
        done.set()

    start = decorators.thread(background)
    assert start(1, y=2) is background
    assert done.wait(10) and ran == [(1, 2, True, False)]
