"""--dynamic-apps: requests over the uwsgi protocol name the application that is to answer them."""
from threading import Lock

from . import apps, log
from .failures import report_import


class Apps:
    """Applications by what named them. A client of HTTP cannot name any: its headers begin with HTTP_."""

    def __init__(self, most):
        self.most = most
        self.known = {}
        self.lock = Lock()

    def named_by(self, environ):
        """The application that a request names; None if it names none, or none that is there."""
        source = source_of(environ)
        if source is None:
            return None
        with self.lock:
            if source not in self.known:
                if len(self.known) >= self.most:
                    log.line(f"ERROR: you cannot load more than {self.most} apps in a worker (max-apps)")
                    return None
                try:
                    self.known[source] = apps.named_by(*source)
                except Exception as error:
                    report_import(error)
                    return None
                log.line(f"WSGI app {len(self.known) - 1} ({source[1]}) loaded for a request")
            return self.known[source]


def source_of(environ):
    """(kind, text, callable) as apps.named_by takes it, of the variables of a request."""
    file = environ.get("UWSGI_FILE")
    module = environ.get("UWSGI_SCRIPT") or environ.get("UWSGI_MODULE")
    if not file and not module:
        return None
    return "file" if file else "module", file or module, environ.get("UWSGI_CALLABLE")
