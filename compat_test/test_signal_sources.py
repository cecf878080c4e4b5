"""What raises uwsgi signals by itself: timers, crons, and files that change."""
import os
import signal
import time

from asking import APP, ask, handled_at, notes, quietly
from http_client import eventually
from server import alive

TIMED = APP + """
def tick(number):
    note(f"{time.monotonic()}", f"ticks{number}")

uwsgi.register_signal(1, "", tick)
uwsgi.register_signal(2, "", tick)
uwsgi.add_ms_timer(1, 100)
uwsgi.add_rb_timer(2, 1, 2)
"""


def ticks_ten_times_a_second(running):
    """From now on. Twice as often could never look like that."""
    before = len(notes(running, "ticks1"))

    def right():
        ticks = [float(line) for line in notes(running, "ticks1")[before:]]
        return any(1.6 < b - a < 2.4 for a, b in zip(ticks, ticks[20:]))
    eventually(right, 20)


def test_timers_outlive_workers_and_are_not_doubled_by_a_reload(server, way):
    running = server(way, ["--master", "-p", "2", "--pidfile", "server.pid"], app=TIMED)
    ticks_ten_times_a_second(running)
    for pid in ask(way, "[w['pid'] for w in uwsgi.workers()]"):
        os.kill(pid, signal.SIGKILL)
    ticks_ten_times_a_second(running)
    for version in (2, 3):
        running.write("app.py", TIMED.replace("VERSION = 1", f"VERSION = {version}"))
        running.signal(signal.SIGHUP)
        eventually(lambda: quietly(way, "VERSION") == version)
    ticks_ten_times_a_second(running)
    os.kill(running.pid, signal.SIGUSR2)
    eventually(lambda: not alive(running.pid), 30)
    ticks_ten_times_a_second(running)
    eventually(lambda: len(notes(running, "ticks2")) >= 2)
    assert len(notes(running, "ticks2")) <= 2 * 4  # two for each time that the application was loaded
    os.kill(int((running.dir / "server.pid").read_text()), signal.SIGTERM)
    running.wait_gone()


def test_ticks_do_not_pile_up_while_all_workers_are_asleep(server, way):
    app = APP + "uwsgi.register_signal(3, 'worker', heard)\nuwsgi.register_signal(4, 'mule', heard)\n" \
                "uwsgi.add_ms_timer(3, 1)\nuwsgi.add_ms_timer(4, 1)\n"
    running = server(way, ["--master", "-p", "1", "--mule", "--idle", "1"], app=app)
    running.wait_log("cheap mode enabled")
    missed = len(handled_at(running, 4))
    handled_at(running, 4, missed + 2000, 30)  # as many as the kernel's queue has no room for
    before = len(handled_at(running, 3))
    ask(way, "uwsgi.signal(5)")
    running.wait_log("error managing signal 5 on worker 1")  # it was behind all that had waited
    assert len(handled_at(running, 3)) - before < 1000


def test_a_timer_of_a_worker_begins_at_once_and_outlives_it(server, way):
    running = server(way, ["--master", "-p", "1"], app=APP + "uwsgi.register_signal(3, 'worker', heard)\n")
    pid = ask(way, "[uwsgi.add_ms_timer(3, 50), os.getpid()]")[1]
    handled_at(running, 3, 3)
    os.kill(pid, signal.SIGKILL)
    handled_at(running, 3, len(notes(running)) + 3)


def test_what_each_worker_adds_is_not_doubled_by_its_death(server, way):
    app = TIMED.split("uwsgi.register_signal(1")[0] + """
uwsgi.register_signal(1, "", tick)
uwsgi.register_signal(2, "", heard)
def post_fork():
    if uwsgi.worker_id():
        uwsgi.add_ms_timer(1, 100)
        uwsgi.add_file_monitor(2, HOME + "/folder")
uwsgi.post_fork_hook = post_fork
"""
    running = server(way, ["--master", "-p", "1"], app=app, files={"folder/there": ""})
    for _ in range(3):
        ticks_ten_times_a_second(running)
        pid = ask(way, "os.getpid()")
        os.kill(pid, signal.SIGKILL)
        eventually(lambda pid=pid: not alive(pid))
        ask(way, "1")
    ticks_ten_times_a_second(running)
    (running.dir / "folder/there").unlink()
    assert len(handled_at(running, 2)) == 1
    ask(way, "uwsgi.signal(3)")
    running.wait_log("error managing signal 3")
    assert len(handled_at(running, 2)) == 1


def test_there_are_64_timers_and_monitors_at_most(server, way):
    server(way, ["--master", "-p", "1"], app=APP + """
def refused(function, *args):
    for n in range(64):
        function(*args)
    try:
        function(*args)
    except ValueError:
        return True
""")
    for call in ("timer, 1, 3600", "rb_timer, 1, 3600", "cron, 1, 61, 0, 0, 0, 0", "file_monitor, 1, '/'"):
        assert ask(way, f"refused(uwsgi.add_{call})") is True, call


def test_times_that_no_timer_can_have_are_refused(server, way):
    running = server(way, ["--master", "-p", "1"], app=APP + """
def refused(function, *args):
    try:
        return function(*args)
    except (OverflowError, TypeError, ValueError) as error:
        return type(error).__name__
uwsgi.register_signal(5, "", heard)
""")
    for call, error in (("timer, 5, 10 ** 13", "OverflowError"), ("ms_timer, 5, 2 ** 62", "OverflowError"),
                        ("rb_timer, 5, 1, 2 ** 40", "OverflowError"), ("timer, 5, -1", "ValueError"), ("timer, 5, 1.5", "TypeError"),
                        ("cron, 5, -1, 2 ** 40, -1, -1, -1", "OverflowError"), ("timer, 5, 2 ** 31 - 1", None)):
        assert ask(way, f"refused(uwsgi.add_{call})") == error, call
    ask(way, "uwsgi.signal(6)")
    running.wait_log("error managing signal 6")
    assert notes(running) == [] and "malformed" not in running.log()


def test_a_cron_is_raised_when_its_time_matches(server, way):
    app = APP + """
uwsgi.register_signal(1, "", heard)
uwsgi.register_signal(2, "", heard)
uwsgi.add_cron(1, -1, -1, -1, -1, -1)
uwsgi.add_cron(2, (time.localtime().tm_min + 30) % 60, -1, -1, -1, -1)
"""
    running = server(way, ["--master", "-p", "1"], app=app)
    handled_at(running, 1)
    assert not [line for line in notes(running) if line.startswith("2 ")]


def test_changed_files_raise_signals(server, way):
    app = APP + """
for number in (1, 2, 3, 4):
    uwsgi.register_signal(number, "", heard)
os.makedirs("folder", exist_ok=True)
uwsgi.add_file_monitor(1, "folder")
uwsgi.add_file_monitor(2, "later")
"""
    args = ["--master", "-p", "1", "--touch-signal", "touched 3", "--fs-signal", "watched 4"]
    running = server(way, args, app=app, files={"touched": "", "watched": ""})
    times = []

    def change(name, number):
        """Again and again, since the server listens before it watches."""
        times.append(name)
        running.write(name, str(len(times)))
        os.utime(running.dir / name, (time.time() + len(times), time.time() + len(times)))
        return [line for line in notes(running) if line.startswith(f"{number} ")]

    for name, number in (("folder/new", 1), ("later", 2), ("touched", 3), ("watched", 4)):  # one is not there yet
        eventually(lambda name=name, number=number: change(name, number), every=0.3)
    before = len(change("watched", 4))
    eventually(lambda: len(change("watched", 4)) > before + 1, every=0.3)  # a file that was replaced is watched still
