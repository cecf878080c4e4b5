"""`make install` and `make uninstall`: which files there are, what is in them, and that none is left."""
import gzip
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from server import ROOT

# Beside the Python files of lib/envoxyd.
INSTALLED = """
bin/envoxy-alembic bin/envoxy-celery bin/envoxyd
lib/envoxyd/_envoxyd.abi3.so lib/envoxyd/_envoxyd_shared.abi3.so lib/envoxyd/_envoxyd_zygote.abi3.so
lib/envoxyd/envoxyd-gateway lib/envoxyd/envoxyd-otlp lib/envoxyd/envoxyd-router lib/envoxyd/envoxyd-zmq
share/bash-completion/completions/envoxyd share/fish/vendor_completions.d/envoxyd.fish share/zsh/site-functions/_envoxyd
share/doc/envoxyd/CHANGELOG.md.gz share/doc/envoxyd/copyright share/doc/envoxyd/examples/example.ini
share/man/man1/envoxyd.1.gz share/man/man1/envoxy-alembic.1.gz share/man/man1/envoxy-celery.1.gz
""".split()
UNITS = ["envoxyd-app@.service", "envoxyd@.service", "envoxyd@.socket"]
PYTHON = {"lib/envoxyd/python": ROOT / "worker/python", "lib/envoxyd/modules": ROOT / "modules/python"}


def make(target, stage, prefix, by=(), more=()):
    quiet = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run([*by, "make", "-C", ROOT, target, f"DESTDIR={stage}", f"PREFIX={prefix}", *more],
                          stdin=subprocess.DEVNULL, env=quiet, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr


def files(directory):
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir() and path.suffix != ".pyc"}


def sources(directory):
    """What is installed of Python sources: all but tests."""
    return {name for name in files(directory) if not re.search("(^|/)(tests/|test_[^/]*[.]py$|conftest[.]py$)", name)}


def expected(prefix, units):
    own = {f"{prefix}/{name}" for name in INSTALLED} | {f"{units}/{name}" for name in UNITS} | {"etc/logrotate.d/envoxyd"}
    return own.union(*({f"{prefix}/{place}/{name}" for name in sources(origin)} for place, origin in PYTHON.items()))


@pytest.mark.parametrize("prefix, units", [("usr/local", "usr/local/lib/systemd/system"), ("usr", "usr/lib/systemd/system"),
                                           ("opt/envoxyd", "etc/systemd/system")])
def test_everything_is_installed_and_removed(tmp_path, prefix, units):
    make("install", tmp_path, f"/{prefix}")
    assert files(tmp_path) == expected(prefix, units)
    for unit in UNITS[:2]:
        assert f"\nExecStart=/{prefix}/bin/envoxyd " in (tmp_path / units / unit).read_text()
    assert f"/{prefix}/share/doc/envoxyd/examples/example.ini" in (tmp_path / "etc/logrotate.d/envoxyd").read_text()
    for name in ("envoxyd", "envoxy-alembic", "envoxy-celery"):
        page = gzip.decompress((tmp_path / prefix / f"share/man/man1/{name}.1.gz").read_bytes()).decode()
        assert page.startswith(f".TH {name.upper()} 1 ") and ".SH DESCRIPTION" in page
    for shell in INSTALLED:
        assert (tmp_path / prefix / shell).stat().st_size, shell
    assert (tmp_path / "etc/envoxyd").is_dir() and (tmp_path / "var/log/envoxyd").is_dir()
    version = subprocess.run([tmp_path / prefix / "bin/envoxyd", "--version"], capture_output=True, text=True)
    assert version.returncode == 0, version.stderr
    make("uninstall", tmp_path, f"/{prefix}")
    left = [str(path) for path in tmp_path.rglob("*") if not path.is_dir() or "envoxyd" in path.name and path != tmp_path / "opt/envoxyd"]
    assert left == []


def test_what_the_administrator_wrote_is_kept(tmp_path):
    """Of the logrotate file while it is installed; configurations and logs for ever."""
    kept = [tmp_path / "etc/envoxyd/shop.ini", tmp_path / "var/log/envoxyd/shop.log"]
    for path in [*kept, tmp_path / "etc/logrotate.d/envoxyd"]:
        path.parent.mkdir(parents=True)
        path.write_text("mine\n")
    make("install-system", tmp_path, "/usr/local")
    assert (tmp_path / "etc/logrotate.d/envoxyd").read_text() == "mine\n"
    make("uninstall", tmp_path, "/usr/local")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == kept


NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root, and setpriv (Debian: util-linux)")
def test_a_stage_needs_no_root():
    """What is not built, for who may read the sources alone."""
    with tempfile.TemporaryDirectory() as stage:
        os.chown(stage, 65534, 65534)
        make("install-system", stage, "/usr/local", by=NOBODY, more=["-o", "bin/envoxyd", "PYTHON=/usr/bin/python3"])
        assert Path(stage, "var/log/envoxyd").stat().st_uid == 65534
