"""A container of an image, as docker run makes it: namespaces, process 1, user, environment, capabilities."""
import ctypes
import http.client
import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

from builder import ENTER, command

CLONE_NEWNET = 0x40000000
NAMESPACES = "--net --uts --ipc"  # beside those of mounts and processes
PATIENCE = 60  # seconds; a wait that ends normally takes a small part of it


class Failure(Exception):
    """What a check has found."""


def until(condition, what):
    """Waits until condition() is true, and returns what it has returned."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise Failure(f"waited {PATIENCE} s in vain: {what}")


class Container:
    """Use it in `with`: whatever it has started ends then. locked: without capabilities, and without new privileges."""

    def __init__(self, image, log, cmd=None, user="", read_only=False, tmpfs=(), entrypoint=None, locked=False):
        self.image, self.log_file, self.user = image, Path(log), user
        self.config = image.config
        argv = [*(self.config.entrypoint if entrypoint is None else entrypoint), *(self.config.cmd if cmd is None else cmd)]
        self.env, self.locked = {}, locked
        outside = {**os.environ, "UNSHARE": NAMESPACES, "READ_ONLY": "1" if read_only else "", "TMPFS": " ".join(tmpfs), "BINDS": ""}
        arguments = [ENTER, image.root, *self.inside(argv)]
        with open(self.log_file, "wb") as to:
            self.process = subprocess.Popen(arguments, env=outside, stdin=subprocess.DEVNULL, stdout=to, stderr=to)
        self.init_fd = None
        try:
            self.init = until(self.first_child, "process 1 starts")
            self.init_fd = os.pidfd_open(self.init)
            until(self.has_begun, "process 1 becomes the image's program")
        except (Failure, OSError):
            self.end()
            raise Failure(f"process 1 has not begun, the status is {self.process.wait()}: {self.log()}") from None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.end()
        if isinstance(error, (Failure, OSError, http.client.HTTPException)):
            raise Failure(f"{error or kind.__name__}\n--- log\n{self.log()[-6000:]}") from None

    def end(self):
        """The whole namespace ends with its process 1. The end of unshare is not enough: the kernel forgets that a process is to end with
        its parent when it changes its user, as process 1 does with --uid."""
        if self.init_fd is None:
            self.process.kill()
        else:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.init_fd, signal.SIGKILL)
            os.close(self.init_fd)
        self.process.wait()

    def first_child(self):
        return int(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().strip() or 0)

    def has_begun(self):
        """The programs that set up process 1 have the whole rest as arguments."""
        arguments = Path(f"/proc/{self.init}/cmdline").read_bytes()
        return arguments and b"/usr/bin/env\0-i\0" not in arguments

    def inside(self, argv):
        return command(self.image, argv, self.user, self.locked, self.env)

    def log(self):
        return self.log_file.read_text(errors="replace")

    def wait_log(self, text, since=0):
        def there():
            if self.process.poll() is not None:
                raise Failure(f"it has ended with status {self.process.returncode} before it said {text!r}")
            return text in self.log()[since:]
        until(there, f"{text!r} in the log")

    def kill(self, number):
        os.kill(self.init, number)

    def wait(self):
        """Returns the status with which process 1 has ended."""
        return self.process.wait(PATIENCE)

    def stop(self):
        self.kill(getattr(signal, self.config.stopsignal))
        return self.wait()

    def execute(self, *argv):
        """docker exec: returns status and output."""
        enter = ["nsenter", f"--target={self.init}", "--mount", "--pid", *NAMESPACES.split(), "--root"]
        done = subprocess.run([*enter, *self.inside(argv)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
        return done.returncode, done.stdout + done.stderr

    def health(self):
        return self.execute(*self.config.healthcheck)

    def connect(self, port=8080):
        """A connection from within the container's network."""
        made = []

        def inside():
            try:
                with open(f"/proc/{self.init}/ns/net") as namespace:
                    if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
                        raise OSError(ctypes.get_errno(), "setns")
                made.append(socket.create_connection(("127.0.0.1", port), PATIENCE))
            except OSError as error:
                made.append(error)
        thread = threading.Thread(target=inside)  # the namespace is that of one thread, which ends
        thread.start()
        thread.join()
        if isinstance(made[0], OSError):
            raise made[0]
        return made[0]

    def request(self, path, body=None):
        """Sends it and returns a function that waits for the answer: status and text."""
        connection = http.client.HTTPConnection("127.0.0.1", 8080)
        connection.sock = self.connect()
        connection.request("GET" if body is None else "POST", path, body)

        def answer():
            with connection.getresponse() as response:
                return response.status, response.read().decode()
        return answer

    def get(self, path, body=None):
        """The text of an answer that has to be 200."""
        status, text = self.request(path, body)()
        if status != 200:
            raise Failure(f"{path}: status {status}: {text[:200]}")
        return text
