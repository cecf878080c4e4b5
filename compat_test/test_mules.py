"""Mules and farms: what they run, who replaces them when, and that no message is lost."""
import json
import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest
from asking import APP, ask, notes
from http_client import eventually
from load import Several
from server import alive, free_port


def pid_of(running, number=1, before=()):
    """The process of a mule, once it is none of those."""
    def found():
        pids = [int(pid) for pid in re.findall(rf"spawned uWSGI mule {number} \(pid: (\d+)\)", running.log())]
        return pids and pids[-1] not in before and alive(pids[-1]) and pids[-1]
    return eventually(found, 20)


def gone(running, pid, limit=8.0):
    """Until the process has ended, which must not take long."""
    eventually(lambda: not alive(pid), limit)


# Notes each message with the mule that has got it.
HEARING = APP + """
uwsgi.mule_msg_hook = lambda message: note(f"{where()} {message.decode()}")
"""

SCRIPT = """
import os, time, uwsgi
def note(text, file="notes"):
    fd = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, (text + "\\n").encode())
    os.close(fd)
def until(name):
    while not os.path.exists(name):
        time.sleep(0.01)
"""


def test_messages_reach_whom_they_are_for(server, way):
    app = HEARING + "uwsgi.mule_msg('from the import', 2)\n"
    running = server(way, ["--master", "-p", "2", "--mules", "3", "--farm", "f:1,2"], app=app)
    eventually(lambda: notes(running) == ["mule2 from the import"])
    assert ask(way, "[uwsgi.mule_msg('to one', 3), uwsgi.mule_msg(b'to a farm', b'f'), uwsgi.farm_msg('f', 'again'), "
                    "uwsgi.farm_msg('none', '')]") == [True, True, None, None]
    eventually(lambda: len(notes(running)) == 4)
    assert "mule3 to one" in notes(running)
    assert {line.split()[0] for line in notes(running) if line.endswith(("farm", "again"))} <= {"mule1", "mule2"}
    assert ask(way, "[uwsgi.mule_msg(f'any {n}') for n in range(30)].count(True)") == 30
    eventually(lambda: len(notes(running)) == 34)
    for refused in ("'x', 4", "'x', -1", "'x', b'none'", "'x', 'f'"):
        assert ask(way, f"""exec("try: uwsgi.mule_msg({refused}); note('taken')\\nexcept ValueError: pass") or 1""") == 1
    assert len(notes(running)) == 34


PROGRAMS = {
    "script.py": SCRIPT + """
assert __name__ == "__main__"
note(f"script {uwsgi.mule_id()} {uwsgi.worker_id()} {uwsgi.mule_file().decode()}")
while True:
    note(uwsgi.mule_get_msg().decode())
    uwsgi.mule_msg("from the mule", 2)
""",
    "jobs.py": SCRIPT + """
def run():
    note(f"function {uwsgi.mule_id()}")
    while True:
        note(f"jobs {uwsgi.mule_get_msg().decode()}")
""",
}


def test_a_mule_runs_a_file_or_a_function(server, way):
    running = server(way, ["--master", "-p", "1", "--mule=script.py", "--mule=jobs:run", "--pythonpath", ".", "--auto-procname"],
                     app=APP, files=PROGRAMS)
    eventually(lambda: sorted(notes(running)) == ["function 2", "script 1 0 script.py"])
    assert ask(way, "uwsgi.mule_msg('hello', 1)") is True
    eventually(lambda: notes(running)[2:] == ["hello", "jobs from the mule"])
    names = [Path(f"/proc/{pid_of(running, n)}/cmdline").read_bytes().rstrip(b"\0 ").decode() for n in (1, 2)]
    assert names == ["uWSGI mule 1", "uWSGI mule 2"]
    assert ask(way, "uwsgi.mule_id()") == 0


