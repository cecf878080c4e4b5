"""Fifty vassals under load: what happens to some of them, the others do not notice, and nothing is left of it."""
import os
import random
import signal
from pathlib import Path

import pytest
from emperors import BROKEN, Emperor, ini
from http_client import Broken, Connection, eventually
from load import Several
from server import alive

COUNT = 50
CLIENTS = 4
NAMES = [f"v{number:02}" for number in range(COUNT)]


class Clients(Several):
    """Ask all of `names` in turn, until the block ends; `failures` is what went wrong."""

    def __init__(self, e, names):
        super().__init__(CLIENTS, lambda: None, lambda _, index: self._ask(e, names[index::CLIENTS]))
        self.answered = 0

    def _ask(self, e, names):
        for name in names:
            try:
                reply = Connection(e.address(name), timeout=20).get()
                if reply.status != 200:
                    self.failures.append((name, reply.status))
            except (OSError, Broken) as error:
                self.failures.append((name, repr(error)))
            self.answered += 1
        self.over.wait(0.02)  # two processors also have the vassals to start

    def wait_for(self, count):
        goal = self.answered + count
        eventually(lambda: self.answered >= goal, 60)


def footprint(e):
    """What the emperor itself holds: descriptors, threads' number aside, and memory in kB."""
    rollup = Path(f"/proc/{e.server.pid}/smaps_rollup").read_text()
    private = sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_"))
    return len(os.listdir(f"/proc/{e.server.pid}/fd")), private


def accepting(e, names):
    found = {v["id"]: v for v in e.stats()["vassals"]}
    return all(f"{name}.ini" in found and found[f"{name}.ini"]["accepting"] for name in names)


@pytest.mark.timeout(300)
def test_fifty_vassals_under_load(server):
    e = Emperor(server, "--emperor-throttle", "500", "--emperor-max-throttle", "1000",
                vassals={f"{name}.ini": ini(name, 1, "vacuum = true", "disable-logging = true", f"pidfile = {name}.pid") for name in NAMES})
    eventually(lambda: accepting(e, NAMES), 120)
    numbers = {v["id"]: v["pid"] for v in e.stats()["vassals"]}
    before, processes = footprint(e), len(e.server.processes())
    picked = random.Random(7).sample(NAMES, 20)
    touched, broken, removed, killed = picked[:5], picked[5:10], picked[10:15], picked[15:]
    quiet = [name for name in NAMES if name not in picked]
    with Clients(e, quiet + touched + broken) as clients:
        clients.wait_for(200)
        for name in touched:
            os.utime(e.dir / f"{name}.ini")
        kept = {name: (e.dir / f"{name}.ini").read_text() for name in broken + removed}
        for name in broken:  # they serve on with what they have
            e.write(f"{name}.ini", kept[name].replace("app.py", "missing.py") + "need-app = true\n")
        for name in removed:
            (e.dir / f"{name}.ini").unlink()
        for name in killed:
            e.server.signal_process(numbers[f"{name}.ini"], signal.SIGKILL)
        for number in range(5):
            e.write(f"bad{number}.ini", BROKEN.replace("broken.sock", f"bad{number}.sock"))
        eventually(lambda: len(e.stats()["blacklist"]) >= 5 and not any(alive(numbers[f"{name}.ini"]) for name in removed), 60)
        assert not [name for name in removed if e.address(name).exists() or (e.dir / f"{name}.pid").exists()]
        eventually(lambda: accepting(e, quiet + touched + broken + killed), 60)
        clients.wait_for(200)
        for name in broken:  # repaired
            e.write(f"{name}.ini", kept[name].replace("VERSION=1", "VERSION=2"))
        for name in broken:
            e.wait(name, 2, 60)
        for name in removed:  # and back
            e.write(f"{name}.ini", kept[name])
        for number in range(5):
            (e.dir / f"bad{number}.ini").unlink()
        eventually(lambda: accepting(e, NAMES) and not e.stats()["blacklist"], 60)
        clients.wait_for(200)
    assert not clients.failures
    now = {v["id"]: v["pid"] for v in e.stats()["vassals"]}
    assert sorted(now) == sorted(numbers)
    assert all(now[f"{name}.ini"] == numbers[f"{name}.ini"] for name in quiet + touched + broken)
    eventually(lambda: len(e.server.processes()) == processes, 60)
    descriptors, memory = footprint(e)
    assert descriptors <= before[0] + 1 and memory <= before[1] + 4096
    e.server.signal(signal.SIGTERM)
    assert e.server.wait_exit(60) == 0
    e.server.wait_gone()
    assert not list(e.dir.glob("*.sock")) and not list(e.dir.glob("*.pid"))
