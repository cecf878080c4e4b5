"""python -m envoxy.tools.check_migrations DIR: is there at least one migration? Exit status 0, 3 (none) or 2 (no directory)."""
import sys
from pathlib import Path


def main(argv=None):
    """Check the directory that the first argument names; the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    if not argv:
        print("usage: python -m envoxy.tools.check_migrations VERSIONS_DIR", file=sys.stderr)
        return 2
    directory = Path(argv[0])
    if not directory.is_dir():
        print(f"{directory}: no such directory", file=sys.stderr)
        return 2
    count = sum(1 for entry in directory.iterdir() if entry.is_file())
    print(f"{directory}: {count} migration files")
    return 0 if count else 3


if __name__ == "__main__":
    sys.exit(main())
