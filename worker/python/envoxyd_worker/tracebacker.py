"""--py-tracebacker: whoever connects to a worker's socket reads what its threads are at."""
import os
import socket
import sys
import threading
from traceback import format_stack

from . import log, threads


def start(prefix, number):
    """Listens at PREFIX and the worker's number, on a thread that ends with the process."""
    path = f"{prefix}{number}"
    listener = socket.socket(socket.AF_UNIX)
    try:
        if os.path.exists(path):
            os.unlink(path)
        listener.bind(path)
        listener.listen(16)
    except OSError as error:
        log.line(f"py-tracebacker: {path}: {error}")
        listener.close()
        return
    threads.start(answer, (listener,), "py-tracebacker")
    log.line(f"python tracebacker for worker {number} available on {path}")


def answer(listener):
    while True:
        client, _ = listener.accept()
        try:
            client.settimeout(5)
            client.sendall(stacks().encode("utf-8", "backslashreplace"))
        except OSError:  # who asked has gone, or does not read
            pass
        finally:
            client.close()


def stacks():
    """The stacks of all threads but this one, as text."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    text = ["*** uWSGI Python tracebacker output ***\n\n"]
    for ident, frame in sys._current_frames().items():
        if ident != threading.get_ident():
            text += [f"thread_id = {names.get(ident, ident)}\n", *format_stack(frame), "\n"]
    return "".join(text)
