"""Reading files and other sources, and the packets that the spooler and `uwsgi` clients write."""
import struct

from .. import log
from .state import named

PACKET = struct.Struct("<BHB")  # modifier1, size of the variables, modifier2
LENGTH = struct.Struct("<H")
READABLE = (0, 17)  # modifier1 of a request, and of a spooler's file
ATTACHED = ("data", "sym", "section", "emperor")  # schemes of what uWSGI has within its own executable


def functions(mine):
    def extract(source):
        """The content of a file or of SCHEME://..., as bytes; None if it cannot be read."""
        if not isinstance(source, str):
            raise TypeError("extract() takes a str")
        scheme, separator, rest = source.partition("://")
        if separator and scheme in ATTACHED:
            log.line(f"extract(): {scheme}:// names data within the executable, and there is none")
            return None
        try:
            if separator and scheme == "call":
                return mine.uwsgi.call(rest.encode())
            return READERS[scheme](rest) if separator and scheme in READERS else content(source)
        except (OSError, ValueError) as error:
            log.line(f"extract(): {source}: {error}")
            return None

    def parsefile(path):
        """The variables in a file that holds a packet, as a dict of bytes; None if it holds none."""
        if not isinstance(path, str):
            raise TypeError("parsefile() takes a str")
        try:
            return variables(content(path))
        except (OSError, ValueError, struct.error):
            return None

    def embedded_data(symbol):
        if not isinstance(symbol, str):
            raise TypeError("embedded_data() takes a str")
        raise ValueError(f"unable to find symbol {symbol}: nothing is embedded in envoxyd")

    return named(extract, parsefile, embedded_data)


def content(path):
    with open(path, "rb") as file:
        return file.read()


def from_descriptor(number):
    with open(int(number), "rb", closefd=False) as file:
        return file.read()


def from_command(command):
    import subprocess  # slow to import, and seldom needed

    done = subprocess.run(command, shell=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    return done.stdout


def from_http(rest):
    import http.client

    host, _, path = rest.partition("/")
    connection = http.client.HTTPConnection(host, timeout=10)
    try:
        connection.request("GET", "/" + path)
        answer = connection.getresponse()
        if answer.status != 200:
            raise OSError(f"the server answers {answer.status}")
        return answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"no answer: {error!r}") from error
    finally:
        connection.close()


READERS = {"file": lambda path: content(path), "fd": from_descriptor, "exec": from_command, "http": from_http}


def variables(packet):
    modifier1, size, _ = PACKET.unpack_from(packet)
    block = packet[PACKET.size:PACKET.size + size]
    if modifier1 not in READABLE or len(block) < size:
        return None
    texts = []
    while block:
        (length,) = LENGTH.unpack_from(block)
        text, block = block[LENGTH.size:LENGTH.size + length], block[LENGTH.size + length:]
        if len(text) < length:
            return None
        texts.append(text)
    return dict(zip(texts[::2], texts[1::2])) if len(texts) % 2 == 0 else None
