"""The life of one spooler process: it looks for jobs that are due, runs them one by one, and waits for more."""
import os
import stat
import time

from .. import apps, log, uwsgi_module
from ..failures import report, report_import
from . import files, order
from .reading import Reader
from .settling import Settling

OK, RETRY, IGNORE = -2, -1, 0
NICE = 19
YOUNG = 5  # seconds in which a file without content may be one that a uWSGI is about to write
RESCAN = 4  # times as long as a look has taken, the next one waits
GLANCE = 0.002  # seconds of short jobs between glances at signals and at the bell
GATHER = 0.003  # seconds from one look to the next, if there is no hurry
SETTLE = 2  # seconds that a job waits in a journal, at least, until a file is made of it
FAREWELL = 1  # seconds that the last process waits for those that write into journals

NO_FUNCTION = "unable to find the spooler function for %s: is the code that sets uwsgi.spooler imported there?"


def serve(process, spooler):
    """Works on the jobs of one directory until the process is to leave."""
    state = uwsgi_module.state(process.uwsgi)
    state.spooler, state.spooler_dir = process.number, spooler["dir"]
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    except OSError as error:
        log.line(f"spooler: {error}")
    for name in process.spec["spooling"]["imports"] or ():  # before it leaves the directory that modules relate to
        try:
            apps.import_or_run(name)
        except BaseException as error:
            report_import(error)
    try:
        os.chdir(process.spec["spooling"]["chdir"] or spooler["dir"])
    except OSError as error:  # each job tries again
        log.line(f"spooler: {error}")
    Loop(process, spooler, state.spooling).run()


