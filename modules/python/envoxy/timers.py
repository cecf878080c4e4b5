"""Functions that are called by the clock, each time in one worker of the service, however many there are."""
def _gateway():
    from envoxyd_worker import gateway  # it is there where envoxyd serves

    return gateway.current()


def every(seconds, once=False):
    """Call the function again and again, seconds after seconds; a call that takes longer makes the next one late.

    once: of several instances of the service one calls it, at multiples of the interval since 1970; see cron.
    """
    if not seconds > 0:
        raise ValueError("every() wants a positive number of seconds")

    def decorate(function):
        _gateway().add_timer(function, every=float(seconds), once=once)
        return function

    return decorate


def cron(expression, once=False):
    """Call the function at the times of a cron expression: "*/5 * * * *", "@daily"; local time.

    once: of several instances of the service one calls it. They agree on which in PostgreSQL (psql_servers) or redis (redis_servers).
    """

    def decorate(function):
        _gateway().add_timer(function, cron=str(expression), once=once)
        return function

    return decorate