def test_arguments_of_mule_get_msg(server, way):
    script = SCRIPT + """
note(repr(uwsgi.mule_get_msg(timeout=0)))
begin = time.monotonic()
note(repr((uwsgi.mule_get_msg(timeout=1), 0.9 < time.monotonic() - begin < 5)))
note("ready")
until("go")
note(repr(uwsgi.mule_get_msg(False, buffer_size=3)))
note(repr(uwsgi.mule_get_msg(False, False, timeout=0)))
note(repr(uwsgi.mule_get_msg(signals=True, farms=False, timeout=0)))
note(repr(uwsgi.mule_get_msg(farms=True)))
note(repr(uwsgi.farm_get_msg()))
note("end")
uwsgi.mule_get_msg()
"""
    app = APP + "uwsgi.register_signal(5, 'mule1', lambda number: note('signal'))\n"
    running = server(way, ["--master", "-p", "1", "--mule=script.py", "--farm", "f:1"], app=app, files={"script.py": script})
    eventually(lambda: notes(running) == ["b''", "(b'', True)", "ready"])
    ask(way, "[uwsgi.mule_msg('abcdef', 1), uwsgi.farm_msg('f', 'one'), uwsgi.farm_msg('f', 'two'), uwsgi.signal(5)]")
    running.wait_log("spawned uWSGI mule")
    running.write("go", "")
    eventually(lambda: notes(running)[-1] == "end")
    assert notes(running)[3:] == ["b'abc'", "b''", "signal", "b''", "b'one'", "b'two'", "end"]


def test_a_full_queue_says_so_and_loses_nothing(server, way):
    script = SCRIPT + "until('go')\nwhile True: note(uwsgi.mule_get_msg().decode())\n"
    running = server(way, ["--master", "-p", "2", "--mule=script.py"], app=APP, files={"script.py": script})
    sent = ask(way, "next(n for n in range(100000) if not uwsgi.mule_msg(str(n), 1))")
    assert sent > 10 and ask(way, "uwsgi.mule_msg('too many', 1)") is False
    running.signal(signal.SIGHUP)
    pid_of(running, 1, [pid_of(running)])
    running.write("go", "")
    eventually(lambda: len(notes(running)) >= sent)
    assert ask(way, "uwsgi.mule_msg('last', 1)") is True
    eventually(lambda: notes(running)[-1] == "last")
    assert notes(running) == [str(n) for n in range(sent)] + ["last"]
    assert ask(way, "uwsgi.mule_msg('x' * 10000000, 1)") is False
    running.wait_log("a message of 10000000 bytes: Message too long")


def test_no_message_is_lost_that_was_taken(server, way):
    """Ten times each, mules are killed, the application is reloaded, and the server is upgraded, all under load. Only the message that
    a killed mule has in its hand may be lost."""
    app = APP + """
import itertools
numbers = itertools.count()
said = os.open("said", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
got = os.open("got", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def say(to):
    text = f"{os.getpid()}-{next(numbers)}"
    if uwsgi.mule_msg(text, to):
        os.write(said, (text + "\\n").encode())
uwsgi.mule_msg_hook = lambda message: os.write(got, message + b"\\n")
"""
    running = server(way, ["--master", "-p", "2", "--mules", "2", "--farm", "f:1,2", "--pidfile", "server.pid"], app=app)

    def master():
        return int((running.dir / "server.pid").read_text())

    def version(n):
        try:
            return ask(way, "VERSION") == n
        except OSError:
            return False

    def step(_, index):
        ask(way, "[say(to) for to in (0, 1, 2, b'f') for _ in range(10)].count(None)")

    kills = 0
    with Several(2, lambda: None, step) as several:
        for n in range(10):
            for number in (1, 2):
                pid = pid_of(running, number)
                os.kill(pid, signal.SIGKILL)
                kills += 1
                eventually(lambda pid=pid: not alive(pid))
            running.write("app.py", app.replace("VERSION = 1", f"VERSION = {n + 2}"))
            os.kill(master(), signal.SIGHUP)
            eventually(lambda n=n: version(n + 2), 30)
            old = master()
            os.kill(old, signal.SIGUSR2)
            eventually(lambda old=old: not alive(old), 30)
    assert not several.failures

    def missing():
        return set(notes(running, "said")) - set(notes(running, "got"))
    eventually(lambda: len(missing()) <= kills, 30)
    for to in (0, 1, 2, b"f"):  # what is behind all others has been got
        eventually(lambda to=to: ask(way, f"uwsgi.mule_msg('end {to}', {to})"))
    eventually(lambda: len([line for line in notes(running, "got") if line.startswith("end")]) == 4)
    assert len(missing()) <= kills and len(notes(running, "said")) > 1000
    assert len(set(notes(running, "got"))) == len(notes(running, "got"))  # and none has come twice
    os.kill(master(), signal.SIGTERM)
    running.wait_gone()


