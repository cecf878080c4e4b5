"""A server under test: the built executable in a directory of its own, seen only from outside."""
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from http_client import eventually

ROOT = Path(__file__).resolve().parent.parent
BINARY = Path(os.environ.get("ENVOXYD_BINARY", ROOT / "bin/envoxyd")).resolve()

# Whatever a server starts carries this variable, so that nothing outlives its test.
MARK = "COMPAT_TEST_SERVER"


def free_port():
    """A TCP port on 127.0.0.1 that was free a moment ago."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def alive(pid):
    """Whether a process runs (a zombie does not)."""
    try:
        return runs(pid, Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0])
    except OSError:
        return False


def runs(pid, state):
    """False for a zombie, unless it has threads that are about to end and still hold its sockets."""
    return state not in "ZX" or len(os.listdir(f"/proc/{pid}/task")) > 1


class Server:
    """One server: started by start(), stopped (with all that it left behind) by close()."""

    def __init__(self, args, files=None, env=None, binary=None, wrapper=(), pass_fds=()):
        self.dir = Path(tempfile.mkdtemp(prefix="envoxyd-compat-"))
        self.dir.chmod(0o755)
        for name, text in (files or {}).items():
            self.write(name, text)
        self.log_path = self.dir / "server.log"
        self.argv = [str(part) for part in (*wrapper, binary or BINARY, *args)]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("UWSGI_", "VIRTUAL_ENV"))}
        self.env = {**inherited, "PYTHONDONTWRITEBYTECODE": "1", MARK: str(self.dir), **(env or {})}
        self.pass_fds = pass_fds
        self.process = None

    def write(self, name, text):
        """Put a file into the server's directory in one step, so that nobody reads half of it."""
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(path.name + ".new")
        new.write_bytes(text.encode())
        os.replace(new, path)
        return path

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.argv, cwd=self.dir, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                pass_fds=self.pass_fds)
        return self

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process.poll() is None

    def signal(self, number):
        os.kill(self.pid, number)

    def signal_process(self, pid, number):
        """Signal one of the server's own processes."""
        assert pid in self.processes()
        os.kill(pid, number)

    def wait_exit(self, timeout=15.0):
        return self.process.wait(timeout)

    def log(self):
        return self.log_path.read_text("utf-8", "replace")

    def wait_log(self, pattern, timeout=15.0):
        return eventually(lambda: re.search(pattern, self.log(), re.M), timeout)

    def wait_port(self, port, timeout=20.0):
        """Until something listens on the port; fails at once if the server has ended."""
        def listens():
            self.assert_running()
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", port)) == 0
        eventually(listens, timeout)
        return self

    def assert_running(self):
        assert self.running(), f"{' '.join(self.argv)} exited {self.process.returncode}:\n{self.log()}"

    def processes(self):
        """Pids of everything that this server started and that still runs: by session, or by MARK where a daemon has left it."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                marked = f"{MARK}={self.dir}".encode() in (entry / "environ").read_bytes().split(b"\0")
                running = runs(entry.name, fields[0])
            except OSError:
                continue
            if running and (marked or int(fields[3]) == self.process.pid):
                found.append(int(entry.name))
        return found

    def wait_gone(self):
        """Until nothing runs that this server started; names what does not end."""
        try:
            eventually(lambda: self.processes() == [])
        except AssertionError:
            left = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ") for pid in self.processes()}
            raise AssertionError(f"still there: {left}") from None

    def close(self):
        while pids := self.processes():
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if self.running():
                self.process.wait(10)
        self.process.wait(10)
        shutil.rmtree(self.dir, ignore_errors=True)
