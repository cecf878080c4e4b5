"""In which order jobs run: priorities first, low numbers before high ones, then the oldest job or, if so wished, the lowest name."""
import os
import re

from . import files, journal


def folders(directory, journals):
    """What may be a job, as lists of directory entries: of each priority that there is, and last those without a priority. The
    names of journals are added to the list."""
    priorities, jobs = [], []
    for entry in scan(directory):
        if entry.name.startswith(files.PREFIX):
            jobs.append(entry)
        elif entry.name.startswith(journal.NAME):
            journals.append(entry.name)
        elif re.fullmatch("[0-9]+", entry.name) and entry.is_dir(follow_symlinks=False):
            priorities.append(entry)
    for priority in sorted(priorities, key=lambda entry: version(entry.name)):
        yield [entry for entry in scan(priority.path) if entry.name.startswith(files.PREFIX)]
    yield jobs


def scan(directory):
    try:
        with os.scandir(directory) as found:
            return list(found)
    except OSError:  # it will be back, or the spool() of others complains
        return []


def sort(found, by_name):
    """Paths of (time of change in ns, name, path)."""
    return [one[2] for one in (sorted(found, key=lambda one: version(one[1])) if by_name else sorted(found))]


def version(name):
    """A key that compares numbers in names by their value: 9 comes before 10."""
    pieces = re.split("([0-9]+)", name)
    return [(0, int(piece), "") if place % 2 else (1, 0, piece) for place, piece in enumerate(pieces)], name
