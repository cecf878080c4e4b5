"""The server's option dictionary, which also carries what is shared between modules of a service."""
try:
    import uwsgi
except ImportError:  # a script or a test of the service
    uwsgi = None

_alone = {"log-level": b"\x09"}


def options():
    """uwsgi.opt; outside a server a dictionary of this process."""
    return _alone if uwsgi is None else uwsgi.opt


def is_served():
    """True inside a server."""
    return uwsgi is not None
