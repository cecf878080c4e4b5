"""What runs out: the disk that the log is on, and descriptors. Service goes on; when there is room again, so does the log."""
import os
import re
import resource
import signal
import socket
import time
from pathlib import Path

import pytest
from apps import versioned
from http_client import eventually, get

WAYS = pytest.mark.parametrize("transport", ["http-socket"], indirect=True)

# A disk of its own for each server, 64 kB and 12 files, which nobody else sees.
DISK = ["unshare", "-m" if os.geteuid() == 0 else "-Urm", "sh", "-c",
        'mkdir disk && mount -t tmpfs -o size=64k,nr_inodes=12 disk disk && eval "$FILL" && exec "$@"', "sh"]
FILL = "dd if=/dev/zero of=disk/fill bs=4k count=99 2>/dev/null; n=0; while touch disk/$n 2>/dev/null; do n=$((n+1)); done"


class Disk:
    """The server's disk, as it sees it."""

    def __init__(self, running, pid=None):
        self.path = Path(f"/proc/{pid or running.pid}/root{running.dir}/disk")

    def fill(self):
        with open(self.path / "fill", "ab", buffering=0) as file:
            try:
                while True:
                    file.write(b"\0" * 512)
            except OSError:
                pass
        try:
            for n in range(99):
                (self.path / str(n)).touch()
        except OSError:
            pass

    def free(self):
        for path in self.path.iterdir():
            if path.name == "fill" or path.name.isdigit():
                path.unlink()

    def text(self, *names):
        return "".join(path.read_text() for name in names for path in sorted(self.path.glob(name)))


def serves_on(running, transport, pid=None):
    """A reload and a respawn, seen by the application's answers alone."""
    for version in ("second", "third"):
        running.write("app.py", versioned(version))
        os.kill(pid or running.pid, signal.SIGHUP)
        eventually(lambda: get(transport.listens).text.startswith(version))
    worker = int(get(transport.listens).text.split()[1])
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: answers_from_another(transport, worker))


def answers_from_another(transport, worker):
    try:
        return int(get(transport.listens).text.split()[1]) != worker
    except OSError:
        return False


@WAYS
@pytest.mark.parametrize("log", [
    ["--log-master", "--logto", "disk/log"],
    ["--log-master", "--logto2", "disk/log"],
    ["--logto", "disk/log"],
    ["--logto2", "disk/log"],
    ["--logger", "file:disk/log"],
    ["--log-master", "--logto", "disk/log", "--log-reopen"],
], ids=["logto", "logto2", "plain-logto", "plain-logto2", "logger", "log-reopen"])
def test_a_start_on_a_full_disk(server, transport, log):
    running = server(transport, ["--master", *log], app=versioned("first"), wrapper=DISK, env={"FILL": FILL})
    assert get(transport.listens).text.startswith("first")
    serves_on(running, transport)
    disk = Disk(running)
    disk.free()
    eventually(lambda: get(transport.listens) and "GET /" in disk.text("log"))
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    assert running.log().count("no space left") <= 3  # once for each generation


@WAYS
def test_a_daemon_on_a_full_disk(server, transport):
    running = server(transport, ["--master", "--log-master", "--daemonize2", "disk/log", "--pidfile", "pid"], app=versioned("first"),
                     wrapper=DISK, env={"FILL": FILL}, ready=False)
    assert running.wait_exit() == 0
    pid = int((running.dir / "pid").read_text())
    serves_on(running, transport, pid)
    disk = Disk(running, pid)
    disk.free()
    eventually(lambda: get(transport.listens) and "GET /" in disk.text("log"))


@WAYS
def test_lines_that_a_full_disk_did_not_take_are_counted(server, transport):
    """All lines are there or counted, none is half."""
    args = ["--master", "--master-fifo", "fifo", "--req-logger", "file:disk/req.log", "--log-format", "request %(uri) done"]
    running = server(transport, args, app=versioned("first"), wrapper=DISK, env={"FILL": "true"})
    disk = Disk(running)
    sent = 0

    def ask():
        nonlocal sent
        get(transport.listens, f"/?{sent}")
        sent += 1

    ask()
    eventually(lambda: "request /?0 done\n" in disk.text("req.log"))
    for _ in range(2):
        disk.fill()
        for _ in range(300):
            ask()
        eventually(lambda: "no space left" in running.log())
        (running.dir / "fifo").write_text("L")  # there is no room for another file either
        disk.free()
        ask()
        eventually(lambda: f"request /?{sent - 1} done\n" in disk.text("req.log*"))
    held = os.open(disk.path, os.O_RDONLY)  # else the disk would go with the server
    disk.path = Path(f"/proc/self/fd/{held}")
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    text = disk.text("req.log*")
    os.close(held)
    lost = sum(int(n) for n in re.findall(r"(\d+) log line\(s\) lost: logger file:disk/req.log", running.log()))
    whole = re.findall(r"^request /\?(\d+) done$", text, re.M)
    assert len(whole) + lost == sent and len(set(whole)) == len(whole)
    assert text.count("request") - len(whole) <= 2  # of a line that did not fit only the beginning is there
    assert "no such" not in running.log()


@WAYS
@pytest.mark.parametrize("log", ["--logto", "--logto2"])
def test_a_log_that_every_process_writes_for_itself(server, transport, log):
    """Start, reload, respawn without room; then lines are written again, and the number of the lost ones."""
    running = server(transport, ["--master", log, "disk/log"], app=versioned("first"), wrapper=DISK,
                     env={"FILL": "touch disk/log; " + FILL})
    serves_on(running, transport)
    disk = Disk(running)
    disk.free()
    eventually(lambda: get(transport.listens) and "GET /" in disk.text("log"))
    serves_on(running, transport)
    assert re.search(r"^\*\*\* \d+ log line\(s\) lost", disk.text("log"), re.M)


@WAYS
def test_a_log_file_in_no_directory_ends_the_start(server, transport):
    running = server(transport, ["--master", "--log-master", "--logger", "file:none/log"], app=versioned("first"), ready=False)
    assert running.wait_exit() == 1
    assert "none/log: no such file or directory" in running.log()


@WAYS
@pytest.mark.parametrize("more", [[], ["--http-keepalive"]], ids=["close", "keep"])
def test_no_descriptor_is_left_for_connections(server, transport, more):
    """One line a second, no busy loop, and everybody is answered in the end."""
    running = server(transport, ["--master", "--threads", "4", *more], app=versioned("first"))
    worker = int(get(transport.listens).text.split()[1])
    most = max(int(name) for name in os.listdir(f"/proc/{worker}/fd")) + 8
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (most, most))

    def used():
        fields = Path(f"/proc/{worker}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    began, before = time.monotonic(), used()
    held = [socket.create_connection(("127.0.0.1", transport.listens)) for _ in range(60)]
    running.wait_log(r"accept\(\): too many open files .* more like this\)")
    eventually(lambda: running.log().count("accept(): too many") >= 4)
    spent = time.monotonic() - began
    assert running.log().count("accept(): too many") <= spent + 2
    assert used() - before < spent / 2
    for one in held[:50]:
        one.close()
    for one in held[50:]:
        one.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert all(b"first" in read_all(one) for one in held[50:])
    assert get(transport.listens).text.startswith("first")


def read_all(one):
    one.settimeout(10)
    text = b""
    try:
        while part := one.recv(4096):
            text += part
    except OSError:
        pass
    one.close()
    return text
