"""What async loops offer, for code that runs without one: waiting is done in the call itself, and nobody else is resumed."""
from select import POLLIN, POLLOUT
from time import sleep

from .connections import wait
from .state import named


def functions(mine):
    patience = mine.spec["limits"].get("socket_timeout_ms", 4000)

    def waiter(name, what):
        def function(fd, timeout=0):
            if not isinstance(fd, int):
                raise TypeError(f"{name}() takes an int")
            wait(fd, what, timeout * 1000 if timeout > 0 else patience)
            return b""

        function.__name__ = name
        return function

    def async_sleep(seconds):
        sleep(max(seconds, 0))
        return b""

    def suspend():
        return True

    def green_schedule():
        return True

    def ready_fd():
        """The descriptor that ended the last wait: a loop's knowledge."""
        return -1

    return named(waiter("wait_fd_read", POLLIN), waiter("wait_fd_write", POLLOUT), async_sleep, suspend, green_schedule, ready_fd)
