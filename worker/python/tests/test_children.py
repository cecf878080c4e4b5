"""What the application forks while it is imported: without descriptors of ours, ended with the zygote. Each case has its own process."""
import os
import subprocess
import sys
import time

import pytest
from envoxyd_worker import children
from specs import ALONE

START = f"""
import os, sys, signal, time
sys.path.insert(0, {os.path.dirname(os.path.dirname(children.__file__))!r})
from envoxyd_worker import children, ending
pipes = [fd for _ in range(6) for fd in os.pipe()]
spec = dict({ALONE!r}, control_fd=pipes[0], event_fd=pipes[1], alive_fd=pipes[2], scoreboard_fd=pipes[3], handover_fd=[pipes[4], -1],
            sockets=[dict(fd=pipes[5])], log=dict(request_fd=pipes[6], worker_fd=0),
            gateway=dict(calls_fd=pipes[7], health_fd=pipes[8], progress_fd=pipes[9]))
children.guard(spec)

def open_ones():
    found = []
    for number, fd in enumerate(pipes):
        try:
            os.fstat(fd)
        except OSError:
            continue
        found.append(number)
    return found

def in_child(work):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, repr(work()).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    return eval(os.read(reader, 9999))
"""


def runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def run(source, status=0, reported=()):
    done = subprocess.run([sys.executable, "-c", START + source], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr.splitlines()[-1:]) == (status, list(reported)), done.stderr
    return done.stdout


def test_a_child_has_none_of_our_descriptors_and_knows_no_numbers():
    run("""
assert in_child(open_ones) == [7, 8, 10, 11]
assert set(in_child(lambda: list(children.descriptors(spec)))) == {-1}
assert open_ones() == list(range(12)) and spec["control_fd"] == pipes[0]
""")


def test_a_worker_has_them_and_its_children_have_not():
    run("""
def worker():
    return open_ones(), in_child(open_ones)
children.ours = True
assert in_child(worker) == (list(range(12)), [7, 8, 10, 11])
assert children.ours is False
assert in_child(open_ones) == [7, 8, 10, 11]
""")


ENDS = """
import atexit, multiprocessing, subprocess
atexit.register(print, "atexit")
context = multiprocessing.get_context("fork")
manager = context.Manager()
process = context.Process(target=time.sleep, args=(600,))
process.start()
program = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
forked = os.fork()
if forked == 0:
    time.sleep(600)
os.write(1, f"{manager._process.pid} {process.pid} {forked} {program.pid} {manager.address}".encode())
"""


@pytest.mark.parametrize("how", ["ending.end()", "os.kill(os.getpid(), signal.SIGTERM); time.sleep(600)"])
def test_children_are_told_to_end(how):
    *pids, program, address = run(ENDS + "ending.on_term()\n" + how).split()
    for pid in pids:
        while runs(pid):
            time.sleep(0.01)
    assert runs(program)  # as with uWSGI
    os.kill(int(program), 9)
    assert not os.path.exists(address)  # the manager has ended in its own way


def test_the_last_worker_is_waited_for():
    assert run("""
forked = os.fork()
if forked == 0:
    time.sleep(600)
children.ours = True
worker = os.fork()
if worker == 0:
    time.sleep(0.2)
    os.write(1, b"worker's end, ")
    os._exit(0)
children.end()
os.write(1, str(os.waitpid(forked, 0)[1]).encode())
""") == "worker's end, 15"


HANGS = """
children.TIMEOUT = 1
import multiprocessing.util
forked = os.fork()
if forked == 0:
    os.closerange(1, 3)
    time.sleep(600)
os.write(1, str(forked).encode())
"""


def test_a_manager_that_hangs_does_not_hold_up_the_end_of_the_others():
    forked = run(HANGS + "multiprocessing.util.Finalize(None, time.sleep, (600,), exitpriority=1)\nending.end()\n",
                 reported=["TimeoutError: managers and pools of multiprocessing have not ended in 1 s"])
    while runs(forked):
        time.sleep(0.01)


def test_what_cannot_be_interrupted_is_ended_by_the_kernel():
    forked = run(HANGS + """
def hang():
    while True:
        try:
            time.sleep(600)
        except TimeoutError:
            pass
multiprocessing.util.Finalize(None, hang, exitpriority=1)
ending.end()
""", status=-14)
    os.kill(int(forked), 9)


def test_a_child_that_has_only_just_been_forked_hears_signals():
    """Python forgets what comes before it has finished the fork in the child."""
    run("""
signal.signal(signal.SIGTERM, lambda *_: os._exit(7))
signal.alarm(20)
for _ in range(200):
    forked = os.fork()
    if forked == 0:
        time.sleep(600)
    os.kill(forked, signal.SIGTERM)
    assert os.WEXITSTATUS(os.waitpid(forked, 0)[1]) == 7
""")


def test_without_children_there_is_nothing_to_wait_for():
    run("""
assert children.none_left()
ending.end()
""")


def test_a_worker_that_is_terminated_at_once_dies_of_it():
    run("""
ending.on_term()
children.ours = True
worker = os.fork()
if worker == 0:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(600)
assert os.waitpid(worker, 0)[1] == signal.SIGTERM
signal.signal(signal.SIGTERM, signal.SIG_DFL)
""")
