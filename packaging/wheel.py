#!/usr/bin/env python3
"""wheel.py STAGE ARCH OUT [TAG]: packs what packaging/stage has built for ARCH (amd64, arm64) into a wheel in the directory OUT.

The programs are data files of the environment: bin/envoxyd and lib/envoxyd. The package `envoxyd` itself is what
`python3 -m envoxyd` runs. Equal contents give equal bytes.
"""
import base64
import hashlib
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TAGS = {"amd64": "manylinux_2_17_x86_64.manylinux2014_x86_64", "arm64": "manylinux_2_17_aarch64.manylinux2014_aarch64"}
MODE = {False: 0o644, True: 0o755}


def output(*command):
    return subprocess.run([ROOT / command[0], *command[1:]], check=True, capture_output=True, text=True).stdout.strip()


def metadata(version):
    lines = (ROOT / "packaging/envoxy-requirements.txt").read_text().splitlines()
    requirements = "".join(f"Requires-Dist: {line}; extra == 'envoxy'\n" for line in lines if line and not line.startswith("#"))
    return f"""Metadata-Version: 2.1
Name: envoxyd
Version: {version}
Summary: Application server for Python with uWSGI's command line, for WSGI, ASGI and Envoxy services
License: MIT
Requires-Python: >=3.8
Classifier: Operating System :: POSIX :: Linux
Classifier: Programming Language :: Python :: 3
Classifier: Topic :: Internet :: WWW/HTTP :: WSGI :: Server
Provides-Extra: envoxy
{requirements}Description-Content-Type: text/markdown

""" + (ROOT / "README.md").read_text()


class Wheel:
    """A wheel that is written; its record is made as files are added."""

    def __init__(self, path, name, when):
        self.zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
        self.name, self.when, self.record = name, when, []

    def add(self, name, content, executable=False):
        info = zipfile.ZipInfo(name, self.when)
        info.external_attr = (0o100000 | MODE[executable]) << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        self.zip.writestr(info, content)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        self.record.append(f"{name},sha256={digest},{len(content)}\n")

    def close(self):
        name = f"{self.name}.dist-info/RECORD"
        self.record.append(f"{name},,\n")
        self.zip.writestr(zipfile.ZipInfo(name, self.when), "".join(self.record))
        self.zip.close()


def commit_time():
    """When the sources were committed, as a zip file has it."""
    seconds = int(os.environ.get("SOURCE_DATE_EPOCH") or output("packaging/version", "time"))
    return max(time.gmtime(seconds)[:6], (1980, 1, 1, 0, 0, 0))


def build(stage, arch, out, tag=None):
    """Returns the wheel's file name."""
    version, tag = output("packaging/version"), tag or TAGS[arch]
    name = f"envoxyd-{version}"
    file = f"{name}-py3-none-{tag}.whl"
    wheel = Wheel(Path(out) / file, name, commit_time())
    for path in sorted((ROOT / "packaging/python/envoxyd").glob("*.py")):
        wheel.add(f"envoxyd/{path.name}", path.read_bytes())
    for path in sorted(p for p in Path(stage).rglob("*") if p.is_file()):
        place = path.relative_to(stage).as_posix()
        kind, content = f"data/{place}", path.read_bytes()
        if place.startswith("bin/"):
            kind = f"scripts/{place[4:]}"
            content = content.replace(b"#!/usr/bin/env python3\n", b"#!python\n", 1)  # pip makes it the environment's
        wheel.add(f"{name}.data/{kind}", content, os.access(path, os.X_OK))
    wheel.add(f"{name}.dist-info/METADATA", metadata(version).encode())
    tags = "".join(f"Tag: py3-none-{one}\n" for one in tag.split("."))
    wheel.add(f"{name}.dist-info/WHEEL", f"Wheel-Version: 1.0\nGenerator: envoxyd\nRoot-Is-Purelib: false\n{tags}".encode())
    wheel.add(f"{name}.dist-info/LICENSE", (ROOT / "LICENSE").read_bytes())
    wheel.close()
    return file


if __name__ == "__main__":
    print(build(*sys.argv[1:]))
