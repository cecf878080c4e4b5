"""Functions that are called by the clock, each time in one worker of the service, however many there are."""
def _gateway():
    from envoxyd_worker import gateway  # it is there where envoxyd serves

    return gateway.current()


def every(seconds):
    """Call the function again and again, seconds after seconds; a call that takes longer makes the next one late."""
    if not seconds > 0:
        raise ValueError("every() wants a positive number of seconds")

    def decorate(function):
        _gateway().add_timer(function, every=float(seconds))
        return function

    return decorate


def cron(expression):
    """Call the function at the times of a cron expression: "*/5 * * * *", "@daily"; local time."""

    def decorate(function):
        _gateway().add_timer(function, cron=str(expression))
        return function

    return decorate
