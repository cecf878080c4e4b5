"""In which order jobs run: priorities first, low numbers before high ones, then the oldest job or, if so wished, the lowest name."""
import os
import re

from . import files


def folders(directory):
    """The directories of the priorities that there are, and last the one itself, of the jobs without a priority."""
    found = []
    try:
        with os.scandir(directory) as entries_:
            found = [entry.name for entry in entries_ if re.fullmatch("[0-9]+", entry.name) and entry.is_dir(follow_symlinks=False)]
    except OSError:  # it will be back, or the spool() of others complains
        pass
    return [os.path.join(directory, name) for name in sorted(found, key=version)] + [directory]


def entries(folder):
    """What may be a job, as directory entries."""
    try:
        with os.scandir(folder) as found:
            return [entry for entry in found if entry.name.startswith(files.PREFIX)]
    except OSError:
        return []


def sort(found, by_name):
    """Paths of (path, name, time of change in ns)."""
    key = (lambda one: version(one[1])) if by_name else (lambda one: (one[2], version(one[1])))
    return [one[0] for one in sorted(found, key=key)]


def version(name):
    """A key that compares numbers in names by their value: 9 comes before 10."""
    pieces = re.split("([0-9]+)", name)
    return [(0, int(piece), "") if place % 2 else (1, 0, piece) for place, piece in enumerate(pieces)], name
