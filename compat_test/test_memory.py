"""Workers that have answered very many requests are no larger than workers that have answered some."""
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from apps import versioned
from http_client import get

REQUESTS = 40_000 if os.environ.get("CI") else 200_000


def resident_kib(pid):
    return int(re.search(r"^VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M).group(1))


def send(port, count):
    """At least that many requests by wrk, in turns of two seconds; returns how many there were."""
    done = 0
    while done < count:
        out = subprocess.run(["wrk", "-t1", "-c8", "-d2s", f"http://127.0.0.1:{port}/"], capture_output=True, text=True, check=True).stdout
        assert "Non-2xx" not in out, out
        answered = int(re.search(r"(\d+) requests in", out).group(1))
        assert answered, out
        done += answered
    return done


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not installed")
def test_workers_do_not_grow(server, transport):
    server(transport, ["--master", "--processes", "2", "--threads", "2", "--disable-logging"], app=versioned(1))
    send(transport.port, REQUESTS // 4)
    workers = {int(get(transport.port).text.split()[1]) for _ in range(200)}
    before = {pid: resident_kib(pid) for pid in workers}
    send(transport.port, REQUESTS)
    growth = {pid: resident_kib(pid) - size for pid, size in before.items()}
    assert max(growth.values()) < 2048, f"KiB: {before} grew by {growth}"
