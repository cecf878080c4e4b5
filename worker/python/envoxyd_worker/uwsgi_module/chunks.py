"""The pieces of a body that came in chunks. All of them are there before the application is called."""
from bisect import bisect_right

from .state import named

PIECE = 64 << 10  # behind the chunks whose ends are known


def functions(mine):
    def chunked_read(timeout=0):
        """The next chunk, b"" behind the last one. Nothing has to be waited for, so timeout is ignored."""
        found = mine.request("chunks")
        if found is None:
            raise OSError("unable to receive chunked part: the body of this request did not come in chunks")
        ends, body = memoryview(found[0]).cast("q"), found[1]
        at = body.tell()
        number = bisect_right(ends, at)
        return body.read(ends[number] - at if number < len(ends) else PIECE)

    def chunked_read_nb():
        return chunked_read()

    return named(chunked_read, chunked_read_nb)
