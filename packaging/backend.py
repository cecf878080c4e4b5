"""How pip builds a wheel from the source archive (PEP 517): make's programs, then what the wheel is made of. Needs Go and a C compiler."""
import os
import subprocess
import sys
import sysconfig
import tempfile

import sdist
import wheel


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    with tempfile.TemporaryDirectory() as stage:
        make = ["make", "install-programs", "install-completions", f"PYTHON={sys.executable}", f"DESTDIR={stage}", "PREFIX="]
        subprocess.run(make, cwd=wheel.ROOT, check=True)
        tag = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        return wheel.build(stage, os.uname().machine, wheel_directory, tag)


def build_sdist(sdist_directory, config_settings=None):
    sdist.main(sdist_directory)
    return f"envoxyd-{wheel.output('packaging/version')}.tar.gz"
