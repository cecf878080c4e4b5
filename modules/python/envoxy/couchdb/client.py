"""Documents in CouchDB by "server.database"."""
import time
from urllib.parse import quote

from ..db.exceptions import DatabaseException
from ..utils.logs import Log
from ..utils.truth import is_true
from .selector import query
from .transport import Transport

_ATTEMPTS = 3
_PAUSE = 1.0  # seconds before the second attempt; before the third twice as many


class Client:
    """The servers of a `couchdb_servers` section."""

    def __init__(self, server_conf):
        self.servers = {key: section for key, section in (server_conf or {}).items() if isinstance(section, dict)}
        self._transports = {}

    def find(self, db, fields=None, params=None):
        """The documents that params select; [] when there are none, or when the server refuses.

        fields is sent only where the server's section says `"fields": true`: services that run on envoxy pass it,
        and read more of a document than they name.
        """
        data = query(params)
        if fields and is_true(self._place(db)[1].get("fields")):
            data["fields"] = list(fields)
        reply = self.base_request(db, "POST", data=data, find=True)
        return _content(reply, "find", db, (200,)).get("docs") or []

    def get(self, id, db):
        """The document; {} when there is none."""
        return _content(self.base_request(db, "GET", uri=id), "get", db, (200,))

    def post(self, db, payload):
        """Create a document: what CouchDB says of it (ok, id, rev); {} when it refuses."""
        return _content(self.base_request(db, "POST", data=payload), "post", db, (201, 202))

    def base_request(self, db, method, data=None, find=False, uri=None):
        """One request to a database: of the document `uri`, or of _find; the reply has status_code, text and json().

        An OSError is raised when the server cannot be reached three times in a row; what could create a document
        twice is tried once.
        """
        key, section, database = self._place(db)
        path = "/" + quote(database, safe="") + ("/" + quote(str(uri), safe="") if uri else "") + ("/_find" if find else "")
        repeatable = find or method != "POST" or bool((data or {}).get("_id"))
        pause = _PAUSE
        for attempt in range(1, _ATTEMPTS + 1):
            begin = time.monotonic()
            try:
                reply = self._transport(key, section).request(method, path, data)
            except OSError as error:
                Log.error(f"CouchDB {key}: {method} {path} failed: {error}")
                if attempt == _ATTEMPTS or not repeatable:
                    raise
                time.sleep(pause)
                pause *= 2
            else:
                Log.debug(f"CouchDB {key}: {method} {path} {reply.status_code} in {time.monotonic() - begin:.3f} s")
                return reply
        return None

    def _place(self, db):
        """(server key, its section, database) of "server.database"; a server alone has its section's `db`."""
        key, _, database = (db or next(iter(self.servers), "")).partition(".")
        if key not in self.servers:
            raise DatabaseException(f"couchdb_servers has no server {key!r}")
        database = database or self.servers[key].get("db")
        if not database:
            raise DatabaseException(f'{db!r} names no database: "{key}.<database>"')
        return key, self.servers[key], database

    def _transport(self, key, section):
        if key not in self._transports:
            bind = section.get("bind") or section.get("url")
            if not bind:
                raise DatabaseException(f"couchdb_servers.{key} has no bind")
            self._transports[key] = Transport(
                bind, section.get("user"), section.get("passwd"), float(section.get("timeout") or 30))
        return self._transports[key]


def _content(reply, call, db, wanted):
    if reply.status_code not in wanted:
        level = Log.info if reply.status_code == 404 and call == "get" else Log.warning
        level(f"CouchDB {call} {db}: status {reply.status_code}, {reply.text[:500]}")
        return {}
    try:
        found = reply.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        Log.error(f"CouchDB {call} {db}: the reply is no JSON object")
        return {}
    return found
