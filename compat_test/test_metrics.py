"""Metrics: exact from several processes, kept as long as they should be, and where they are seen."""
import json
import os
import re
import signal
import socket

import pytest
from asking import APP, ask, notes
from http_client import eventually
from load import Several
from server import alive, free_port


def statistics(port):
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        return json.loads(b"".join(iter(lambda: client.recv(65536), b"")))


def test_counts_of_four_processes_are_exact(server, way):
    app = APP + "note(f'{uwsgi.metric_inc(\"count\", 7)}', 'imported')\n"
    running = server(way, ["--master", "-p", "3", "--mule=mule.py", "--metric", "count", "--metric", "name=start,initial_value=-5",
                           "--metric", "max", "--metric", "min"], app=app, files={"mule.py": """
import uwsgi
while uwsgi.mule_get_msg() == b"go":
    for n in range(20000):
        uwsgi.metric_inc("count")
    uwsgi.metric_inc("start", 1005)
"""})
    eventually(lambda: notes(running, "imported") == ["True"])
    assert ask(way, "uwsgi.mule_msg('go', 1)") is True
    step = "[(uwsgi.metric_inc('count'), uwsgi.metric_dec('count', 3), uwsgi.metric_inc('count', 4), uwsgi.metric_set_max('max', n), " \
           "uwsgi.metric_set_min('min', -n)) for n in range(1000)].count(1)"
    done = []
    with Several(3, lambda: None, lambda _, index: (ask(way, step), done.append(1))) as several:
        eventually(lambda: len(done) > 20 or several.failures, 30)
    assert not several.failures
    eventually(lambda: ask(way, "uwsgi.metric_get('start')") == 1000)
    assert ask(way, "uwsgi.metric_get('count')") == 7 + 20000 + 2000 * len(done)
    assert ask(way, "[uwsgi.metric_get('max'), uwsgi.metric_get('min')]") == [999, -999]


def test_functions_and_their_limits(server, way):
    server(way, ["--master", "-p", "1", "--metric", "m"], app=APP + """
def refused(function, *args):
    try:
        return function(*args)
    except (TypeError, ValueError, OverflowError) as error:
        return type(error).__name__
""")
    assert ask(way, "[uwsgi.metric_set('m', 10), uwsgi.metric_mul('m', 3), uwsgi.metric_div('m', 4)]") == [True] * 3
    assert ask(way, "uwsgi.metric_get('m')") == 7
    assert ask(way, "[uwsgi.metric_set('none', 1), uwsgi.metric_inc('none'), uwsgi.metric_get('none'), uwsgi.metric_get('m\\0')]") == [
        None, None, 0, 0]
    for call in ("uwsgi.metric_get, b'm'", "uwsgi.metric_get, 1", "uwsgi.metric_set, 'm', 'x'", "uwsgi.metric_inc, 'm', 1.5"):
        assert ask(way, f"refused({call})") == "TypeError", call
    assert ask(way, "refused(uwsgi.metric_set, 'm', 1 << 64)") in ("OverflowError", "ValueError")
    pid = ask(way, "os.getpid()")
    for value, change in (("-1 << 63", "div, 'm', -1"), ("5", "div, 'm', 0"), ("(1 << 63) - 1", "inc, 'm'"), ("1", "dec, 'm', -1 << 63")):
        assert ask(way, f"[uwsgi.metric_set('m', {value}), refused(uwsgi.metric_{change})]")[0] is True
    assert ask(way, "os.getpid()") == pid
    assert ask(way, "[uwsgi.metric_set('m', -1 << 63), uwsgi.metric_get('m')]") == [True, -1 << 63]


def test_values_are_kept_over_reloads_and_upgrades(server, way):
    running = server(way, ["--master", "-p", "2", "--pidfile", "server.pid", "--ini", "more.ini"], app=APP,
                     files={"more.ini": "[uwsgi]\nmetric = kept\nmetric = name=first,initial_value=3\n"})
    assert ask(way, "[uwsgi.metric_inc('kept', 41), uwsgi.metric_inc('first')]") == [True, True]

    def reload(version, options):
        running.write("more.ini", f"[uwsgi]\n{options}\n")
        running.write("app.py", APP.replace("VERSION = 1", f"VERSION = {version}"))
        os.kill(int((running.dir / "server.pid").read_text()), signal.SIGHUP)
        eventually(lambda: ask(way, "VERSION") == version, 20)

    reload(2, "metric = added\nmetric = kept")
    assert ask(way, "[uwsgi.metric_get('kept'), uwsgi.metric_inc('added'), uwsgi.metric_get('added')]") == [41, True, 1]
    old = running.pid
    os.kill(old, signal.SIGUSR2)
    eventually(lambda: not alive(old), 30)
    assert ask(way, "[uwsgi.metric_get('kept'), uwsgi.metric_get('added'), uwsgi.metric_get('first')]") == [41, 1, 4]
    reload(3, "metric = name=first,initial_value=3\nmetric = kept")
    assert ask(way, "[uwsgi.metric_get('kept'), uwsgi.metric_get('first')]") == [41, 4]
    os.kill(int((running.dir / "server.pid").read_text()), signal.SIGTERM)
    running.wait_gone()


