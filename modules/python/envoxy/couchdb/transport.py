"""JSON over HTTP to one CouchDB server: by `requests` where the deployment has it, else by the standard library."""
import base64
import os
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request

from ..db.exceptions import DatabaseException
from ..utils.encoders import envoxy_json_dumps, envoxy_json_loads

try:
    import requests
except ImportError:
    requests = None


class Reply:
    """What a server answered."""

    def __init__(self, status_code, content):
        self.status_code, self.content = status_code, content

    @property
    def ok(self):
        """True below 400."""
        return self.status_code < 400

    @property
    def text(self):
        """The body as text."""
        return self.content.decode("utf-8", "replace")

    def json(self):
        """The decoded body; ValueError when it is not JSON."""
        return envoxy_json_loads(self.content)


def _split(bind):
    """The parts of a URL; one that cannot be understood may hold a password, so that it is not quoted."""
    try:
        parts = urllib.parse.urlsplit(bind)
        understood = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.path and (parts.port or True)
    except ValueError:
        understood = False
    if not understood:
        raise DatabaseException("CouchDB: bind is no http:// URL that can be understood; a password in it must be percent-encoded")
    return parts


class Transport:
    """Requests to one server; each thread keeps connections of its own, and so does a forked process."""

    def __init__(self, bind, user=None, password=None, timeout=30.0):
        parts = _split(bind if "://" in bind else f"http://{bind}")
        place = parts.netloc.rpartition("@")[2]
        self.base = urllib.parse.urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", ""))  # holds no secret
        self.timeout = timeout
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        user = user or urllib.parse.unquote(parts.username or "")
        if user:
            password = password or urllib.parse.unquote(parts.password or "")
            self._headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self._own = threading.local()

    def request(self, method, path, data=None):
        """The Reply; OSError when there is none."""
        body = None if data is None else envoxy_json_dumps(data)
        send = self._by_urllib if requests is None else self._by_requests
        return send(method, self.base + path, body)

    def _by_requests(self, method, url, body):
        try:
            found = self._session().request(method, url, data=body, timeout=self.timeout)
        except requests.RequestException as error:  # an OSError already, but its text quotes the whole URL
            raise ConnectionError(f"{type(error).__name__} at {self.base}") from error
        return Reply(found.status_code, found.content)

    def _session(self):
        if getattr(self._own, "pid", None) != os.getpid():
            session = requests.Session()
            session.headers.update(self._headers)
            if "Authorization" in self._headers:
                session.auth = lambda request: request  # else ~/.netrc would take its place
            self._own.pid, self._own.session = os.getpid(), session
        return self._own.session

    def _by_urllib(self, method, url, body):
        request = urllib.request.Request(url, body, self._headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout, context=ssl.create_default_context()) as reply:
                return Reply(reply.status, reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, error.read())
        except urllib.error.URLError as error:
            raise ConnectionError(f"{self.base}: {error.reason}") from error
