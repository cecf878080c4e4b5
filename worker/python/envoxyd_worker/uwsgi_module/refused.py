"""What uWSGI has and envoxyd has not: each answers as a uWSGI in which it is not configured."""
from .state import named


def functions(mine):
    def i_am_the_lord(legion):
        check("i_am_the_lord", legion)
        return False

    def lord_scroll(legion):
        check("lord_scroll", legion)

    def scrolls(legion):
        check("scrolls", legion)

    def route(router, arguments):
        raise ValueError(f"route(): there is no router {router!r}: requests are routed before the application is called")

    return named(i_am_the_lord, lord_scroll, scrolls, route)


def check(name, legion):
    if not isinstance(legion, str):
        raise TypeError(f"{name}() takes a str")
