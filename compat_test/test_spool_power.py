"""The power fails while jobs are being spooled: what a worker was told is safe runs after the restart."""
import fcntl
import os
import signal
import subprocess

import pytest
from asking import APP, ask, notes
from http_client import eventually

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
WITHOUT_A_FLUSH = 2

SPOOLING = APP + """
def spool(first, last):
    safe = os.open("safe", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for n in range(first, last):
        job = {b"n": b"%d" % n, b"body": b"b" * (n % 900)}
        if n % 3 == 0:
            job[b"priority"] = b"5"
        uwsgi.spool(job)
        os.write(safe, b"%d\\n" % n)

def run(job):
    if not os.path.exists(os.path.join(HOME, "go")):
        return uwsgi.SPOOL_RETRY
    assert len(job.get("body", b"")) == int(job[b"n"]) % 900
    note(job[b"n"].decode(), "done")
    return uwsgi.SPOOL_OK

uwsgi.spooler = run
"""


@pytest.fixture
def disk(tmp_path):
    """Mounts an ext4 of its own: disk.mount(), and disk.fail(), after which it is as a power failure leaves it."""
    image, where = tmp_path / "image", tmp_path / "disk"
    where.mkdir()
    with open(image, "wb") as file:
        file.truncate(64 << 20)

    class Disk:
        path = where

        def mount(self):
            subprocess.run(["mount", "-o", "loop", image, where], check=True, capture_output=True)

        def fail(self):
            fd = os.open(where, os.O_RDONLY)
            fcntl.ioctl(fd, SHUTDOWN, WITHOUT_A_FLUSH.to_bytes(4, "little"))
            os.close(fd)

        def unmount(self):
            eventually(lambda: subprocess.run(["umount", where], capture_output=True).returncode == 0, 30)

    made = Disk()
    try:
        subprocess.run(["mkfs.ext4", "-q", image], check=True, capture_output=True)
        made.mount()
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    try:
        yield made
    finally:
        subprocess.run(["umount", "-l", where], capture_output=True)


def test_no_job_is_lost_when_the_power_fails(server, way, disk):
    """In bursts, whose jobs are in journals, and before them."""
    (disk.path / "jobs").mkdir()
    os.sync()
    args = ["--master", "-p", "3", "--spooler", str(disk.path / "jobs"), "--spooler-quiet", "--spooler-frequency", "1"]
    running = server(way, args, app=SPOOLING)
    for n in range(3):
        ask(way, f"spool({n * 500}, {n * 500 + 400 + n})")
    disk.fail()
    running.signal(signal.SIGKILL)
    running.wait_gone()
    disk.unmount()
    disk.mount()
    safe = notes(running, "safe")
    assert len(safe) == len(set(safe)) == 1203

    (running.dir / "go").touch()
    running.start().wait_port(way.listens)
    eventually(lambda: len(set(notes(running, "done"))) == 1203, 60)
    assert set(notes(running, "done")) == set(safe)
    eventually(lambda: not list((disk.path / "jobs").glob(".envoxyd*")), 20)
    running.signal(signal.SIGKILL)
    running.wait_gone()
