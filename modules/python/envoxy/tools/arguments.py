"""The one argument of the checks."""
import sys
from pathlib import Path


def directory(argv, name, usage):
    """The directory that the first argument names; None, when that cannot be, which is then told on stderr."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv:
        print(f"usage: python -m envoxy.tools.{name} {usage}", file=sys.stderr)
        return None
    if not Path(argv[0]).is_dir():
        print(f"{argv[0]}: no such directory", file=sys.stderr)
        return None
    return Path(argv[0])
