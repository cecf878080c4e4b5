"""What an instance costs that has nothing to do: there may be hundreds of them. And what threads cost that wait."""
import time
from pathlib import Path

from apps import versioned
from http_client import eventually, get
from load import Load

WINDOW = 4.0


def switches_by_thread(pid):
    """{thread: how often it has gone on or off a processor}."""
    return {task.name: sum(int(line.split()[1]) for line in (task / "status").read_text().splitlines() if "ctxt_switches" in line)
            for task in Path(f"/proc/{pid}/task").iterdir()}


def switches(pid):
    """The same of all threads of a process."""
    return sum(switches_by_thread(pid).values())


def test_an_idle_instance_wakes_once_a_second(server, http):
    running = server(http, ["--master"], app=versioned(1))
    assert get(http.port).status == 200

    def per_second():
        """Of the master and of all others, over a while in which nothing is asked."""
        processes = running.processes()
        before = {pid: switches(pid) for pid in processes}
        began = time.monotonic()
        eventually(lambda: time.monotonic() - began > WINDOW, every=WINDOW)
        after = {pid: switches(pid) - before[pid] for pid in processes}
        master = after.pop(running.pid)
        return master / WINDOW < 14 and sum(after.values()) / WINDOW < 3

    eventually(per_second, 30)


def test_threads_that_wait_keep_no_thread_of_the_runtime_awake(server, http):
    """Go's sysmon looked 7,700 times a second after threads that were in Python for more than 10 ms."""
    app = ("import os, time\ndef application(environ, start_response):\n    time.sleep(0.05)\n"
           "    start_response('200 OK', [])\n    return [str(os.getpid()).encode()]\n")
    server(http, ["--threads", "8"], app=app)
    worker = int(get(http.port).text)
    with Load(http, clients=8) as load:
        load.wait_for(400)  # until then the worker does not know that its requests take long, and looks often
        before, began = switches_by_thread(worker), time.monotonic()
        load.wait_for(160)
        after, took = switches_by_thread(worker), time.monotonic() - began
    assert not load.failures()
    assert max(after[thread] - before[thread] for thread in before) < 1200 * took
