"""Decorators that hand a function over to the server, and return it as it is: signals, timers, cron, file monitors, RPC."""
import uwsgi


def get_free_signal():
    """The lowest number that no signal is registered under."""
    for number in range(256):
        if not uwsgi.signal_registered(number):
            return number
    raise Exception("no free uwsgi signal available")


class signal:
    """@signal(num, target=""): call the function with num when the signal comes."""

    def __init__(self, num, target="", **_):
        self.num, self.target = num, target

    def __call__(self, f):
        uwsgi.register_signal(self.num, self.target, f)
        return f


class _Raised(signal):
    """Registers a signal, a free one unless signum names it, and has the server raise it."""

    add = None  # the function of uwsgi that does so

    def __init__(self, *when, target="", signum=None, **_):
        super().__init__(signum, target)
        self.when = when

    def __call__(self, f):
        if self.num is None:
            self.num = get_free_signal()
        super().__call__(f)
        getattr(uwsgi, self.add)(self.num, *self.when)
        return f


class timer(_Raised):
    """@timer(secs, target="", signum=...): call the function every secs seconds."""

    add = "add_timer"

    def __init__(self, secs, **more):
        super().__init__(secs, **more)


class mstimer(_Raised):
    """@mstimer(msecs, target="", signum=...): call the function every msecs milliseconds."""

    add = "add_ms_timer"

    def __init__(self, msecs, **more):
        super().__init__(msecs, **more)


class rbtimer(_Raised):
    """@rbtimer(secs, target="", signum=...): as timer, of which there may be many."""

    add = "add_rb_timer"

    def __init__(self, secs, **more):
        super().__init__(secs, **more)


class cron(_Raised):
    """@cron(minute, hour, day, month, dayweek, target="", signum=...): -1 is any, -n every n."""

    add = "add_cron"

    def __init__(self, minute, hour, day, month, dayweek, **more):
        super().__init__(minute, hour, day, month, dayweek, **more)


class filemon(_Raised):
    """@filemon(fsobj, target="", signum=...): call the function when the file or directory changes."""

    add = "add_file_monitor"

    def __init__(self, fsobj, **more):
        super().__init__(fsobj, **more)


class rpc:
    """@rpc(name): offer the function to uwsgi.rpc() and uwsgi.call()."""

    def __init__(self, name):
        self.name = name

    def __call__(self, f):
        uwsgi.register_rpc(self.name, f)
        return f


class erlang:
    """@erlang(name): a process of an Erlang node. There is no such plugin: AttributeError."""

    def __init__(self, name):
        self.name = name

    def __call__(self, f):
        uwsgi.erlang_register_process(self.name, f)
        return f
