"""Functions that one process offers to others."""
from ..failures import report
from .state import named


def functions(mine):
    def register_rpc(name, function, argc=0):
        if not isinstance(name, str) or not callable(function):
            raise TypeError("register_rpc() takes a str and a callable")
        if len(name) > 254 or (len(mine.rpc) >= 64 and name not in mine.rpc):
            raise ValueError("rpc name too long or table full")
        mine.rpc[name.encode()] = function
        return True

    def call(name, *args):
        if not isinstance(name, bytes) or not all(isinstance(a, bytes) for a in args):
            raise ValueError("call() takes bytes")
        function = mine.rpc.get(name)
        if function is None:
            return None
        try:
            result = function(*args)
        except Exception as error:
            report(error)
            return None
        return result if isinstance(result, bytes) and result else None

    def rpc(node, name, *args):
        if node not in (None, "", b""):
            raise OSError("rpc() to another node is not there yet")
        return call(name, *args)

    def rpc_list():
        return tuple(mine.rpc)

    return named(register_rpc, call, rpc, rpc_list)