def test_a_mule_is_replaced_alone(server, way):
    running = server(way, ["--master", "-p", "1", "--mules", "2", "--touch-mules-reload", "touched"], app=HEARING, files={"touched": ""})
    worker, second, pids = ask(way, "os.getpid()"), pid_of(running, 2), [pid_of(running)]
    for number in (signal.SIGTERM, signal.SIGHUP):
        os.kill(pids[-1], number)
        pids.append(pid_of(running, 1, pids))
    os.kill(pids[-1], signal.SIGKILL)
    pids.append(pid_of(running, 1, pids))
    running.wait_log(r"OOOPS mule 1 \(pid: \d+\) crippled...trying respawn... \(.*killed.*\)")
    assert alive(second)
    os.utime(running.dir / "touched", (time.time() + 10, time.time() + 10))
    pids.append(pid_of(running, 1, pids)), pid_of(running, 2, [second])
    assert ask(way, "os.getpid()") == worker
    assert ask(way, "uwsgi.mule_msg('still', 1)") is True
    eventually(lambda: notes(running) == ["mule1 still"])


def test_a_touch_just_after_the_start_counts(server, way):
    running = server(way, ["--master", "-p", "1", "--mule", "--touch-mules-reload", "touched"], app=APP, files={"touched": ""})
    pid = pid_of(running)
    os.utime(running.dir / "touched", (time.time() + 10, time.time() + 10))
    pid_of(running, 1, [pid])


def test_harakiri_ends_a_mule_in_a_long_message(server, way):
    app = HEARING.replace("lambda message:", "lambda message: until(message.decode()) or")
    running = server(way, ["--master", "-p", "1", "--mule", "--mule-harakiri", "1"], app=app)
    pid = pid_of(running)
    ask(way, "uwsgi.mule_msg('never', 1)")
    running.wait_log(rf"HARAKIRI ON MULE 1 \(pid: {pid}\)")
    pid_of(running, 1, [pid])
    running.write("now", "")
    ask(way, "uwsgi.mule_msg('now', 1)")
    eventually(lambda: notes(running) == ["mule1 now"])


def test_the_mercy_bounds_a_reload_of_a_mule(server, way):
    app = HEARING.replace("lambda message:", "lambda message: note('in hand') or until(message.decode()) or")
    running = server(way, ["--master", "-p", "1", "--mule", "--mule-reload-mercy", "1"], app=app)
    pid = pid_of(running)
    ask(way, "[uwsgi.mule_msg('never', 1), uwsgi.mule_msg('app.py', 1)]")
    eventually(lambda: notes(running) == ["in hand"])
    running.signal(signal.SIGHUP)
    running.wait_log(rf"mule 1 \(pid: {pid}\) is taking too much time to die...NO MERCY")
    pid_of(running, 1, [pid])
    eventually(lambda: notes(running) == ["in hand", "in hand", "mule1 app.py"])


IDLE = {
    "sleeps": "import time\nwhile True: time.sleep(3600)\n",
    "waits": "import threading\nthreading.Event().wait()\n",
    "works": "import uwsgi\nuwsgi.mule_get_msg(timeout=0)\nn = 0\nwhile True: n += 1\n",
    "catches all": "import uwsgi\nwhile True:\n    try: uwsgi.mule_get_msg()\n    except: pass\n",
    "catches": "import time\nwhile True:\n    try: time.sleep(3600)\n    except Exception: pass\n",
}


