"""python -m envoxy.tools.check_migrations DIR: is there at least one migration? Exit status 0, 3 (none) or 2 (no directory)."""
import sys

from . import arguments


def main(argv=None):
    """Check the directory that the first argument names; the exit status."""
    directory = arguments.directory(argv, "check_migrations", "VERSIONS_DIR")
    if directory is None:
        return 2
    count = sum(1 for entry in directory.iterdir() if entry.is_file())
    print(f"{directory}: {count} migration files")
    return 0 if count else 3


if __name__ == "__main__":
    sys.exit(main())
