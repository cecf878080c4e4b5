"""Figures of all workers, from the scoreboard."""
import os

from .. import apps
from ..layouts import BUSY
from .state import named


def functions(mine):
    spec = mine.spec
    figures = tuple({} for _ in range(spec["processes"]))

    def workers():
        """A dict for each worker: always the same ones, with the figures of now."""
        rows = mine.rows()
        for number, one in enumerate(figures, 1):
            one.update(worker_dict(mine, number, [row for row in rows if row[0].worker == number]))
        return figures

    def total_requests():
        return sum(core.requests for row in mine.rows() for core in row)

    return named(workers, total_requests)


def worker_dict(mine, number, rows):
    lines = [core for row in rows for core in row]
    requests = sum(core.requests for core in lines)
    micros = sum(core.micros for core in lines)
    exceptions = sum(core.exceptions for core in lines)
    pid = next((core.pid for core in lines if core.pid), os.getpid() if number == mine.worker else 0)
    rss, vsz = memory(pid) if mine.spec.get("log", {}).get("memory") else (0, 0)
    return {
        "id": number,
        "pid": pid,
        "requests": requests,
        "delta_requests": sum(core.requests - core.before for core in lines if core.pid),
        "signals": sum(core.signals for core in lines),
        "exceptions": exceptions,
        "status": status(rows, pid),
        "rss": rss,
        "vsz": vsz,
        "running_time": micros,
        "last_spawn": max((row[0].spawned for row in rows), default=0),
        "respawn_count": max(sum(row[0].starts for row in rows) - 1, 0),
        "tx": sum(core.sent for core in lines),
        "avg_rt": micros // requests if requests else 0,
        "apps": app_dicts(mine, number, requests, exceptions),
    }


def status(rows, pid):
    """What uWSGI calls it: cheap without a process, else pause, sigN in a signal handler, busy, idle."""
    if not pid:
        return b"cheap"
    present = [core for row in rows for core in row if core.pid]
    handled = next((core.handling for core in present if core.handling), 0)
    if present and all(core.suspended for core in present):
        return b"pause"
    if handled:
        return b"sig%d" % (handled - 1)
    return b"busy" if any(core.state == BUSY for row in rows for core in row) else b"idle"


def memory(pid):
    """Resident and virtual bytes of a process."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as statm:
            size, resident = statm.read().split()[:2]
    except OSError:
        return 0, 0
    page = os.sysconf("SC_PAGE_SIZE")
    return int(resident) * page, int(size) * page


def app_dicts(mine, worker, requests, exceptions):
    """The applications of every worker, which are those of this one. A single one has served all."""
    loaded = apps.loaded
    served = [(requests, exceptions)] if len(loaded) == 1 else [mine.served.read(worker, n) for n in range(len(loaded))]
    folder = os.fsencode(os.getcwd()) if "chdir" in mine.uwsgi.opt else b""
    return tuple(
        {
            "id": number,
            "modifier1": 0,
            "mountpoint": os.fsencode(one.point),
            "startup_time": one.seconds,
            "interpreter": id(apps.sys.modules),
            "callable": id(one.app),
            "requests": served[number][0],
            "exceptions": served[number][1],
            "chdir": folder,
        }
        for number, one in enumerate(loaded)
    )
