"""Many jobs at once, which are in journals until somebody else has to see them: each runs, whoever is killed, reloaded or stopped."""
import os
import random
import signal

from http_client import eventually
from test_spooler import Spooled, spooled

__all__ = ["spooled"]

JOBS = "[uwsgi.spool({{b'n': b'%d' % n}}) for n in range({}, {})] and 0"


def burst(one: Spooled, first, last):
    one.ask(JOBS.format(first, last))


def done(one):
    return {int(name) for name in one.lines("done")}


def kill(one, pid):
    """Whether the process was there; a reload may have replaced it."""
    try:
        if pid in one.running.processes():
            os.kill(pid, signal.SIGKILL)
            return True
    except ProcessLookupError:
        pass
    return False


def test_each_job_runs_whoever_is_killed_or_reloaded(spooled):
    chance, kills = random.Random(3), 0
    one = spooled("--spooler-processes", "2", "--spooler-quiet", "--processes", "2", "--forkbomb-delay", "0")
    for n in range(0, 4000, 200):
        burst(one, n, n + 200)
        if n % 800 == 0:
            one.running.signal(signal.SIGHUP)
        else:
            kills += kill(one, chance.choice(one.pids()))
    eventually(lambda: done(one) == set(range(4000)), 60)
    eventually(lambda: one.files() == [], 20)
    assert kills >= 5 and len(one.lines("done")) <= 4000 + kills  # a job that was done and not yet marked runs again


def test_a_stop_leaves_files_for_whoever_comes_next(spooled):
    """Even uWSGI, which knows no journals."""
    one = spooled("--spooler-quiet")
    one.hold("0")
    burst(one, 0, 500)
    one.wait("begun", "0")
    assert len([name for name in one.files() if name.startswith("uwsgi_")]) < 50  # the others are in a journal
    one.running.signal(signal.SIGINT)
    one.release("0")
    one.running.wait_gone()
    left = one.files()
    assert left and all(name.startswith("uwsgi_spoolfile_on_") for name in left)
    assert len(left) + len(one.lines("done")) == 500
    one.running.start()
    eventually(lambda: sorted(map(int, one.lines("done"))) == list(range(500)))
    eventually(lambda: one.files() == [])
