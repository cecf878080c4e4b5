"""Orders to the master, and the queues of its sockets."""
import os
import signal
import socket
import struct

from .state import named


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

    return named(reload, stop, listen_queue)
