"""What there is nothing behind, as in a uWSGI that was not configured for it."""

from .state import named


def functions(mine):
    def nothing(name):
        def function(*args, **kwargs):
            return None

        function.__name__ = name
        return function

    def missing(name, error, what):
        def function(*args, **kwargs):
            raise error(f"uwsgi.{name}(): {what}")

        function.__name__ = name
        return function

    silent = ["metric_set", "metric_inc", "metric_dec"]
    later = {
        "websocket_handshake": (OSError, "websockets are not there yet"),
        "websocket_recv": (OSError, "websockets are not there yet"),
        "websocket_recv_nb": (OSError, "websockets are not there yet"),
        "websocket_send": (OSError, "websockets are not there yet"),
        "websocket_send_binary": (OSError, "websockets are not there yet"),
    }

    def metric_get(name):
        return 0

    unavailable = [missing(name, *how) for name, how in later.items()]
    return named(*map(nothing, silent), *unavailable, metric_get)
