"""What there is to know and to do about the request in hand."""
import re

from .state import named


def functions(mine):
    def request_id():
        core = mine.request("core")
        return sum(row[core].requests for row in mine.rows_of(mine.worker))

    def connection_fd():
        return mine.request("connection_fd")

    def disconnect():
        mine.request("disconnect")

    def set_user_harakiri(seconds):
        if not isinstance(seconds, int):
            raise TypeError("set_user_harakiri() takes an int")
        mine.request("user_harakiri", max(seconds, 0))

    def log_this_request():
        mine.request("log_this_request")

    def set_logvar(name, value):
        mine.request("set_logvar", name, value)

    def get_logvar(name):
        return mine.request("get_logvar", name)

    def add_var(name, value):
        """A variable of the request, for %(var.NAME) of the log; the application's environ has been made already."""
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError("add_var() takes two strs")
        if len(name.encode()) + len(value.encode()) + 4 > mine.spec["limits"]["buffer_size"]:
            raise ValueError("add_var(): over the buffer size")
        mine.request("set_logvar", name, value)
        return True

    def cl():
        text = re.match(r"\d*", mine.request("environ").get("CONTENT_LENGTH", "")).group()
        return int(text or 0)

    return named(request_id, connection_fd, disconnect, set_user_harakiri, log_this_request, set_logvar, get_logvar, add_var, cl)