@pytest.mark.parametrize("program", IDLE)
def test_a_mule_that_takes_no_messages_delays_nothing(server, way, program):
    running = server(way, ["--master", "-p", "1", "--mule=mule.py"], app=APP, files={"mule.py": IDLE[program]})
    pid = pid_of(running)
    running.signal(signal.SIGHUP)
    gone(running, pid)
    pid = pid_of(running, 1, [pid])
    running.signal(signal.SIGTERM)
    assert running.wait_exit(8) == 0
    assert not alive(pid) and "NO MERCY" not in running.log()


def test_a_mule_that_is_told_to_leave_while_it_starts_does(server, way):
    hook = "exec:touch hooked; until test -e go; do sleep 0.01; done"
    running = server(way, ["--master", "-p", "1", "--mule=mule.py", "--hook-as-mule", hook], app=APP, files={"mule.py": IDLE["sleeps"]})
    pid = pid_of(running)
    eventually((running.dir / "hooked").exists)
    os.kill(pid, signal.SIGTERM)
    running.write("go", "")
    gone(running, pid)


@pytest.mark.parametrize("end", ["", "raise ValueError('of the mule')", "import sys; sys.exit(3)", "import os; os._exit(4)"])
def test_a_program_that_ends_is_run_again_after_a_while(server, way, end):
    script = SCRIPT + f"note(str(time.monotonic()), 'starts')\n{end}\n"
    running = server(way, ["--master", "-p", "1", "--mule=mule.py"], app=APP, files={"mule.py": script})
    starts = eventually(lambda: len(notes(running, "starts")) >= 6 and [float(line) for line in notes(running, "starts")], 30)
    assert starts[5] - starts[4] > 0.35 > starts[1] - starts[0] > 0
    assert ("ValueError: of the mule" in running.log()) == ("raise" in end)
    assert ask(way, "1") == 1


def test_mules_end_with_their_master(server, way):
    running = server(way, ["--master", "-p", "1", "--mules", "2", "--mule=mule.py"], app=APP, files={"mule.py": IDLE["sleeps"]})
    for n in (1, 2, 3):
        pid_of(running, n)
    running.signal(signal.SIGKILL)
    running.process.wait(10)
    running.wait_gone()


@pytest.mark.parametrize("option", ["--mule-reload-mercy=1", "--no-orphans"])
def test_a_busy_mule_does_not_outlive_its_master_for_long(server, way, option):
    app = HEARING.replace("lambda message:", "lambda message: note('in hand') or until(message.decode()) or")
    running = server(way, ["--master", "-p", "1", "--mule", option], app=app)
    pid_of(running)
    ask(way, "uwsgi.mule_msg('never', 1)")
    eventually(lambda: notes(running) == ["in hand"])
    running.signal(signal.SIGKILL)
    running.process.wait(10)
    running.wait_gone()


def test_a_lost_zygote_takes_no_mule_with_it_and_doubles_none(server, way):
    running = server(way, ["--master", "-p", "1", "--mules", "2"], app=HEARING)
    first = [pid_of(running, 1), pid_of(running, 2)]
    worker = ask(way, "os.getpid()")
    zygote = [pid for pid in running.processes() if pid not in (running.pid, worker, *first)]
    assert len(zygote) == 1
    os.kill(zygote[0], signal.SIGKILL)
    eventually(lambda: ask(way, "os.getpid()") != worker, 20)
    second = [pid_of(running, n, first) for n in (1, 2)]
    eventually(lambda: not any(map(alive, first)))
    eventually(lambda: len(running.processes()) == 5)  # master, zygote, worker, mules
    assert ask(way, "[uwsgi.mule_msg('hello', n) for n in (1, 2)]") == [True, True]
    eventually(lambda: sorted(notes(running)) == ["mule1 hello", "mule2 hello"])
    assert all(map(alive, second))


def test_mules_of_the_old_code_stay_when_the_new_is_broken(server, way):
    running = server(way, ["--master", "-p", "1", "--mule"], app=HEARING)
    pid = pid_of(running)
    running.write("app.py", "raise ValueError('broken')\n")
    running.signal(signal.SIGHUP)
    running.wait_log("ValueError: broken")
    eventually(lambda: re.search("(?i)reload.*fail|fail.*reload|goes on|stays", running.log()))
    assert ask(way, "uwsgi.mule_msg('of the old code', 1)") is True
    eventually(lambda: notes(running) == ["mule1 of the old code"])
    assert alive(pid)
    running.write("app.py", HEARING)
    running.signal(signal.SIGHUP)
    pid_of(running, 1, [pid])