class Loop:
    """One directory, seen from one process."""

    def __init__(self, process, spooler, shared):
        self.process, self.shared = process, shared
        self.settings = process.spec["spooling"]
        self.spooler = spooler
        self.index = process.spec["spoolers"].index(spooler)
        self.bell = shared.bells[self.index]
        self.fds = [self.bell.fd] if self.bell.identity else []
        self.pid = os.getpid()
        self.tasks = 0
        self.held = None  # the job in hand
        self.last = shared.in_hand(process.number)  # the job that has ended our predecessor, if one has
        self.failed = {}  # paths, and when they are tried again (monotonic)
        self.future = {}  # paths, and when they are due (by the clock)
        self.told = {}  # paths of files that are no jobs, or that nobody wants; which file it was
        self.complete = 0.0  # when all files were looked at, those of the future too
        self.announced = False  # that there is work for others, since the last look
        self.reader = Reader(spooler["dir"])
        self.settling = Settling(spooler["dir"], self.warn, self.bell.ring)
        self.journaled = False  # there were journals when this process last looked
        self.looked = 0.0  # when the last look began
        self.settled = time.monotonic()  # when jobs of journals last became files, or might have

    def run(self):
        os.register_at_fork(after_in_child=self.forget)
        self.shared.serve(self.process.number, self.index)
        try:
            while not self.finished():
                if self.work() or self.finished():
                    continue
                self.settle(idle=True)
                if self.wait(self.pause()):
                    self.bell.silence()
                    self.gather()
        finally:
            self.shared.serve(self.process.number, None)
            self.bell.ring()  # what we were woken for may be another's
        self.shared.bury()
        if not self.shared.served(self.index):
            self.settling.settle(0, remove=True, patience=FAREWELL)

    def forget(self):
        """A child of the application does not hold the job in hand, should this process be killed."""
        self.reader.close()
        if self.held is not None:
            self.held.abandon()
            self.held = None

    def gather(self):
        """In a burst one look finds several jobs."""
        rest = self.looked + GATHER - time.monotonic()
        if rest > 0:
            self.process.wait([], rest)

    def finished(self):
        most = self.settings["max_tasks"]
        return self.process.leaving or 0 < most <= self.tasks

    def wait(self, seconds):
        """Whether somebody has rung; meanwhile uwsgi signals are handled."""
        found = self.process.wait(self.fds, seconds)
        if self.process.signalled and self.settings["signal_as_task"]:
            self.tasks += 1
        return found

    def pause(self):
        """Seconds until a job is due, or a look is."""
        longest = self.shared.frequency()
        if self.failed:
            longest = min(longest, min(self.failed.values()) - time.monotonic())
        if self.future:
            longest = min(longest, min(self.future.values()) - time.time())
        if self.journaled:
            longest = min(longest, self.settled + SETTLE - time.monotonic())
        return max(longest, 0)

    def settle(self, idle):
        """Now and then has files made of the jobs that wait in journals, and those removed in which nothing is written any more."""
        now = time.monotonic()
        if not self.journaled or now - self.settled < SETTLE:
            return
        oldest = self.reader.oldest()
        quiet, self.reader.news = idle and not self.reader.news, False
        if quiet or oldest is not None and time.time_ns() - oldest >= SETTLE * 10**9:
            self.settling.settle(SETTLE, remove=quiet)
        self.settled = time.monotonic()

    def work(self):
        """Runs what is due; tells whether it is to look again at once."""
        began = self.looked = time.monotonic()
        paths = self.look()
        asked = looked = time.monotonic()
        for number, path in enumerate(paths):
            now = time.monotonic()
            if now - asked > GLANCE:
                asked = now
                self.settle(idle=False)
                if self.wait(0) and self.settings["ordered"] and now - looked > RESCAN * (looked - began):
                    self.bell.silence()
                    return True
            if self.finished():
                return False
            self.attempt(path, number + 1 < len(paths))
        return False

    def look(self):
        """Paths of the jobs that are due, in their order."""
        now, steady = time.time(), time.monotonic()
        if steady - self.complete >= self.shared.frequency():
            self.complete = steady
            self.future.clear()
        self.announced = False
        seen, due = set(), []
        entries, journals = order.folders(self.spooler["dir"])
        self.journaled = bool(journals)
        self.reader.look(journals)  # after the directory: what becomes a file meanwhile is not seen twice
        jobs = self.reader.by_priority()
        for priority in order.priorities(entries.keys() | jobs.keys()):
            found = []
            for entry in (*entries.get(priority, ()), *jobs.get(priority, ())):
                seen.add(entry.path)
                if self.failed.get(entry.path, 0) > steady or self.future.get(entry.path, 0) > now:
                    continue
                state = self.examine(entry, now)
                if state:
                    found.append((state.st_mtime_ns, entry.name, entry.path))
            due += order.sort(found, self.settings["ordered"])
        for known in (self.failed, self.future, self.told):
            for path in known.keys() - seen:
                del known[path]
        if self.last in due:  # the others first: it may end us as well
            due.remove(self.last)
            due.append(self.last)
        self.last = ""
        return due

    def examine(self, entry, now):
        """The state of a job in a journal, or of a file that may be one, if it is due; None: it is not."""
        try:
            state = entry.stat(follow_symlinks=False)
        except OSError:  # it has gone
            return None
        if not stat.S_ISREG(state.st_mode) or entry.path in self.told and self.told[entry.path] == identity(state):
            return None
        if state.st_mtime > now:
            self.future[entry.path] = state.st_mtime
            return None
        return state

    def attempt(self, path, more):
        """Runs a job, unless another process has it."""
        self.failed.pop(path, None)
        self.future.pop(path, None)
        try:
            self.held = self.reader.take(path) if path in self.reader.waiting else files.take(path)
        except OSError as error:
            self.postpone(path, error)
            return
        if self.held is None:
            return
        try:
            if self.held.found.st_mtime > time.time():
                self.future[path] = self.held.found.st_mtime
                return
            if more and not self.announced and self.spooler["processes"] > 1:
                self.announced = True
                self.bell.ring()
            try:
                pairs, body = self.held.read()
            except files.Broken as error:
                self.refuse(path, self.held.found, error)
                return
            except OSError as error:
                self.postpone(path, error)
                return
            self.perform(path, pairs, body)
        finally:
            if self.held:
                self.held.release()
                self.held = None

    def postpone(self, path, error):
        """What the system refuses now (descriptors, memory, rights) it may grant later; it is told once."""
        self.failed[path] = time.monotonic() + self.shared.frequency()
        if path not in self.told:
            self.told[path] = None
            self.warn(error)

    def refuse(self, path, state, why):
        """A file that is no job is left where it is, and told once."""
        if time.time() - state.st_ctime < YOUNG:
            self.failed[path] = time.monotonic() + 1
            return
        self.told[path] = identity(state)
        self.warn(f"{os.path.basename(path)} is left alone: {why}")

    def perform(self, path, pairs, body):
        name, held, result = os.path.basename(path), self.held, RETRY
        self.shared.take_in_hand(self.process.number, path)
        began = time.time()
        self.say(f"managing request {name} ...")
        self.process.begin(self.settings["harakiri"])
        try:
            os.chdir(self.settings["chdir"] or self.spooler["dir"])
            result = self.call(files.task(os.fsencode(name), pairs, body))
            if result == OK:
                self.remove(held)
                self.say(f"done with task {name} after {int(time.time() - began)} seconds")
            else:
                self.failed[path] = time.monotonic() + self.shared.frequency()
        except OSError as error:  # of chdir or of the removal
            self.postpone(path, error)
        finally:
            self.tasks += 1
            self.process.end()
            self.shared.take_in_hand(self.process.number, "")
        if result == IGNORE and path not in self.told:
            self.told[path] = None
            log.line(NO_FUNCTION % name)

    def call(self, job):
        """What the application says of the job: OK, IGNORE, or anything else, which is to try again."""
        function = self.process.uwsgi.__dict__.get("spooler")
        if not callable(function):
            return IGNORE
        try:
            result = function(job)
        except BaseException as error:  # sys.exit() too: the job was not done
            report(error)
            result = RETRY
        if os.getpid() != self.pid:  # a child of the application that has fallen out of its function
            os._exit(1)
        return int(result) if isinstance(result, int) else RETRY

    def remove(self, held):
        try:
            held.remove()
        except FileNotFoundError:  # the application was first
            pass

    def say(self, text):
        if not self.settings["quiet"]:
            self.warn(text)

    def warn(self, text):
        """What --spooler-quiet does not silence."""
        log.line(f"[spooler {self.spooler['dir']} pid: {os.getpid()}] {text}")


def identity(state):
    return state.st_ino, state.st_size, state.st_mtime_ns
