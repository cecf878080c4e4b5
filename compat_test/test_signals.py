"""uwsgi signals: who gets them, when, and that none is lost or comes twice."""
import collections
import os
import signal
import socket
import threading

import pytest
from asking import APP, ask, ask_worker, exchange, handled_at, notes, packet, quietly
from http_client import eventually
from load import Several
from server import alive, free_port
from transports import http_socket

TARGETS = {
    "": ["one worker"], "worker": ["one worker"], "worker0": ["one worker"],
    "worker2": ["worker2"], "workers": ["worker1", "worker2", "worker3"], "active-workers": ["worker1", "worker2", "worker3"],
    "mule": ["one mule"], "mule0": ["one mule"], "mule2": ["mule2"], "mules": ["mule1", "mule2", "mule3"],
    "farm_f": ["one of the farm"], "farm1": ["one of the farm"], "farm2": ["mule3"], "spooler": ["spooler"],
}
UNSUPPORTED = ["nobody", "worker9", "mule9", "farm_none", "farm9", "worker-1", "workerx"]


def test_every_target_gets_its_signals(server, way):
    app = APP + "".join(f"uwsgi.register_signal({n}, {target!r}, heard)\n" for n, target in enumerate([*TARGETS, *UNSUPPORTED]))
    running = server(way, ["--master", "-p", "3", "--mules", "3", "--farm", "f:1,2", "--farm", "g:3", "--spooler", "jobs"], app=app)
    eventually(lambda: ask(way, "all(w['pid'] for w in uwsgi.workers())"))
    for n, wanted in enumerate(TARGETS.values()):
        ask(way, f"uwsgi.signal({n})")
        got = sorted(handled_at(running, n, len(wanted)))
        if wanted[0].startswith("one"):
            kind = "worker" if wanted == ["one worker"] else "mule"
            assert len(got) == 1 and got[0].startswith(kind), wanted
            assert wanted != ["one of the farm"] or got[0] in ("mule1", "mule2")
        else:
            assert got == wanted
    for n, target in enumerate(UNSUPPORTED, len(TARGETS)):
        ask(way, f"uwsgi.signal({n})")
        running.wait_log(rf"UNSUPPORTED SIGNAL TARGET: {target}")
    assert len(notes(running)) == sum(map(len, TARGETS.values()))  # and none came twice


def test_signals_for_one_process_keep_their_order(server, way):
    app = APP + "for n in range(200): uwsgi.register_signal(n, 'worker1' if n < 100 else 'mule1', heard)\n"
    running = server(way, ["--master", "-p", "2", "--mule"], app=app)
    for first in (0, 100):
        assert ask(way, f"[uwsgi.signal(n) for _ in range(30) for n in range({first}, {first + 100})].count(None)") == 3000
    eventually(lambda: len(notes(running)) == 6000)
    got = [int(line.split()[0]) for line in notes(running)]
    assert [n for n in got if n < 100] == list(range(100)) * 30
    assert [n for n in got if n >= 100] == list(range(100, 200)) * 30


def storm(running, way, wanted, upset):
    """Raises signals in bursts from all workers, with upset() again and again meanwhile, until so many are known to be raised.
    Returns how many were raised and handled: two processes note each in a byte of their own."""
    def size(name):
        path = running.dir / name
        return path.stat().st_size if path.exists() else 0

    def raise_some(_, index):
        try:
            eventually(lambda: size("raised") - size("handled") < 5000, 30)  # no queue is to be full
            ask(way, f"[raise_one({10 + index}) for _ in range(100)].count(None)")
        except (OSError, AssertionError):
            pass
        except Exception as error:
            if type(error).__name__ != "Broken":
                raise

    upsets = 0
    with Several(4, lambda: None, raise_some) as several:
        def due():
            assert not several.failures
            return size("raised") >= wanted or size("raised") > (upsets + 1) * wanted / 16
        while size("raised") < wanted:
            eventually(due, 60)
            upset(upsets)
            upsets += 1
    assert not several.failures
    return lambda: size("raised"), lambda: size("handled")


STORM = APP + """
raised = os.open("raised", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
handled = os.open("handled", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def raise_one(number):
    uwsgi.signal(number)
    os.write(raised, bytes([number]))

def count(number):
    os.write(handled, bytes([number]))

for number, target in enumerate(["worker", "worker1", "mule", "mule1"], 10):
    uwsgi.register_signal(number, target, count)
"""


