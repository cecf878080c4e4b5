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
        mine.request("user_harakiri", seconds)

    def log_this_request():
        mine.request("log_this_request")

    def set_logvar(name, value):
        mine.request("set_logvar", name, value)

    def get_logvar(name):
        return mine.request("get_logvar", name)

    def cl():
        text = re.match(r"\d*", mine.request("environ").get("CONTENT_LENGTH", "")).group()
        return int(text or 0)

    return named(request_id, connection_fd, disconnect, set_user_harakiri, log_this_request, set_logvar, get_logvar, cl)
