"""`python3 -m envoxyd` is the program bin/envoxyd that was installed with this package."""
import os
import sys
import sysconfig
from pathlib import Path


def places():
    """Where pip may have put it: the environment, the user's own scheme, or beside a package that is elsewhere (--target)."""
    yield Path(sysconfig.get_path("scripts"))
    yield Path(sysconfig.get_path("scripts", f"{os.name}_user"))
    for parent in Path(__file__).resolve().parents:
        yield parent / "bin"


def main():
    for place in places():
        program = place / "envoxyd"
        if program.exists():
            os.execv(program, [str(program), *sys.argv[1:]])
    sys.exit("envoxyd: bin/envoxyd is not where this package was installed; install the package again")


if __name__ == "__main__":
    main()
