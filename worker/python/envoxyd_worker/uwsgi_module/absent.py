"""What comes with the loops that have it."""
from .state import named


def functions(mine):
    def missing(name):
        def function(*args, **kwargs):
            raise OSError(f"uwsgi.{name}(): websockets are not there yet")

        function.__name__ = name
        return function

    names = ("websocket_handshake", "websocket_recv", "websocket_recv_nb", "websocket_send", "websocket_send_binary")
    return named(*map(missing, names))
