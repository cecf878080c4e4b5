"""uwsgi.lock: locks that all workers share and that no dead process can keep."""
import fcntl
import os
import struct
import threading


class Locks:
    """Locks 0 to extra, as open file description locks on a memory file.

    The kernel lets go of one when its holder dies. A thread lock beside each
    makes it hold between the threads of a process too.
    """

    def __init__(self, fd, extra):
        self.path = f"/proc/self/fd/{fd}"
        self.threads = [threading.Lock() for _ in range(extra + 1)]
        self.pid, self.fd = 0, -1

    def _file(self):
        if self.pid != os.getpid():  # a description of our own: one shared over a fork would share its locks
            self.fd, self.pid = os.open(self.path, os.O_RDWR | os.O_CLOEXEC), os.getpid()
        return self.fd

    def _check(self, number):
        if not 0 <= number < len(self.threads):
            raise ValueError("invalid lock number")

    def _set(self, number, kind, command):
        return fcntl.fcntl(self._file(), command, struct.pack("hhqqi4x", kind, os.SEEK_SET, number, 1, 0))

    def acquire(self, number):
        self._check(number)
        self.threads[number].acquire()
        try:
            self._set(number, fcntl.F_WRLCK, 38)  # F_OFD_SETLKW, which Python before 3.9 has no name for
        except BaseException:
            self.threads[number].release()
            raise

    def release(self, number):
        self._check(number)
        self._set(number, fcntl.F_UNLCK, 37)  # F_OFD_SETLK
        if self.threads[number].locked():
            self.threads[number].release()

    def held(self, number):
        self._check(number)
        if self.threads[number].locked():
            return True
        found = struct.unpack("hhqqi4x", self._set(number, fcntl.F_WRLCK, 36))  # F_OFD_GETLK
        return found[0] != fcntl.F_UNLCK