@pytest.mark.parametrize("upset", ["kills", "reloads", "upgrades"])
def test_no_signal_is_lost(server, way, upset):
    """Only what a killed process has in its hand is: one signal that it handles, or whose raising it has not noted."""
    running = server(way, ["--master", "-p", "3", "--mules", "2", "--pidfile", "server.pid"], app=STORM)
    killed = []

    def kill(n):
        victims = ask(way, "[w['pid'] for w in uwsgi.workers() if w['pid']]")
        pid = victims[n % len(victims)]
        killed.append(pid)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def reload(n):
        running.write("app.py", STORM.replace("VERSION = 1", f"VERSION = {n + 2}"))
        os.kill(int((running.dir / "server.pid").read_text()), signal.SIGHUP)
        eventually(lambda: quietly(way, "VERSION") == n + 2, 30)

    def upgrade(n):
        old = int((running.dir / "server.pid").read_text())
        os.kill(old, signal.SIGUSR2)
        eventually(lambda: not alive(old), 30)

    steps = {"kills": [kill], "reloads": [reload], "upgrades": [upgrade, kill]}[upset]
    raised, handled = storm(running, way, 20000, lambda n: steps[n % len(steps)](n))
    try:
        eventually(lambda: handled() >= raised() - len(killed), 30)
    except AssertionError:
        by_number = [collections.Counter((running.dir / name).read_bytes()) for name in ("raised", "handled")]
        pytest.fail(f"raised {by_number[0]}, handled {by_number[1]}, {len(killed)} processes killed")
    # Nothing more comes: a signal that is raised now is behind all others in every queue.
    assert ask(way, "[uwsgi.signal(n) for n in (10, 11, 12, 13)]", 30) == [None] * 4
    eventually(lambda: handled() >= raised() + 4 - len(killed), 30)
    assert abs(handled() - 4 - raised()) <= len(killed)
    assert "QUEUE IS FULL" not in running.log()
    os.kill(int((running.dir / "server.pid").read_text()), signal.SIGTERM)
    running.wait_gone()


def test_what_is_raised_while_the_application_starts_is_for_its_own_handlers(server, way):
    raising = """
uwsgi.register_signal(5, "worker", heard)
uwsgi.register_signal(6, "mule1", heard)
uwsgi.signal(5)
uwsgi.post_fork_hook = lambda: uwsgi.signal(6)
"""
    running = server(way, ["--master", "-p", "1", "--mule", "--pidfile", "server.pid"], app=APP + raising)
    handled_at(running, 5, 1), handled_at(running, 6, 2)  # of a worker and a mule
    running.write("app.py", APP + raising.replace("(5", "(15").replace("(6", "(16"))
    running.signal(signal.SIGHUP)
    handled_at(running, 15, 1), handled_at(running, 16, 2)
    running.write("app.py", APP + raising.replace("(5", "(25").replace("(6", "(26"))
    os.kill(running.pid, signal.SIGUSR2)
    handled_at(running, 25, 1), handled_at(running, 26, 2)
    assert "error managing signal" not in running.log()
    os.kill(int((running.dir / "server.pid").read_text()), signal.SIGTERM)
    running.wait_gone()


def test_what_a_worker_raises_in_its_last_moment_is_handled(server, way):
    app = APP + """
uwsgi.register_signal(5, "mule1", heard)
def last_words():
    for n in range(50):
        uwsgi.signal(5)
uwsgi.atexit = last_words
"""
    running = server(way, ["--master", "-p", "2", "--mule", "--pidfile", "server.pid"], app=app)
    running.signal(signal.SIGHUP)
    handled_at(running, 5, 3 * 50)  # of two workers and the mule
    os.kill(running.pid, signal.SIGUSR2)
    eventually(lambda: not alive(running.pid), 30)
    handled_at(running, 5, 6 * 50)
    os.kill(int((running.dir / "server.pid").read_text()), signal.SIGTERM)
    running.wait_gone()


