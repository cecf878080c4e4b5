"""Orders to the master, and the queues of its sockets."""
import os
import signal
import socket
import struct

from .state import named

WARNING_SIZE = 80  # characters of a message


def functions(mine):
    pid = mine.spec["master_pid"]

    def tell(number):
        if not pid:
            return None
        os.kill(pid, number)
        return True

    def reload():
        return tell(signal.SIGHUP)

    def stop():
        return tell(signal.SIGTERM)

    def listen_queue(number=0):
        fds = [s["fd"] for s in mine.spec["sockets"] or ()]
        if not 0 <= number < len(fds):
            raise ValueError("no such socket")
        with socket.socket(fileno=os.dup(fds[number])) as listener:
            if listener.family == socket.AF_UNIX:
                return 0
            info = listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
        return struct.unpack_from("<I", info, 24)[0]  # tcpi_unacked of a listener is its queue

    def accepting(number=1):
        """For workers that accept by themselves; these are told by the server."""

    def set_warning_message(text):
        if not isinstance(text, str):
            raise TypeError("set_warning_message() takes a str")
        mine.warning = text[:WARNING_SIZE]
        return True

    return named(reload, stop, listen_queue, accepting, set_warning_message)
