"""What rules of the internal routing ask Python for: functions of the uwsgi module, with answers as bytes."""
import marshal

from .log import line

DONE = b""


class Outside:
    """Called by the extension with the name of a question and its arguments, marshalled. None: there is no answer."""

    def __init__(self, uwsgi):
        self.uwsgi = uwsgi

    def __call__(self, what, arguments):
        try:
            return getattr(self, what)(*marshal.loads(arguments))
        except Exception as error:
            line(f"routing: {what}: {error}")
            return None

    def cache_get(self, cache, key):
        return self.uwsgi.cache_get(key, cache)

    def cache_set(self, cache, key, value, seconds):
        return DONE if self.uwsgi.cache_set(key, value, seconds, cache) else None

    def cache_change(self, cache, key, operation, by, seconds):
        change = {b"+": self.uwsgi.cache_inc, b"-": self.uwsgi.cache_dec, b"*": self.uwsgi.cache_mul, b"/": self.uwsgi.cache_div}[operation]
        return DONE if change(key, by, seconds, cache) else None

    def setprocname(self, name):
        self.uwsgi.setprocname(name.decode("utf-8", "replace"))
        return DONE

    def rpc(self, server, name, *args):
        answer = self.uwsgi.rpc(server or None, name, *args)
        return None if answer is None else bytes(answer)