def test_the_end_of_a_mule_calls_what_the_application_wants_called(server, way):
    app = HEARING + """
import atexit
uwsgi.atexit = lambda: note(f"{where()} uwsgi.atexit")
atexit.register(lambda: note(f"{where()} atexit"))
uwsgi.post_fork_hook = lambda: note(f"{where()} forked")
"""
    running = server(way, ["--master", "-p", "1", "--mule", "--hook-as-mule", "write:hooked by a mule"], app=app)
    eventually(lambda: "mule1 forked" in notes(running))
    assert (running.dir / "hooked").read_text() == "by a mule"
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    assert [line for line in notes(running) if line.startswith("mule1")] == ["mule1 forked", "mule1 uwsgi.atexit", "mule1 atexit"]


def test_hooks_that_raise_end_nothing(server, way):
    app = APP + """
def broken(message):
    raise ValueError(message.decode())
uwsgi.mule_msg_hook = broken
uwsgi.install_mule_msg_hook(lambda message: note("second " + message.decode()))
"""
    running = server(way, ["--master", "-p", "1", "--mule"], app=app)
    pid = pid_of(running)
    ask(way, "uwsgi.mule_msg('hello')")
    running.wait_log("ValueError: hello")
    eventually(lambda: notes(running) == ["second hello"])
    assert alive(pid) and "crippled" not in running.log()


def test_a_message_that_nobody_wants_is_mentioned(server, way):
    running = server(way, ["--master", "-p", "1", "--mule"], app=APP)
    ask(way, "uwsgi.mule_msg('x' * 1000, 1)")
    running.wait_log(r"mule 1 received a 1000 bytes message")
    ask(way, "[uwsgi.mule_msg('', 1), uwsgi.mule_msg('xx', 1)]")
    running.wait_log(r"mule 1 received a 2 bytes message")


def test_reloads_leave_nothing_behind(server, way):
    running = server(way, ["--master", "-p", "1", "--mules", "2", "--farm", "f:1,2"], app=HEARING)

    def held():
        descriptors = {pid: len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in running.processes()}
        resident = int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{running.pid}/status").read_text())[1])
        return descriptors[running.pid], sorted(descriptors.values()), resident

    def reload(n):
        before = [pid_of(running, number) for number in (1, 2)]
        running.write("app.py", HEARING.replace("VERSION = 1", f"VERSION = {n}"))
        running.signal(signal.SIGHUP)
        eventually(lambda: ask(way, "VERSION") == n, 30)
        for number in (1, 2):
            pid_of(running, number, before)

    for n in range(2, 7):
        reload(n)
    eventually(lambda: len(running.processes()) == 5)
    base = held()
    for n in range(7, 52):
        reload(n)
    eventually(lambda: len(running.processes()) == 5)
    eventually(lambda: held()[:2] == base[:2])
    assert held()[2] < base[2] + 8 << 10  # KiB
    assert ask(way, "[uwsgi.mule_msg('hello', n) for n in (1, 2)]") == [True, True]
    eventually(lambda: sorted(notes(running)) == ["mule1 hello", "mule2 hello"])


def test_statistics_have_mules(server, way):
    stats = free_port()
    running = server(way, ["--master", "-p", "1", "--mule=mule.py", "--stats", f"127.0.0.1:{stats}"], app=APP,
                     files={"mule.py": SCRIPT + "while True: note(uwsgi.mule_get_msg().decode())\n"})

    def mules():
        with socket.create_connection(("127.0.0.1", stats), 5) as client:
            return json.loads(b"".join(iter(lambda: client.recv(65536), b""))).get("mules")
    pid = pid_of(running)
    ask(way, "uwsgi.mule_msg('hello')")
    eventually(lambda: notes(running) == ["hello"])
    (one,) = eventually(lambda: mules())
    assert one["id"] == 1 and one["pid"] == pid
