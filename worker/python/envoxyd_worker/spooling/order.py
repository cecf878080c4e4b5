"""In which order jobs run: priorities first, low numbers before high ones, then the oldest job or, if so wished, the lowest name."""
import os
import re

from . import files, journal


def folders(directory):
    """What may be a job, as lists of directory entries by priority, "" for none; and the entries of journals."""
    jobs, journals = {"": []}, []
    for entry in scan(directory):
        if entry.name.startswith(files.PREFIX):
            jobs[""].append(entry)
        elif entry.name.startswith(journal.NAME):
            journals.append(entry)
        elif re.fullmatch("[0-9]+", entry.name) and entry.is_dir(follow_symlinks=False):
            jobs[entry.name] = [one for one in scan(entry.path) if one.name.startswith(files.PREFIX)]
    return jobs, journals


def scan(directory):
    try:
        with os.scandir(directory) as found:
            return list(found)
    except OSError:  # it will be back, or the spool() of others complains
        return []


def priorities(names):
    """The names in their order; what has no priority comes last."""
    return sorted(names, key=lambda name: (not name, version(name)))


def sort(found, by_name):
    """Paths of (time of change in ns, name, path)."""
    return [one[2] for one in (sorted(found, key=lambda one: version(one[1])) if by_name else sorted(found))]


def version(name):
    """A key that compares numbers in names by their value: 9 comes before 10."""
    pieces = re.split("([0-9]+)", name)
    return [(0, int(piece), "") if place % 2 else (1, 0, piece) for place, piece in enumerate(pieces)], name
