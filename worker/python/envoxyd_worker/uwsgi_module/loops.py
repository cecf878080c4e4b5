"""Waiting without a thread's time, by the loop that runs the requests. Without one, waiting is done in the call itself."""
from select import POLLIN, POLLOUT
from time import sleep

from .connections import wait
from .state import named


def functions(mine):
    patience = mine.spec["limits"].get("socket_timeout_ms", 4000)

    def loop():
        """The loop, if the caller is one of its requests."""
        return mine.loop if mine.loop and mine.loop.current() >= 0 else None

    def waiter(name, what):
        def function(fd, timeout=0):
            if not isinstance(fd, int):
                raise TypeError(f"{name}() takes an int")
            running = loop()
            if running:
                running.register(fd, what == POLLOUT, timeout)
            else:
                wait(fd, what, timeout * 1000 if timeout > 0 else patience)
            return b""

        function.__name__ = name
        return function

    def async_sleep(seconds):
        running = loop()
        if running:
            running.register_sleep(max(seconds, 0))
        else:
            sleep(max(seconds, 0))
        return b""

    def suspend():
        running = loop()
        if running:
            running.suspend()
        return True

    def green_schedule():
        return suspend()

    def ready_fd():
        """The descriptor that ended the last wait; -1: none did."""
        running = loop()
        return running.ready_fd() if running else -1

    return named(waiter("wait_fd_read", POLLIN), waiter("wait_fd_write", POLLOUT), async_sleep, suspend, green_schedule, ready_fd)
