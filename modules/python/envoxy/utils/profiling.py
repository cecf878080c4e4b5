"""Where the time of a function goes, printed by cProfile."""
import cProfile
import contextlib
import pstats
from functools import wraps


@contextlib.contextmanager
def profiled_context(top=10, type="cumulative"):
    """Print the `top` lines of a profile of the with block, sorted by type."""
    profile = cProfile.Profile()
    profile.enable()
    try:
        yield
    finally:
        profile.disable()
        pstats.Stats(profile).sort_stats(type).print_stats(top)


def profiled_decorator(func, top=10, type="cumulative"):
    """The function, printing a profile of each call."""

    @wraps(func)
    def profiled(*args, **kwargs):
        with profiled_context(top, type):
            return func(*args, **kwargs)

    return profiled


def profile_func(func, *args, **kwargs):
    """Call the function once under a profile; pf_top and pf_type choose what is printed."""
    with profiled_context(kwargs.pop("pf_top", 10), kwargs.pop("pf_type", "cumulative")):
        return func(*args, **kwargs)
