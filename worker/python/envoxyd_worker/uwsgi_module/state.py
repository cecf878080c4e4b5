"""What the functions of the `uwsgi` module know of the process that they are called in."""
import json
import mmap
import os

from ..layouts import AUXILIARY, AUXILIARY_TIMES, CORE, CORE_TIMING, Core
from . import shared
from .served import Served


REQUEST = ("core", "connection_fd", "environ", "start_response", "write")  # what the extension tells at once



def unpack(line, behind, memory):
    """The lines in memory that has as many pieces of another size behind them."""
    count = len(memory) // (line.size + behind)
    with memoryview(memory) as view, view[:count * line.size] as lines:
        return list(line.iter_unpack(lines))


class State:
    """This process's part: which worker it is, and its extension once that is loaded."""

    def __init__(self, spec, uwsgi):
        self.spec = spec
        self.uwsgi = uwsgi
        self.worker = self.mule = self.spooler = 0  # the number of this process, if it is one of those
        self.process = None  # a mule or spooler: auxiliary.Process
        self.spooler_dir = ""  # of a spooler
        self.spooling = None  # what all processes share of the spoolers, if there are any
        self.journals = []  # of the directories of spoolers
        self.lines = None  # those of mules and spoolers
        self.importer = 0  # the process that imports the application, for all but lazy-apps
        self.extension = None
        self.loop = None  # what runs requests as coroutines
        self.ready = False
        self.rpc = {}
        self.served = Served(spec["processes"])
        self.shared = shared.attach(spec)  # the extension for memory that processes share
        self._board = None

    def request(self, name, *args):
        """Calls the extension on behalf of the request in hand, or asks it for a part of that."""
        if self.extension is None:
            raise RuntimeError("you are not in a request")
        if name in REQUEST:
            return self.extension.request()[REQUEST.index(name)]
        return getattr(self.extension, name)(*args)

    def tell(self, kind, **more):
        """Reports something to the master, whoever of its processes this is."""
        importing = self.importer == os.getpid() and self.spec["control_fd"] >= 0
        fd = self.spec["control_fd"] if importing else self.spec["event_fd"]
        if fd < 0:
            raise OSError("the master cannot be reached from a process that the application has forked")
        os.write(fd, json.dumps({"kind": kind, "worker": self.worker, **more}).encode())

    def auxiliaries(self, role):
        """(number, pid) of each process that there is of a role: "mule" or "spooler"."""
        if self.spec.get("auxiliary_fd", -1) >= 0 and self.lines is None:
            self.lines = mmap.mmap(self.spec["auxiliary_fd"], 0, prot=mmap.PROT_READ)
        if self.lines is None:
            return []
        pids = [line[0] for line in unpack(AUXILIARY, AUXILIARY_TIMES, self.lines)]
        mules = len(self.spec["mules"]["list"])
        found = pids[:mules] if role == "mule" else pids[mules:]
        return [(number, pid) for number, pid in enumerate(found, 1) if pid]

    def rows(self):
        """The scoreboard: rows of lines, a line for each core."""
        if self._board is None:
            size = os.fstat(self.spec["scoreboard_fd"]).st_size
            self._board = mmap.mmap(self.spec["scoreboard_fd"], size, prot=mmap.PROT_READ)
        lines = list(map(Core._make, unpack(CORE, CORE_TIMING, self._board)))
        cores = self.spec["cores"]
        return [lines[n : n + cores] for n in range(0, len(lines), cores)]

    def rows_of(self, worker):
        """Those of one worker, which may have had several processes, and have two for a while."""
        return [row for row in self.rows() if row[0].worker == worker]


def named(*functions):
    """Functions by the names that they were defined with."""
    return {function.__name__: function for function in functions}