def test_a_threshold_raises_its_alarm(server, way):
    running = server(way, ["--master", "-p", "1", "--metric", "load", "--metric", "quiet",
                           "--alarm", "save cmd:cat >> alarms; echo >> alarms",
                           "--metric-threshold", "key=load,value=10,alarm=save,msg=too much,reset=2",
                           "--metric-threshold", "key=quiet,value=10,alarm=save,msg=never"], app=APP)
    ask(way, "uwsgi.metric_set('quiet', 9)")
    ask(way, "uwsgi.metric_set('load', 10)")
    eventually(lambda: notes(running, "alarms") == ["too much"])
    eventually(lambda: ask(way, "uwsgi.metric_get('load')") == 2)
    assert ask(way, "uwsgi.metric_get('quiet')") == 9


@pytest.mark.parametrize("made", [True, False])
def test_a_file_for_each_metric_is_written_and_read_back(server, way, made):
    files = {"numbers/.keep": ""} if made else {}
    args = ["--master", "-p", "1", "--metric", "mine", "--metric", "a/../b", "--metrics-dir", "numbers", "--metrics-dir-restore"]
    running = server(way, args, app=APP, files=files)
    ask(way, "[uwsgi.metric_set('mine', 77), uwsgi.metric_set('a/../b', -3)]")
    path = running.dir / "numbers" / "mine"
    eventually(lambda: path.exists() and path.read_bytes().startswith(b"77\n"))
    assert path.stat().st_mode & 0o777 == 0o640 and path.stat().st_size == 4096
    eventually(lambda: int((running.dir / "numbers" / "worker.1.requests").read_bytes().split(b"\n")[0]) >= 1)
    assert not (running.dir / "b").exists()
    running.signal(signal.SIGTERM)
    running.process.wait(10)
    if made:
        path.write_text("nonsense")
    running.start().wait_port(way.listens)
    assert ask(way, "[uwsgi.metric_get('mine'), uwsgi.metric_get('a/../b')]") == [0 if made else 77, -3]
    assert not made or re.search("metric", running.log())


def test_what_is_changed_just_before_a_stop_is_restored(server, way):
    args = ["--master", "-p", "1", "--metric", "mine", "--metrics-dir", "numbers", "--metrics-dir-restore"]
    running = server(way, args, app=APP + "uwsgi.atexit = lambda: uwsgi.metric_inc('mine', 100)\n", files={"numbers/.keep": ""})
    ask(way, "uwsgi.metric_inc('mine')")
    running.signal(signal.SIGTERM)
    running.process.wait(10)
    running.start().wait_port(way.listens)
    assert ask(way, "uwsgi.metric_get('mine')") == 101


def test_collectors_and_where_metrics_are_seen(server, way):
    stats = free_port()
    running = server(way, ["--master", "-p", "2", "--stats", f"127.0.0.1:{stats}", "--enable-metrics", "--metric", "one", "--metric", "two",
                           "--metric", "name=sum,collector=sum,children=one;two", "--metric", "name=avg,collector=avg,children=one;two",
                           "--metric", "name=more,collector=adder,children=one;two,arg1n=1000",
                           "--metric", "name=times,collector=multiplier,children=one;two,arg1n=3",
                           "--metric", "name=grown,collector=accumulator,children=one",
                           "--metric", "name=file,collector=file,arg1=number,type=gauge", "--metric", "name=other,type=alias,alias=one"],
                     app=APP, files={"number": " 55 \n"})
    ask(way, "[uwsgi.metric_set('one', 10), uwsgi.metric_set('two', 30)]")
    eventually(lambda: ask(way, "[uwsgi.metric_get(name) for name in ('sum', 'avg', 'more', 'times', 'file')]") == [40, 20, 1040, 120, 55])
    eventually(lambda: ask(way, "uwsgi.metric_get('grown')") >= 20)
    shown = eventually(lambda: (seen := statistics(stats)["metrics"]) and seen["sum"]["value"] == 40 and seen)
    assert shown["other"]["value"] == 10 and shown["file"] == {**shown["file"], "type": 1, "value": 55}
    requests = shown["worker.1.requests"]["value"] + shown["worker.2.requests"]["value"]
    assert 0 < requests <= shown["worker.0.requests"]["value"] and shown["core.routed_signals"]["value"] == 0
    (running.dir / "number").unlink()
    running.wait_log('metric "file": .*no such file')
    assert ask(way, "uwsgi.metric_get('file')") == 55


def test_without_metrics_the_functions_say_so(server, way):
    server(way, ["--master", "-p", "1"], app=APP)
    assert ask(way, "[uwsgi.metric_get('x'), uwsgi.metric_inc('x'), uwsgi.metric_set('x', 1)]") == [0, None, None]
