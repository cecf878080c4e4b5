"""What all processes of an instance share of its spoolers: how often they look, and which jobs they have in hand."""
import mmap
import os
import struct

FREQUENCY = struct.Struct("<q")
LENGTH = struct.Struct("<H")
PID = struct.Struct("<i")
SLOT = 1024  # bytes for the path of a job, and what follows
SERVES = SLOT - 1  # where in a slot the number of the spooler is, counted from 1, while the process works on its jobs
WHO = SERVES - PID.size  # where its pid is
WAKE = struct.pack("@Q", 1)


class Shared:
    """Made before the forks. A slot belongs to the spooler process of that number, and to its successor."""

    def __init__(self, spoolers, frequency):
        self.slots = sum(one["processes"] for one in spoolers)
        self.memory = mmap.mmap(-1, SLOT * (self.slots + 1))
        self.set_frequency(frequency)
        self.bells = [Bell(one["wake_fd"]) for one in spoolers]

    def frequency(self):
        """Seconds between looks; one at least, or a spooler would do nothing else."""
        return max(FREQUENCY.unpack_from(self.memory, 0)[0], 1)

    def set_frequency(self, seconds):
        FREQUENCY.pack_into(self.memory, 0, seconds)

    def in_hand(self, number):
        """The job that the process of this number has, or had when it ended; "" for none."""
        if not 1 <= number <= self.slots:
            return ""
        at = SLOT * number
        size, = LENGTH.unpack_from(self.memory, at)
        at += LENGTH.size
        return os.fsdecode(self.memory[at:at + size])

    def take_in_hand(self, number, path):
        """Says so before the job begins, and with "" when it has ended."""
        if not 1 <= number <= self.slots:
            return
        at = SLOT * number
        if not path:
            LENGTH.pack_into(self.memory, at, 0)
            return
        path = os.fsencode(path)
        if len(path) <= WHO - LENGTH.size:
            self.memory[at:at + LENGTH.size + len(path)] = LENGTH.pack(len(path)) + path

    def serve(self, number, spooler):
        """The process of this number works for a spooler from now on, the index of one, and with None for none."""
        if 1 <= number <= self.slots:
            PID.pack_into(self.memory, SLOT * number + WHO, os.getpid())
            self.memory[SLOT * number + SERVES] = 0 if spooler is None else spooler % 255 + 1

    def bury(self):
        """Processes that were killed serve no more, until their successors do: there may be none, in a stop."""
        for number in range(1, self.slots + 1):
            if self.memory[SLOT * number + SERVES] and not alive(PID.unpack_from(self.memory, SLOT * number + WHO)[0]):
                self.memory[SLOT * number + SERVES] = 0

    def served(self, spooler):
        """Whether a process works for the spooler of this index. One that was killed does: its successor will."""
        return spooler % 255 + 1 in self.memory[SLOT + SERVES::SLOT]


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    return True


class Bell:
    """Wakes the processes of a spooler, from any process of the instance and from what it forks."""

    def __init__(self, fd):
        self.fd = fd
        self.identity = self._identity()
        if self.identity:
            os.set_blocking(fd, False)

    def _identity(self):
        try:
            found = os.fstat(self.fd)
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_mode

    def ring(self):
        """Does nothing where the application has closed the descriptor, whose number may be another file's by now."""
        if self.identity and self._identity() == self.identity:
            try:
                os.write(self.fd, WAKE)
            except OSError:  # it rings already
                pass

    def silence(self):
        try:
            os.read(self.fd, len(WAKE))
        except OSError:  # another process was first
            pass
