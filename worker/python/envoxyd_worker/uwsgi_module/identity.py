"""Who this process is, and what it writes to the log."""
import json
import os
import time

from ..log import put
from .state import named

ALARM_SIZE = 5000  # characters of a message, so that it fits into one report


def functions(mine):
    spec = mine.spec

    def masterpid():
        """While the application is imported, that process itself, as in uWSGI, which imports it in the master."""
        return mine.importer if spec["master_pid"] and mine.importer and not mine.worker else spec["master_pid"]

    def worker_id():
        return mine.worker

    def log(text):
        if not isinstance(text, str):
            raise TypeError("log() takes a str")
        if "\0" in text:
            raise ValueError("embedded null character")
        try:
            put(text + "\n", "surrogateescape")  # file names as they are
        except UnicodeEncodeError:
            put(text + "\n")
        return True

    def ready():
        return True if mine.ready else None

    def micros():
        return int(time.time() * 1e6)

    def mem():
        with open("/proc/self/statm") as statm:
            size, resident = statm.read().split()[:2]
        page = os.sysconf("SC_PAGE_SIZE")
        return int(resident) * page, int(size) * page

    def logsize():
        """Of the file of --logto; 0 where the log goes elsewhere."""
        try:
            return os.stat(spec["log"]["file"]).st_size
        except OSError:
            return 0

    def alarm(name, message):
        if not isinstance(name, str) or not isinstance(message, str):
            raise TypeError("alarm() takes two strs")
        if spec["event_fd"] < 0:
            raise OSError("alarm() is for workers, not for processes that they fork")
        event = {"kind": "alarm", "worker": mine.worker, "pid": os.getpid(), "option": name, "text": message[:ALARM_SIZE]}
        os.write(spec["event_fd"], json.dumps(event).encode())

    def setprocname(name):
        from .. import procname

        if not isinstance(name, str):
            raise TypeError("setprocname() takes a str")
        procname.set(name)

    return named(masterpid, worker_id, log, alarm, ready, micros, mem, logsize, setprocname)