def test_a_handler_that_raises_ends_nothing(server, way):
    app = APP + """
def broken(number):
    raise {5: ZeroDivisionError, 6: KeyboardInterrupt, 7: SystemExit}[number]("in the handler")
for number in (5, 6, 7):
    uwsgi.register_signal(number, "worker1", broken)
uwsgi.register_signal(8, "mule1", lambda number: 1 / 0)
"""
    running = server(way, ["--master", "-p", "1", "--mule"], app=app)
    pid = ask(way, "os.getpid()")
    ask(way, "[uwsgi.signal(n) for n in (5, 8)]")
    running.wait_log("ZeroDivisionError: in the handler")
    running.wait_log("error managing signal 5 on worker 1")
    running.wait_log("error managing signal 8 on mule 1")
    ask(way, "uwsgi.signal(200)")
    running.wait_log("error managing signal 200 on worker 1")  # nobody has registered it
    assert ask(way, "os.getpid()") == pid
    assert "crippled" not in running.log()
    for n in (6, 7):
        ask(way, f"uwsgi.signal({n})")
        running.wait_log({6: "KeyboardInterrupt: in the handler", 7: "SystemExit: in the handler"}[n])
    assert ask(way, "1") == 1


SLOW = APP + """
def slow(number):
    note(f"{number} {where()}")
    until("release")
uwsgi.register_signal(5, "worker1", slow)
"""


def test_a_slow_handler_holds_up_its_own_worker_alone(server, way):
    app = SLOW + 'uwsgi.register_signal(6, "worker", heard)\n'
    running = server(way, ["--master", "-p", "2"], app=app)
    ask(way, "uwsgi.signal(5)")
    handled_at(running, 5)
    for _ in range(10):
        ask(way, "uwsgi.signal(6)")
    assert set(handled_at(running, 6, 10)) == {"worker2"}
    assert ask(way, "[w['status'] for w in uwsgi.workers()]")[0] == b"sig5"
    running.write("release", "")
    eventually(lambda: ask(way, "[w['status'] != b'sig5' and w['signals'] for w in uwsgi.workers()]")[0])
    eventually(lambda: ask(way, "sum(w['signals'] for w in uwsgi.workers())") == 11)


def test_harakiri_ends_a_worker_in_a_long_handler(server, way):
    app = SLOW + 'uwsgi.register_signal(6, "worker1", heard)\n'
    running = server(way, ["--master", "-p", "1", "--harakiri", "1"], app=app)
    pid = ask(way, "[uwsgi.signal(5), os.getpid()]")[1]
    running.wait_log(rf"HARAKIRI ON WORKER 1 \(pid: {pid},")
    running.wait_log(r"HARAKIRI \[core 0\] uwsgi - signal 5 since")
    assert ask(way, "uwsgi.signal(6)") is None
    assert handled_at(running, 6) == ["worker1"]


def test_a_busy_worker_handles_its_signals_afterwards(server, way):
    app = APP + "uwsgi.register_signal(5, 'worker1', heard)\nuwsgi.register_signal(6, 'mule1', heard)\n"
    running = server(way, ["--master", "-p", "1", "--mule"], app=app)
    # The mule's note says that the master has routed what came before it.
    held = threading.Thread(target=ask, args=(way, "[uwsgi.signal(5), uwsgi.signal(6), note('held'), until('release')]"))
    held.start()
    handled_at(running, 6)
    assert not [line for line in notes(running) if line.startswith("5 ")]
    running.write("release", "")
    assert handled_at(running, 5) == ["worker1"]
    held.join()


def test_a_paused_worker_handles_its_signals_when_it_goes_on(server, way):
    app = APP + """
for number, target in ((1, "workers"), (2, "active-workers"), (3, "mule1")):
    uwsgi.register_signal(number, target, heard)
"""
    running = server(way, ["--master", "-p", "2", "--mule=mule.py", "--master-fifo", "fifo"], app=app, files={"mule.py": """
import os, time, uwsgi
while any(one["status"] != b"pause" for one in uwsgi.workers()):
    time.sleep(0.01)
for number in (1, 2, 3):
    uwsgi.signal(number)
while True:
    uwsgi.mule_get_msg()
"""})
    running.wait_log("spawned uWSGI mule 1")
    command(running, "p")
    handled_at(running, 3)
    assert len(notes(running)) == 1
    command(running, "p")
    assert sorted(handled_at(running, 1, 2)) == ["worker1", "worker2"]
    assert ask(way, "1") == 1
    assert len(notes(running)) == 3  # those that were paused were not active


