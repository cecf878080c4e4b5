#!/usr/bin/env python3
"""sdist.py OUT: the sources under version control as an archive that pip can build. Equal sources give equal bytes."""
import gzip
import io
import subprocess
import sys
import tarfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import wheel  # noqa: E402: beside this file


def main(out):
    version = wheel.output("packaging/version")
    seconds = int(wheel.output("packaging/version", "time"))
    name = f"envoxyd-{version}"
    files = subprocess.run(["git", "ls-files", "-z"], cwd=wheel.ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    contents = {file: (wheel.ROOT / file).read_bytes() for file in files if file and (wheel.ROOT / file).is_file()}
    contents["PKG-INFO"] = wheel.metadata(version).encode()
    memory = io.BytesIO()
    with tarfile.open(fileobj=memory, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for file in sorted(contents):
            entry = tarfile.TarInfo(f"{name}/{file}")
            entry.size, entry.mtime = len(contents[file]), seconds
            source = wheel.ROOT / file
            entry.mode = 0o755 if source.exists() and source.stat().st_mode & 0o100 else 0o644
            archive.addfile(entry, io.BytesIO(contents[file]))
    path = Path(out) / f"{name}.tar.gz"
    with open(path, "wb") as to, gzip.GzipFile(filename="", fileobj=to, mode="wb", mtime=seconds) as packed:
        packed.write(memory.getvalue())
    print(path.name)


if __name__ == "__main__":
    main(sys.argv[1])
