"""uwsgi.spool and its kin: jobs that are written into directories."""
import functools
import os

from .. import log
from ..spooling import files, journal, order
from ..spooling.settling import Settling
from ..spooling.shared import Shared
from .state import named

FEW = 128  # files that a request makes of jobs of journals, where no spooler comes to them
RESERVED = (b"spooler", b"priority", b"at")  # and body, which alone is not kept among the pairs


def functions(mine):
    spoolers = mine.spec.get("spoolers") or ()

    def i_am_the_spooler():
        return True if mine.spooler else None

    def spooler_dir():
        if not mine.spooler:
            raise ValueError("spooler_dir() is for spoolers")
        return os.fsencode(mine.spooler_dir)

    always = named(i_am_the_spooler, spooler_dir)
    if not spoolers:
        return always
    mine.spooling = Shared(spoolers, mine.spec["spooling"]["frequency"])
    settlings = [Settling(one["dir"], log.line, bell.ring) for one, bell in zip(spoolers, mine.spooling.bells)]
    mine.journals = [
        journal.Journals(one["dir"], functools.partial(mine.spooling.served, index), functools.partial(settling.settle, most=FEW))
        for index, (one, settling) in enumerate(zip(spoolers, settlings))]
    first = spoolers[0]["dir"]

    def spool(*args, **kwargs):
        job = args[0] if args else kwargs
        if not isinstance(job, dict) or len(args) + bool(kwargs) != 1:
            raise ValueError("spool() takes a dict of bytes")
        pairs = dict(job)
        body = pairs.pop(b"body", b"")
        return os.fsencode(enqueue(mine, pairs, body))

    def set_spooler_frequency(seconds):
        if not isinstance(seconds, int):
            raise TypeError("set_spooler_frequency() takes an int")
        mine.spooling.set_frequency(seconds)
        for bell in mine.spooling.bells:
            bell.ring()
        return True

    def spooler_jobs():
        settlings[0].settle(0)  # they are files then, which the application may read or remove
        in_hand = {f"{first}/{record.path}" for record in settlings[0].waiting() if "/" not in record.path}
        found = order.scan(first)  # without those that have a priority, as in uWSGI
        names = {entry.path for entry in found if entry.name.startswith(files.PREFIX) and entry.is_file()}
        return [os.fsencode(path) for path in sorted(in_hand | names)]

    def spooler_get_task(path):
        if not isinstance(path, str):
            raise TypeError("spooler_get_task() takes a str")
        try:
            return files.task(os.fsencode(path), *files.read(path))
        except FileNotFoundError:
            return in_journals(path)
        except (OSError, files.Broken):
            return None

    def in_journals(path):
        for one, settling in zip(spoolers, settlings):
            for record in settling.waiting():
                if f"{one['dir']}/{record.path}" == path:
                    return files.task(os.fsencode(path), *files.parse(record.content))
        return None

    def spooler_pids():
        return [pid for _, pid in mine.auxiliaries("spooler")]

    def spooler_pid():
        return next(iter(spooler_pids()), 0)

    return {
        **always,
        **named(spool, set_spooler_frequency, spooler_jobs, spooler_get_task, spooler_pids, spooler_pid),
        "send_to_spooler": spool,
        "spoolers": tuple(os.fsencode(one["dir"]) for one in spoolers),
    }


def enqueue(mine, pairs, body):
    """Writes a job where its pairs say and wakes who works there; returns the path. Raises ValueError."""
    directory, priority, at = map(pairs.get, RESERVED)
    number = choose(mine.spec["spoolers"], directory)
    where = mine.spec["spoolers"][number]["dir"]
    content = files.encode(pairs.items(), body)
    try:
        due = None if at is None else files.seconds(at)
        path = files.write(where, priority, content, due, mine.spec["python"]["hostname"], mine.journals[number])
    except OSError as error:
        raise ValueError(f"the job cannot be written: {error}") from error
    if not mine.spec["spooling"]["quiet"]:
        log.line(f"[spooler] written {len(content)} bytes to file {path}")
    mine.spooling.bells[number].ring()
    return path


def choose(spoolers, directory):
    """The number of the spooler that a job names by its directory; the first one if it names none."""
    if directory is None:
        return 0
    if isinstance(directory, bytes):
        for path in (os.fsdecode(directory), os.path.realpath(os.fsdecode(directory))):
            for number, one in enumerate(spoolers):
                if one["dir"] == path:
                    return number
    raise ValueError(f"there is no spooler {directory!r}")
