"""Our own lines, and the streams that applications write to: all of it goes to descriptors 1 and 2 with names bound before
the application is imported, which may replace sys.stderr, print and os.write. What cannot be written is lost and counted."""
import sys
from _thread import get_ident
from errno import EMSGSIZE
from io import BufferedWriter, FileIO, TextIOBase, TextIOWrapper
from os import getpid, write

FD = 2
LONGEST = 8192  # characters without a newline that are held back
PIECE = 65536  # bytes: of a text that a record of the log master does not take as a whole

mark = ""  # what begins each line of ours: the log master tells the server's lines by it
lost = 0  # writes that failed
told = 0  # how many of them the log says
streams = []  # that were made for sys.stdout and sys.stderr


def put(text, unencodable="backslashreplace"):
    """Writes a text as it is. It never raises OSError: a full disk or a reader that has gone costs the text alone."""
    data = memoryview(text.encode("utf-8", unencodable))
    try:
        while data:
            data = data[write_some(write, FD, data):]
    except OSError:
        count_loss()
        return False
    if lost > told:
        tell_loss()
    return True


def line(text):
    """Writes one line."""
    return put(f"{mark}{text}\n")


def write_some(write, *arguments):
    """Writes with the last argument's bytes; where they are too many for one record, a piece of them: the log master joins these."""
    try:
        return write(*arguments)
    except OSError as error:
        if error.errno != EMSGSIZE:
            raise
    return write(*arguments[:-1], memoryview(arguments[-1]).cast("B")[:PIECE])


def count_loss():
    global lost
    lost += 1


def tell_loss():
    """Once the log can be written again, it says what is missing."""
    global told
    missing, told = lost - told, lost
    line(f"*** {missing} writes to the log of process {getpid()} have failed ***")


class Descriptor(FileIO):
    """Descriptor 1 or 2. The application's print() does not fail because the log does."""

    def __init__(self, fd, name):
        super().__init__(fd, "w", closefd=False)
        self.name = name

    def write(self, data):
        size = memoryview(data).nbytes
        try:
            written = write_some(super().write, data)
        except OSError:
            written = None
        if written is None:  # failed, or a non-blocking descriptor that takes nothing now
            count_loss()
            return size
        return written


def open_streams():
    """Makes sys.stdout and sys.stderr: a line is in the log when it has been printed, in one write, also with PYTHONUNBUFFERED."""
    for fd, name in ((1, "stdout"), (2, "stderr")):
        given = getattr(sys, name)
        if not isinstance(given, TextIOWrapper):
            continue
        stream = TextIOWrapper(BufferedWriter(Descriptor(fd, f"<{name}>")), encoding=given.encoding, errors=given.errors,
                               newline="\n", line_buffering=True)
        stream.mode = "w"
        streams.append(stream)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def flush():
    """Writes what the streams hold back, whatever they are by now: before a fork, which would write it twice, and at the end."""
    for stream in (getattr(sys, "stdout", None), getattr(sys, "stderr", None), *streams):
        try:
            stream.flush()
        except BaseException:  # None, closed, detached, without flush, or with one that raises whatever it likes
            continue
    for thread in list(errors.pending):
        put(errors.pending.pop(thread, ""))


class ErrorStream(TextIOBase):
    """wsgi.errors: a text stream for as long as the process lives, which writes whole lines. Not even close() ends it."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self):
        self.pending = {}  # of each thread, what has no newline yet

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        me = get_ident()
        whole = self.pending.pop(me, "") + text
        end = whole.rfind("\n") + 1 if len(whole) < LONGEST else len(whole)
        if end < len(whole):
            self.pending[me] = whole[end:]
        if end:
            put(whole[:end])
        return len(text)

    def writelines(self, lines):
        for text in lines:
            self.write(text)

    def flush(self):
        text = self.pending.pop(get_ident(), "")
        if text:
            put(text)

    def close(self):
        self.flush()

    def __del__(self):
        """Not IOBase's, which would close it when the interpreter of an application's child is half gone."""

    def writable(self):
        return True

    def fileno(self):
        return FD


errors = ErrorStream()
