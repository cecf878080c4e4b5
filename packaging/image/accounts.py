"""Users of a root, as Docker reads them."""
from pathlib import Path

from dockerfile import Error


def entries(root, file):
    path = Path(root, "etc", file)
    return [line.split(":") for line in path.read_text().splitlines()] if path.exists() else []


def resolve(root, user):
    """Returns uid, gid and home of USER, USER:GROUP, or nothing for root. A number without an entry has the group 0 and the home /."""
    name, _, group = (user or "0").partition(":")
    entry = next((entry for entry in entries(root, "passwd") if name in (entry[0], entry[2])), None)
    if not entry and not name.isdigit():
        raise Error(f"there is no user {name} in the image")
    uid, gid, home = (int(entry[2]), int(entry[3]), entry[5]) if entry else (int(name), 0, "/")
    if group:
        known = next((entry for entry in entries(root, "group") if group in (entry[0], entry[2])), None)
        if not known and not group.isdigit():
            raise Error(f"there is no group {group} in the image")
        gid = int(known[2] if known else group)
    return uid, gid, home
