"""Figures of all workers, from the scoreboard."""
import os

from ..layouts import BUSY
from .state import named


def functions(mine):
    spec = mine.spec

    def workers():
        rows = mine.rows()
        return tuple(worker_dict(mine, n, [row for row in rows if row[0].worker == n]) for n in range(1, spec["processes"] + 1))

    def total_requests():
        return sum(core.requests for row in mine.rows() for core in row)

    return named(workers, total_requests)


def worker_dict(mine, number, rows):
    lines = [core for row in rows for core in row]
    requests = sum(core.requests for core in lines)
    micros = sum(core.micros for core in lines)
    busy = any(core.state == BUSY for core in lines)
    return {
        "id": number,
        "pid": next((core.pid for core in lines if core.pid), os.getpid() if number == mine.worker else 0),
        "requests": requests,
        "delta_requests": requests,
        "signals": 0,
        "exceptions": sum(core.exceptions for core in lines),
        "status": b"busy" if busy else b"idle",
        "rss": 0,
        "vsz": 0,
        "running_time": micros,
        "last_spawn": mine.spec["started_on"],
        "respawn_count": 0,
        "tx": sum(core.sent for core in lines),
        "avg_rt": micros // requests if requests else 0,
        "apps": (),
    }
