"""What tests of the spooler have in common: a directory, a `uwsgi` module, and a process that runs jobs."""
import os
import select
import sys
import time

from envoxyd_worker import uwsgi_module
from envoxyd_worker.spooling import files, loop
from specs import ALONE

SPEC = {
    **ALONE,
    "version": "2.1.0-envoxyd", "processes": 1, "threads": 1, "cores": 1,
    "loop": None, "started_on": 1, "master_pid": 0, "generation": 0, "sockets": [],
    "limits": {"buffer_size": 4096}, "python": {"hostname": "here", "pidfile": "", "locks": 0}, "locks_fd": os.memfd_create("locks"),
    "opt": [], "scoreboard_fd": -1,
}
SPOOLING = {"ordered": False, "frequency": 30, "max_tasks": 0, "harakiri": 0, "quiet": True, "chdir": "", "imports": None,
            "signal_as_task": False}


class Spoolers:
    """Directories, and a `uwsgi` module that knows of them. Its wakes are pipes, which Python 3.8 has."""

    def __init__(self, *directories, processes=1, journaled=False, **settings):
        self.pipes = [os.pipe() for _ in directories]
        self.spoolers = [
            {"dir": str(directory), "processes": processes, "external": False, "wake_fd": self.duplex(number)}
            for number, directory in enumerate(directories)]
        self.spec = {**SPEC, "spoolers": self.spoolers, "spooling": {**SPOOLING, **settings}}
        self.uwsgi = uwsgi_module.make(self.spec)
        self.state = uwsgi_module.state(self.uwsgi)
        self.journaled = journaled
        if journaled:  # as in a burst, while the spoolers are there
            for number, journals in enumerate(self.state.journals):
                journals.local, journals.burst = True, lambda second: True
                self.state.spooling.serve(number + 1, number)

    def duplex(self, number):
        """A descriptor to write to and to read from, as an eventfd is: a pipe, opened again."""
        fd = os.open(f"/proc/self/fd/{self.pipes[number][0]}", os.O_RDWR)
        os.close(self.pipes[number][0])
        os.close(self.pipes[number][1])
        return fd

    def put(self, body=b"", directory=None, priority=None, at=None, **pairs):
        """A job, written as others write them, without a wake."""
        content = files.encode([(key.encode(), value) for key, value in pairs.items()], body)
        journals = self.state.journals[0] if self.journaled and directory is None else None
        return files.write(str(directory or self.spoolers[0]["dir"]), priority, content, at, "here", journals)

    def process(self, function=None, number=1, **more):
        return Process(self, function, number, **more)

    def close(self):
        for one in self.spoolers:
            os.close(one["wake_fd"])
        for journals in self.state.journals:
            journals.forget()


class Process:
    """The process of one spooler, in this one.

    It leaves when no job has begun for `patience` seconds, after `jobs` ones, or by `leaving`.
    """

    def __init__(self, spoolers, function, number=1, patience=0.0, jobs=0):
        self.spec, self.uwsgi, self.number, self.patience = spoolers.spec, spoolers.uwsgi, number, patience
        self.leaving, self.jobs, self.signalled = False, jobs, False
        self.pauses, self.begun, self.ended = [], [], 0
        self.busy = time.monotonic()
        if function is not None:
            self.uwsgi.spooler = function

    def run(self, directory=0):
        """Runs until it leaves, as serve() does but for the priority of the process."""
        state = uwsgi_module.state(self.uwsgi)
        state.spooler, state.spooler_dir = self.number, self.spec["spoolers"][directory]["dir"]
        here = os.getcwd()
        made = loop.Loop(self, self.spec["spoolers"][directory], state.spooling)
        try:
            made.run()
        finally:
            os.chdir(here)
            state.spooler = 0
            made.reader.close()
        return made

    def wait(self, fds, seconds):
        poll = select.poll()
        for fd in fds:
            poll.register(fd, select.POLLIN)
        if seconds == 0 or not fds:  # a look at the bell, or a moment for jobs to gather
            return [fd for fd, _ in poll.poll(0)]
        self.pauses.append(seconds)
        rest = self.busy + self.patience - time.monotonic()
        found = [fd for fd, _ in poll.poll(max(min(seconds, rest), 0) * 1000)]
        if not found and seconds >= rest:
            self.leaving = True
        return found

    def begin(self, harakiri):
        self.begun.append(harakiri)
        self.busy = time.monotonic()

    def end(self):
        self.ended += 1
        self.leaving = self.leaving or self.ended == self.jobs


def until(what, timeout=10.0):
    """Waits for what() to be true, and returns it."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        select.select([], [], [], 0.005)
    raise AssertionError(f"not within {timeout} s")


def fork(function):
    """Runs function in a child; returns its pid."""
    pid = os.fork()
    if pid:
        return pid
    try:
        function()
        os._exit(0)
    except BaseException as error:
        print(repr(error), file=sys.stderr)
    finally:
        os._exit(1)
