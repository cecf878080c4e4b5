"""systemd's units: what they say is understood, and keeps from a service what it does not need."""
import re
import shutil
import subprocess

import pytest
from server import ROOT

UNITS = [ROOT / "packaging/envoxyd@.service", ROOT / "examples/django/shop.service"]
pytestmark = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed (Debian: systemd)")


def copied(unit, tmp_path):
    """The unit as a file of one instance, whose program is there."""
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text(), flags=re.M)
    path = tmp_path / unit.name.replace("@", "@shop")
    path.write_text(text)
    return path


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_every_line_is_understood(unit, tmp_path):
    done = subprocess.run(["systemd-analyze", "verify", copied(unit, tmp_path)], capture_output=True, text=True)
    ours = [line for line in done.stderr.splitlines() if tmp_path.name in line or unit.name.replace("@", "@shop") in line]
    assert not ours, done.stderr


def test_the_exposure_is_small(tmp_path):
    unit = copied(UNITS[0], tmp_path)
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=40", unit], capture_output=True, text=True)
    assert done.returncode == 0 and "Overall exposure level" in done.stdout, done.stdout[-2000:] + done.stderr
