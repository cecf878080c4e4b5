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

    silent = ["cache_get", "cache_set", "cache_update", "cache_del", "cache_exists", "cache_clear", "cache_inc", "cache_dec",
              "cache_mul", "cache_div", "in_farm", "i_am_the_spooler", "metric_set", "metric_inc", "metric_dec"]
    later = {
        "cache_keys": (ValueError, "no cache available"),
        "mule_msg": (ValueError, "no mule configured"),
        "mule_get_msg": (ValueError, "you can receive mule messages only in a mule"),
        "farm_get_msg": (ValueError, "you can receive farm messages only in a mule"),
        "spool": (ValueError, "the spooler is not there yet"),
        "register_signal": (ValueError, "signals are not there yet"),
        "signal": (ValueError, "signals are not there yet"),
        "add_timer": (ValueError, "timers are not there yet"),
        "add_rb_timer": (ValueError, "timers are not there yet"),
        "add_cron": (ValueError, "cron is not there yet"),
        "add_file_monitor": (ValueError, "file monitors are not there yet"),
        "websocket_handshake": (OSError, "websockets are not there yet"),
        "websocket_recv": (OSError, "websockets are not there yet"),
        "websocket_recv_nb": (OSError, "websockets are not there yet"),
        "websocket_send": (OSError, "websockets are not there yet"),
        "websocket_send_binary": (OSError, "websockets are not there yet"),
    }

    def signal_registered(number):
        if not isinstance(number, int):
            raise TypeError("signal_registered() takes an int")
        return None

    def install_mule_msg_hook(function):
        if not callable(function):
            raise TypeError("install_mule_msg_hook() takes a callable")

    def metric_get(name):
        return 0

    unavailable = [missing(name, *how) for name, how in later.items()]
    return named(*map(nothing, silent), *unavailable, signal_registered, install_mule_msg_hook, metric_get)
