"""uwsgi.spool and its kin, the decorators over it, and jobs from the network."""
import os
import pickle
import struct
import sys

import pytest
from envoxyd_worker import uwsgi_module
from envoxyd_worker.spooling import files
from envoxyd_worker.uwsgi_module.spoolpackets import answer_spool
from spoolers import SPEC, Spoolers

IMPORTABLE = os.path.join(os.path.dirname(os.path.dirname(uwsgi_module.__path__[0])), "importable")


@pytest.fixture
def spoolers(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    made = Spoolers(tmp_path / "one", tmp_path / "two")
    yield made
    made.close()


def rung(spoolers, number):
    try:
        return os.read(spoolers.spoolers[number]["wake_fd"], 8) == struct.pack("@Q", 1)
    except BlockingIOError:
        return False


def test_a_job_is_written_and_its_spooler_woken(spoolers, tmp_path):
    uwsgi, job = spoolers.uwsgi, {b"k": b"v", b"at": b"9999999999", b"body": b"B"}
    name = uwsgi.spool(job)
    assert isinstance(name, bytes) and os.path.dirname(name) == os.fsencode(tmp_path / "one") == uwsgi.spoolers[0]
    assert files.read(name) == ({b"k": b"v", b"at": b"9999999999"}, b"B") and b"body" in job
    assert (rung(spoolers, 0), rung(spoolers, 0), rung(spoolers, 1)) == (True, False, False)
    assert uwsgi.spooler_jobs() == [name]
    assert uwsgi.spooler_get_task(name.decode()) == {"spooler_task_name": name, b"k": b"v", b"at": b"9999999999", "body": b"B"}
    assert uwsgi.spooler_get_task("/nosuch") is None and uwsgi.spooler_get_task(str(tmp_path)) is None
    assert uwsgi.send_to_spooler is uwsgi.spool


def test_a_job_names_its_spooler_by_any_path_of_it(spoolers, tmp_path):
    os.symlink(tmp_path / "two", tmp_path / "link")
    for path in (tmp_path / "two", tmp_path / "link", tmp_path / "one" / ".." / "two"):
        name = spoolers.uwsgi.spool({b"spooler": os.fsencode(path), b"priority": b"5"})
        assert os.path.dirname(name) == os.fsencode(tmp_path / "two" / "5")
    assert rung(spoolers, 1) and not rung(spoolers, 0)


@pytest.mark.parametrize("args, kwargs", [
    ((), {}), (("x",), {}), (({"a": b"1"},), {}), (({b"a": "1"},), {}), (({b"a": 5},), {}), ((), {"a": b"1"}), (({b"a": b"1"}, {}), {}),
    (({b"spooler": b"/nosuch"},), {}), (({b"spooler": "text"},), {}), (({b"priority": b"../x"},), {}), (({b"priority": 1},), {}),
    (({b"at": 5},), {}), (({b"body": "text"},), {}), (({b"at": b"9" * 40},), {}), (({b"a": b"x" * 70000},), {}),
])
def test_what_spool_refuses(spoolers, tmp_path, args, kwargs):
    with pytest.raises(ValueError):
        spoolers.uwsgi.spool(*args, **kwargs)
    assert not list((tmp_path / "one").iterdir()) and not rung(spoolers, 0)


def test_the_frequency_is_shared_by_all_processes(spoolers):
    child = os.fork()
    if child == 0:
        os._exit(0 if spoolers.uwsgi.set_spooler_frequency(7) is True else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert spoolers.state.spooling.frequency() == 7 and rung(spoolers, 0) and rung(spoolers, 1)
    with pytest.raises(TypeError):
        spoolers.uwsgi.set_spooler_frequency("7")


def test_a_descriptor_that_is_another_file_by_now_is_left_alone(spoolers, tmp_path):
    with open(tmp_path / "file", "w") as file:
        os.dup2(file.fileno(), spoolers.spoolers[0]["wake_fd"])
        spoolers.uwsgi.spool({b"a": b"1"})
    assert (tmp_path / "file").read_bytes() == b""


def test_who_is_a_spooler(spoolers):
    uwsgi = spoolers.uwsgi
    assert uwsgi.i_am_the_spooler() is None
    with pytest.raises(ValueError):
        uwsgi.spooler_dir()
    spoolers.state.spooler, spoolers.state.spooler_dir = 2, "/srv/jobs"
    assert uwsgi.i_am_the_spooler() is True and uwsgi.spooler_dir() == b"/srv/jobs"


def test_without_a_spooler_there_is_next_to_nothing():
    uwsgi = uwsgi_module.make(SPEC)
    for name in ("spool", "send_to_spooler", "spooler_jobs", "spoolers", "spooler_pid", "set_spooler_frequency", "spooler_get_task"):
        assert not hasattr(uwsgi, name), name
    assert uwsgi.i_am_the_spooler() is None and (uwsgi.SPOOL_OK, uwsgi.SPOOL_RETRY, uwsgi.SPOOL_IGNORE) == (-2, -1, 0)
    assert answer_spool(uwsgi_module.state(uwsgi), b"", b"") == b"\xff\0\0\0"


@pytest.mark.parametrize("pairs, body, want", [
    ({b"n": b"1"}, b"", b"\xff\0\0\1"), ({}, b"", b"\xff\0\0\1"), ({b"n": b"1", b"body": b"pair"}, b"rest", b"\xff\0\0\1"),
    ({b"spooler": b"/nosuch"}, b"", b"\xff\0\0\0"), ({b"priority": b"../x"}, b"", b"\xff\0\0\0"),
])
def test_a_job_from_the_network(spoolers, pairs, body, want):
    assert answer_spool(spoolers.state, files.pack(pairs.items()), body) == want
    jobs = spoolers.uwsgi.spooler_jobs()
    assert [files.read(job) for job in jobs] == ([(pairs, body)] if want[3] else [])


def test_a_packet_that_is_cut_off_is_no_job(spoolers):
    assert answer_spool(spoolers.state, b"\x05\0n", b"") == b"\xff\0\0\0"


@pytest.fixture
def decorators(spoolers, monkeypatch):
    spoolers.uwsgi.masterpid = lambda: 1
    spoolers.uwsgi.opt["spooler"] = b"one"
    monkeypatch.setitem(sys.modules, "uwsgi", spoolers.uwsgi)
    monkeypatch.syspath_prepend(IMPORTABLE)
    import uwsgidecorators

    yield uwsgidecorators
    for name in [name for name in sys.modules if name.partition(".")[0] == "uwsgidecorators"]:
        del sys.modules[name]


def run(spoolers):
    """Runs what is there once; returns how many jobs are left."""
    spoolers.process().run()
    return len(spoolers.uwsgi.spooler_jobs())


def test_a_spooled_function_gets_text(spoolers, decorators):
    got = []

    @decorators.spool
    def task(arguments):
        """Does it."""
        got.append(arguments)
        return -1  # not looked at

    name = task({"name": "ann", b"raw": b"\xff\xfe"}, n="7", body=b"\x80")
    assert os.path.dirname(name) == spoolers.uwsgi.spoolers[0] and task.__doc__ == "Does it." and not hasattr(task, "__name__")
    assert run(spoolers) == 0
    assert got == [{"spooler_task_name": os.path.basename(name).decode(), "ud_spool_func": "task", "ud_spool_ret": "-2", "name": "ann",
                    "raw": b"\xff\xfe", "n": "7", "body": b"\x80"}]
    task.spool(x="old style")
    task.f.spool(x="older")
    assert run(spoolers) == 0 and [each["x"] for each in got[1:]] == ["old style", "older"]
    assert decorators.spooler_functions == {"task": task.f}


def test_pass_arguments_keeps_values(spoolers, decorators):
    got = []

    @decorators.spool(pass_arguments=True)
    def task(*args, **kwargs):
        got.append((args, kwargs))

    task(1, [2.5, None], when={"a": (1, 2)})
    name = task("there", at="5", priority="3", spooler=spoolers.uwsgi.spoolers[1])
    assert os.path.dirname(name) == spoolers.uwsgi.spoolers[1] + b"/3" and os.stat(name).st_mtime == 5
    assert run(spoolers) == 0 and got == [((1, [2.5, None]), {"when": {"a": (1, 2)}})]


def test_what_the_function_returns_decides_for_spoolraw_alone(spoolers, decorators):
    results = [uwsgi_result for uwsgi_result in (-1, -2)]

    @decorators.spoolraw
    def raw(arguments):
        return results.pop(0)

    @decorators.spoolforever
    def again(arguments):
        return -2

    raw()
    assert (run(spoolers), run(spoolers)) == (1, 0)
    again()
    assert (run(spoolers), run(spoolers)) == (1, 1)


def test_jobs_of_unknown_functions_and_of_others_are_kept(spoolers, decorators):
    spoolers.uwsgi.spool({b"ud_spool_func": b"elsewhere"})
    spoolers.uwsgi.spool({b"n": b"1"})
    assert run(spoolers) == 2


def test_the_decorator_needs_a_spooler(spoolers, decorators):
    del spoolers.uwsgi.opt["spooler"]
    with pytest.raises(Exception, match="--spooler"):
        decorators.spool(lambda arguments: None)


def test_a_job_of_uwsgis_own_decorators_runs(spoolers, decorators):
    got = []

    @decorators.spool(pass_arguments=True)
    def task(*args, **kwargs):
        got.append((args, kwargs))

    spoolers.put(ud_spool_func=b"task", ud_spool_ret=b"-2", args=pickle.dumps((1,), 2), kwargs=pickle.dumps({"b": 2}, 2))
    assert run(spoolers) == 0 and got == [((1,), {"b": 2})]
