"""What rules of the internal routing ask Python for: functions of the uwsgi module, with answers as bytes."""
import marshal
import struct

from .log import line

DONE = b""
NUMBER = struct.Struct("<q")


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

    def listen_queue(self):
        return str(self.uwsgi.listen_queue()).encode()

    def cache_get(self, cache, key):
        value = self.uwsgi.cache_get(key, cache or None)
        return None if value is None else NUMBER.pack(0) + value

    def cache_set(self, cache, key, value, seconds):
        return DONE if self.uwsgi.cache_set(key, value, seconds, cache or None) else None

    def cache_change(self, cache, key, operation, by, seconds):
        change = {b"+": self.uwsgi.cache_inc, b"-": self.uwsgi.cache_dec, b"*": self.uwsgi.cache_mul, b"/": self.uwsgi.cache_div}[operation]
        return DONE if change(key, by, seconds, cache or None) else None

    def metric(self, name):
        value = self.uwsgi.metric_get(name)
        return None if value is None else NUMBER.pack(value)

    def metric_change(self, name, operation, by):
        change = {b"+": self.uwsgi.metric_inc, b"-": self.uwsgi.metric_dec, b"*": self.uwsgi.metric_mul, b"/": self.uwsgi.metric_div,
                  b"=": self.uwsgi.metric_set}[operation]
        return DONE if change(name, by) else None

    def signal(self, number):
        self.uwsgi.signal(number)
        return DONE

    def alarm(self, name, message):
        self.uwsgi.alarm(name, message.decode("utf-8", "replace"))
        return DONE

    def setprocname(self, name):
        self.uwsgi.setprocname(name.decode("utf-8", "replace"))
        return DONE

    def rpc(self, server, name, *args):
        answer = self.uwsgi.rpc(server or None, name, *args)
        return None if answer is None else bytes(answer)
