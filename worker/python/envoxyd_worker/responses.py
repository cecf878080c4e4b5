"""Options that look at every response's headers. Without them the application is called as it is."""
import zlib

# zlib's code for a gzip member, with the usual window.
GZIP = 16 + zlib.MAX_WBITS


def wrap(app, python, set_logvar):
    """The application with --collect-header, --pull-header, --http-auto-gzip and --start_response-nodelay around it, as they are given."""
    if app is not None and python["no_delay"]:
        app = at_once(app)
    notes = [(*pair.split()[:2], keep) for keep, pairs in ((True, python["collect_headers"]), (False, python["pull_headers"]))
             for pair in pairs or ()]
    if app is None or not notes and not python["auto_gzip"]:
        return app
    return Responses(app, notes, python["auto_gzip"], set_logvar)


def at_once(app):
    """The application, whose start_response sends the head."""
    def prompt(environ, start_response):
        def start(*given):
            write = start_response(*given)
            write(b"")
            return write

        return app(environ, start)

    return prompt


class Responses:
    def __init__(self, app, notes, auto_gzip, set_logvar):
        self.app = app
        self.notes = [(header.lower(), variable, keep) for header, variable, keep in notes]
        self.auto_gzip = auto_gzip
        self.set_logvar = set_logvar

    def __call__(self, environ, start_response):
        if not self.auto_gzip or environ.get("UWSGI_ROUTER") != "http":
            return self.app(environ, lambda status, headers, *error: start_response(status, self.take_note(headers), *error))
        compression = Compression(environ)

        def start(status, headers, *error):
            write = start_response(status, compression.choose(status, self.take_note(headers)), *error)
            return lambda data: write(compression.part(data))

        return compression.stream(self.app(environ, start))

    def take_note(self, headers):
        """Puts headers into variables of the request; what is pulled does not go to the client."""
        for header, variable, keep in self.notes:
            for pair in headers:
                if pair[0].lower() == header:
                    self.set_logvar(variable, pair[1])
            if not keep:
                headers = [pair for pair in headers if pair[0].lower() != header]
        return headers


class Compression:
    """What becomes of one response that may ask to be compressed, by uWSGI-Encoding: gzip."""

    def __init__(self, environ):
        self.possible = environ["REQUEST_METHOD"] != "HEAD" and accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", ""))
        self.compressor = None

    def choose(self, status, headers):
        found = {name.lower(): value for name, value in headers}
        self.compressor = None
        if (not self.possible or found.get("uwsgi-encoding", "").lower() != "gzip" or status[:3] in ("204", "304")
                or "content-length" in found or "content-encoding" in found):
            return headers
        self.compressor = zlib.compressobj(wbits=GZIP)
        kept = [pair for pair in headers if pair[0].lower() != "uwsgi-encoding"]
        return [*kept, ("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]

    def part(self, data):
        return self.compressor.compress(data) + self.compressor.flush(zlib.Z_SYNC_FLUSH) if self.compressor else data

    def stream(self, body):
        try:
            for data in body:
                yield self.part(data) if data else data
            if self.compressor:
                yield self.compressor.flush()
        finally:
            if hasattr(body, "close"):
                body.close()


def accepts_gzip(text):
    """Whether an Accept-Encoding header names gzip, and not with a quality of 0."""
    for offer in text.lower().split(","):
        coding, *parameters = (part.strip() for part in offer.split(";"))
        if coding in ("gzip", "x-gzip"):
            return not any(p.replace(" ", "").rstrip("0") in ("q=", "q=0.") for p in parameters)
    return False