def command(running, text):
    """Writes into the master's fifo, which it makes anew after each writer."""
    def write():
        try:
            fd = os.open(running.dir / "fifo", os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return False
        os.write(fd, text.encode())
        os.close(fd)
        return True
    eventually(write)


def test_threads_share_the_signals_of_their_worker(server, way):
    running = server(way, ["--master", "-p", "1", "--threads", "4"], app=APP + "uwsgi.register_signal(5, 'worker1', heard)\n")
    with Several(3, lambda: None, lambda _, index: ask(way, "uwsgi.signal(5)")) as several:
        handled_at(running, 5, 300)
    assert not several.failures
    eventually(lambda: ask(way, "uwsgi.workers()[0]['signals']") == len(notes(running)))


def test_lazy_apps_register_in_each_worker(server, way):
    app = APP + "uwsgi.register_signal(5, 'workers', heard)\n"
    running = server(way, ["--master", "-p", "2", "--lazy-apps"], app=app)
    eventually(lambda: running.log().count("spawned uWSGI worker") >= 2 and ask(way, "all(w['pid'] for w in uwsgi.workers())"))
    ask_worker(way, 1, "1"), ask_worker(way, 2, "1")
    pid = ask_worker(way, 1, "[uwsgi.signal(5), os.getpid()]")[1]
    assert sorted(handled_at(running, 5, 2)) == ["worker1", "worker2"]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not alive(pid))
    assert ask_worker(way, 1, "uwsgi.signal(5)") is None
    assert sorted(handled_at(running, 5, 4)) == ["worker1", "worker1", "worker2", "worker2"]


def test_a_cheap_worker_is_not_active(server, way):
    app = APP + "uwsgi.register_signal(5, 'active-workers', heard)\nuwsgi.register_signal(6, 'worker', heard)\n"
    running = server(way, ["--master", "-p", "4", "--cheaper", "1", "--cheaper-algo", "manual"], app=app)
    ask(way, "[uwsgi.signal(5), uwsgi.signal(6)]")
    assert handled_at(running, 6) == handled_at(running, 5) == ["worker1"]


def test_what_a_worker_has_registered_ends_with_it(server, way):
    app = APP + "uwsgi.register_signal(5, 'worker1', lambda number: note('5 of the import'))\n"
    running = server(way, ["--master", "-p", "1"], app=app)
    pid = ask(way, """[uwsgi.register_signal(5, 'worker1', lambda number: note('5 of the worker')),
                      uwsgi.register_signal(9, 'worker1', heard), uwsgi.signal(5), uwsgi.signal(9), os.getpid()]""".replace("\n", " "))[-1]
    handled_at(running, 9)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not alive(pid))
    assert ask(way, "[uwsgi.signal_registered(n) for n in (5, 9)]") == [True, None]
    ask(way, "[uwsgi.signal(5), uwsgi.signal(9)]")
    running.wait_log("error managing signal 9 on worker 1")
    eventually(lambda: notes(running) == ["5 of the worker", "9 worker1", "5 of the import"])


def test_signals_come_from_other_servers(server, way):
    port = free_port()
    running = server(way, ["--master", "-p", "1", "--socket", f"127.0.0.1:{port}"], app=APP + "uwsgi.register_signal(5, 'worker', heard)\n")
    running.wait_port(port)
    for number in (5, 77):  # 77 is nobody's: accepted all the same
        assert exchange(port, packet(110, modifier2=number)) == b"\xff\x00\x00\x01"
    handled_at(running, 5)
    other = http_socket()
    server(other, ["--master", "-p", "1"], app=APP)
    assert ask(other, f"uwsgi.signal(5, '127.0.0.1:{port}')") is None
    handled_at(running, 5, 2)
    refusing = f"""
try:
    raise ValueError(uwsgi.signal(5, '127.0.0.1:{free_port()}'))
except OSError:
    gone = True
"""
    assert ask(other, f"exec({refusing!r}) or 1") == 1
    # A busy worker does not take it, and whoever has sent it is not told that it was.
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(packet(110, modifier2=5)[:2])  # not the whole of it
        assert ask(way, "2") == 2
    assert len([line for line in notes(running) if line.startswith("5 ")]) == 2


def test_a_request_may_wait_for_a_signal(server, way):
    app = APP + "for n in (5, 6): uwsgi.register_signal(n, 'worker1', heard)\n"
    running = server(way, ["--master", "-p", "2"], app=app)
    result = []
    waiting = threading.Thread(target=lambda: result.append(
        ask_worker(way, 1, "[note('waits', 'waits'), uwsgi.signal_wait(6), uwsgi.signal_received()]")))
    waiting.start()
    eventually(lambda: notes(running, "waits"))
    ask_worker(way, 2, "[uwsgi.signal(5), uwsgi.signal(6)]")
    waiting.join(10)
    assert result == [[None, b"", 6]]
    assert collections.Counter(notes(running)) == {"5 worker1": 1, "6 worker1": 1}
