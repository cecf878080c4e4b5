"""What a spooler has of the journals of its directory: the jobs that wait there, and the one in hand."""
import collections
import os
import stat

from . import files, journal, records

PIECE = 1 << 16  # bytes that are read at a time

State = collections.namedtuple("State", "st_mode st_ino st_size st_mtime st_mtime_ns st_ctime")  # what is asked of files


class Reader:
    """The waiting jobs by their paths. None of it is for a child that the application forks."""

    def __init__(self, directory):
        self.directory = directory
        self.followed = {}  # journals by their names
        self.waiting = {}
        self.news = False  # something has been written since this was last set

    def look(self, entries):
        """Finds out what has been written since; entries are those of the directory that begin with a journal's name."""
        there = {entry.name: entry.inode() for entry in entries if journal.numbers([entry.name])}
        for name, one in list(self.followed.items()):
            if there.get(name) != one.inode:
                self.drop(name)
        for name in there:
            try:
                self.follow(name)
            except OSError:  # it has gone, or is another user's
                if name in self.followed:
                    self.drop(name)

    def follow(self, name):
        if name not in self.followed:
            self.followed[name] = Followed(self.directory, journal.numbers([name])[0])
        one = self.followed[name]
        if one.begins_anew():
            self.forget_jobs(one)
        for record in one.read():
            self.news = True
            if record.waiting and records.valid(record.path):
                path = f"{self.directory}/{record.path}"
                self.waiting[path] = Job(self, one, record, path)

    def drop(self, name):
        one = self.followed.pop(name)
        self.forget_jobs(one)
        os.close(one.fd)

    def by_priority(self):
        """The waiting jobs in lists by their priority, "" for none."""
        found = {}
        for job in self.waiting.values():
            found.setdefault(records.priority(job.record.path), []).append(job)
        return found

    def forget_jobs(self, one):
        for path in [path for path, job in self.waiting.items() if job.journal is one]:
            del self.waiting[path]

    def oldest(self):
        """When the first of the waiting jobs was written, in nanoseconds; None: there are none."""
        return min((job.record.written for job in self.waiting.values()), default=None)

    def take(self, path):
        """The job, which this process has in hand then; None: another one has it, or it is done."""
        job = self.waiting[path]
        if job.journal.hold(job.record):
            return job
        if not job.record.waiting:
            del self.waiting[path]
        return None

    def close(self):
        """Lets go of all, and of the job in hand: in a child, which would keep it otherwise should this process be killed."""
        for one in self.followed.values():
            os.close(one.fd)
        self.followed, self.waiting = {}, {}


class Followed(journal.Journal):
    """A journal that is read only to the end that was known, and on from there."""

    def __init__(self, directory, number):
        super().__init__(directory, number, make=False)
        self.inode = os.fstat(self.fd).st_ino

    def read(self):
        """The records that are new."""
        found = []
        while True:
            some = self.read_on(PIECE)
            if not some:
                return found
            found += some


class Job:
    """A job in a journal, as files.Taken is one in a file, and a directory's entry before it is taken."""

    def __init__(self, reader, followed, record, path):
        self.reader, self.journal, self.record, self.path = reader, followed, record, path

    @property
    def name(self):
        return os.path.basename(self.path)

    @property
    def found(self):
        """What a file would say of it, but that it is due at once without a time, whatever has been done to the clock."""
        one = self.record
        return State(stat.S_IFREG, 0, one.size, one.at or 0, one.written if one.at is None else one.at * 10**9, one.written / 10**9)

    def stat(self, follow_symlinks):
        return self.found

    def read(self):
        """(pairs, body); raises Broken."""
        return files.parse(self.record.content)

    def remove(self):
        """Says that it is done. A journal that a writer has begun anew meanwhile cannot be: this job was waiting."""
        self.journal.mark(self.record)
        self.reader.waiting.pop(self.path, None)

    def release(self):
        self.journal.let_go(self.record)

    def abandon(self):
        """In a child: the reader's files are closed."""
