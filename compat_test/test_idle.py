"""What an instance costs that has nothing to do: there may be hundreds of them."""
import time
from pathlib import Path

from apps import versioned
from http_client import eventually, get

WINDOW = 4.0


def switches(pid):
    """How often the threads of a process have gone on or off a processor."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if "ctxt_switches" in line:
                total += int(line.split()[1])
    return total


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
