"""The `uwsgi` module as applications see it before any request."""
import json
import os

import pytest
from envoxyd_worker import layouts, uwsgi_module
from specs import ALONE

SPEC = {
    **ALONE,
    "version": "2.1.0-envoxyd", "processes": 3, "threads": 2, "cores": 2,
    "loop": None, "started_on": 1, "master_pid": 0, "generation": 1, "sockets": [{"fd": 7}],
    "limits": {"buffer_size": 4096}, "python": {"hostname": "here", "pidfile": "p", "locks": 0}, "locks_fd": os.memfd_create("locks"),
    "opt": [["master", "", True], ["processes", "3", False], ["env", "A=1", False], ["env", "B=2", False], ["conf", "/c.json", False]],
    "service": {"log": {"level": 6}}, "mules": {"list": [], "farms": [], "shared": {}, "receive_size": 65536},
}


@pytest.fixture
def uwsgi():
    return uwsgi_module.make(SPEC)


def test_options_are_true_bytes_or_lists_of_them(uwsgi):
    content = {"log": {"level": 6}}
    assert uwsgi.opt == {"master": True, "processes": b"3", "env": [b"A=1", b"B=2"], "conf": b"/c.json", "conf_content": content}
    uwsgi.opt["mine"] = 1.5
    assert uwsgi.opt["mine"] == 1.5


def test_identity(uwsgi):
    assert (uwsgi.version, uwsgi.version_info) == (b"2.1.0-envoxyd", (2, 1, 0, 0, b"envoxyd"))
    assert uwsgi.version_info >= (2, 0, 30)
    assert (uwsgi.numproc, uwsgi.cores, uwsgi.worker_id(), uwsgi.mule_id(), uwsgi.masterpid()) == (3, 2, 0, 0, 0)
    assert (uwsgi.hostname, uwsgi.pidfile, uwsgi.sockets, uwsgi.is_a_reload, uwsgi.ready()) == (b"here", b"p", [7], True, None)


def test_log_writes_a_line_and_takes_nothing_but_str(uwsgi, capfd):
    assert uwsgi.log("one") is True
    assert capfd.readouterr().err == "one\n"
    with pytest.raises(TypeError):
        uwsgi.log(b"bytes")
    with pytest.raises(ValueError):
        uwsgi.log("a\0b")


def test_what_needs_a_request_says_so(uwsgi):
    for call in (uwsgi.connection_fd, uwsgi.disconnect, uwsgi.request_id, lambda: uwsgi.set_user_harakiri(1)):
        with pytest.raises(RuntimeError):
            call()
    assert not hasattr(uwsgi, "env")


def test_rpc_within_the_process(uwsgi):
    assert uwsgi.register_rpc("twice", lambda text: text * 2) is True
    assert uwsgi.call(b"twice", b"ab") == uwsgi.rpc(None, b"twice", b"ab") == b"abab"
    assert uwsgi.rpc_list() == (b"twice",)
    uwsgi.register_rpc("text", lambda: "not bytes")
    assert uwsgi.call(b"text") is None and uwsgi.call(b"absent") is None
    with pytest.raises(ValueError):
        uwsgi.call("twice", b"ab")


def test_without_a_cache_nothing_is_found(uwsgi):
    assert uwsgi.cache_get("k") is None and uwsgi.cache_set("k", "v") is None
    with pytest.raises(ValueError):
        uwsgi.cache_keys()


def test_a_lock_that_a_dead_process_held_is_free(uwsgi):
    uwsgi.lock()
    assert uwsgi.is_locked() is True
    uwsgi.unlock()
    assert uwsgi.is_locked() is False
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        uwsgi.lock()
        os.write(tell, b"x")
        os.close(tell)
        os.read(os.pipe()[0], 1)  # until it is killed
    assert os.read(ready, 1) == b"x"
    assert uwsgi.is_locked() is True
    os.kill(child, 9)
    os.waitpid(child, 0)
    uwsgi.lock()
    uwsgi.unlock()
    with pytest.raises(ValueError):
        uwsgi.lock(1)


def test_the_size_of_the_log_is_its_files(tmp_path):
    (tmp_path / "x.log").write_text("12345")
    for name, size in ((str(tmp_path / "x.log"), 5), (str(tmp_path / "none"), 0), ("", 0)):
        assert uwsgi_module.make({**SPEC, "log": {"file": name}}).logsize() == size


def test_an_alarm_is_reported_to_the_master():
    ours, theirs = os.pipe()
    try:
        uwsgi = uwsgi_module.make({**SPEC, "event_fd": theirs})
        assert uwsgi.alarm("disk", "full \u00e9" * 10000) is None
        event = json.loads(os.read(ours, 65536))
        assert (event["kind"], event["option"], event["text"][:6]) == ("alarm", "disk", "full \u00e9")
        with pytest.raises(TypeError):
            uwsgi.alarm(b"disk", "full")
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_worker_is_all_of_its_rows():
    """One of two workers has a successor beside it, and rows of processes that have gone."""
    def row(worker, pid, requests, state=layouts.IDLE):
        core = layouts.Core(*[0] * (len(layouts.Core._fields) - 1), b"")
        first = core._replace(worker=worker, pid=pid, requests=requests, state=state, sent=10, micros=requests * 7)
        return layouts.CORE.pack(*first) + layouts.CORE.pack(*first._replace(worker=0, exceptions=1))

    board = os.memfd_create("board")
    os.write(board, row(1, 11, 5) + row(2, 0, 3, layouts.BUSY) + row(2, 22, 1) + row(0, 0, 0) + row(2, 0, 100, layouts.ABSENT))
    os.ftruncate(board, 5 * 2 * (layouts.CORE.size + layouts.CORE_TIMING))
    module = uwsgi_module.make({**SPEC, "processes": 2, "scoreboard_fd": board})
    one, two = module.workers()
    assert (one["id"], one["pid"], one["requests"], one["status"], one["exceptions"]) == (1, 11, 10, b"idle", 1)
    assert (two["id"], two["pid"], two["requests"], two["status"], two["tx"]) == (2, 22, 208, b"busy", 60)
    assert two["avg_rt"] == 7
    assert module.total_requests() == 218


def test_only_a_mule_may_end_in_its_hook(uwsgi, capfd):
    def leave():
        raise SystemExit(3)

    uwsgi.post_fork_hook = uwsgi.atexit = leave
    mine = uwsgi_module.state(uwsgi)
    with pytest.raises(SystemExit):
        uwsgi_module.run_hook(uwsgi, "post_fork_hook")
    uwsgi_module.run_hook(uwsgi, "atexit")
    mine.worker = 1
    uwsgi_module.run_hook(uwsgi, "post_fork_hook")
    assert capfd.readouterr().err.count("SystemExit: 3") == 2
