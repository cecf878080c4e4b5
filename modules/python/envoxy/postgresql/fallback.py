"""The connector where there is no worker: scripts, the import of the application, processes that a worker forked.

psycopg2 or psycopg, if the deployment has one, with one connection per thread and server.
"""
import json
import os
import threading
import uuid

from ..constants import TIMEOUT_CONN
from ..db.exceptions import DatabaseException

FIELDS = (("detail", "message_detail"), ("hint", "message_hint"), ("schema", "schema_name"), ("table", "table_name"),
          ("column", "column_name"), ("constraint", "constraint_name"))
KEYWORDS = (("host", "host"), ("port", "port"), ("db", "dbname"), ("user", "user"), ("passwd", "password"))

MISSING = (
    "PostgreSQL is reached through envoxyd's workers, once they serve. This process is none (a script, the application's import, "
    "or a process that a worker has forked) and needs a driver of its own: pip install psycopg2-binary, or psycopg[binary]")

_inherited = []  # of the process that forked us: closing them here would end them there


def driver_module():
    """psycopg2, else psycopg, else a DatabaseException that says what is missing."""
    try:
        import psycopg2
        return psycopg2
    except ImportError:
        pass
    try:
        import psycopg
        return psycopg
    except ImportError:
        raise DatabaseException(MISSING) from None


class Driver:
    """As native.Driver; a transaction is its server's key, of the thread that has begun it."""

    def __init__(self):
        self.module = driver_module()
        self.confs, self.local, self.pid = {}, threading.local(), os.getpid()

    def open(self, key, conf):
        self.confs[key] = conf

    def query(self, key, transaction, sql, params):
        def run(cursor):
            cursor.execute(sql, _adapted(params))
            if cursor.description is None:
                return []
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row)) for row in cursor.fetchall()]
        return self._with_cursor(transaction or key, run)

    def begin(self, key):
        self._with_cursor(key, lambda cursor: cursor.execute("begin"))
        return key

    def commit(self, transaction):
        def run(cursor):
            cursor.execute("commit")
            return cursor.statusmessage
        if self._with_cursor(transaction, run) == "ROLLBACK":
            raise DatabaseException("the transaction was rolled back, not committed: a statement in it had failed")

    def rollback(self, transaction):
        self._with_cursor(transaction, lambda cursor: cursor.execute("rollback"))

    def close(self, key=None):
        """End this thread's connections to a server, or all."""
        connections = self._connections()
        for name in [key] if key else list(connections):
            if name in connections:
                connections.pop(name).close()

    def _connections(self):
        if self.pid != os.getpid():
            _inherited.append(self.local)
            self.local, self.pid = threading.local(), os.getpid()
        return self.local.__dict__

    def _with_cursor(self, key, run):
        connections = self._connections()
        try:
            if key not in connections or connections[key].closed:
                connections[key] = self._connect(key)
            with connections[key].cursor() as cursor:
                return run(cursor)
        except self.module.Error as error:
            raise self._problem(error) from None

    def _connect(self, key):
        conf = self.confs[key]
        keywords = {keyword: conf[name] for name, keyword in KEYWORDS if conf.get(name)}
        dsn = conf.get("dsn") or conf.get("url") or ""
        scheme, found, rest = dsn.partition("://")
        if found:
            dsn = scheme.partition("+")[0] + found + rest
        keywords["connect_timeout"] = int(float(conf.get("timeout") or TIMEOUT_CONN))
        try:
            connection = self.module.connect(dsn, **keywords)
        except self.module.ProgrammingError:  # its text quotes what it could not read
            raise DatabaseException(f"psql_servers.{key}: the dsn cannot be read") from None
        connection.autocommit = True
        if hasattr(self.module, "ClientCursor"):
            _like_psycopg2(self.module, connection)
        if conf.get("schema"):
            with connection.cursor() as cursor:
                cursor.execute("select set_config('search_path', quote_ident(%s), false)", [conf["schema"]])
        return connection

    def _problem(self, error):
        diag = getattr(error, "diag", None)
        text = (getattr(diag, "message_primary", None) or str(error)).strip()
        state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
        made = DatabaseException(f"{text} (SQLSTATE {state})" if state else text)
        made.sqlstate = made.pgcode = state
        made.lost = isinstance(error, self.module.OperationalError) and (state or "08")[:2] == "08"
        for name, source in FIELDS:
            setattr(made, name, getattr(diag, source, None))
        return made


def _like_psycopg2(psycopg, connection):
    """Values written into the text, tuples as they stand after IN, and some types as text."""
    from psycopg.adapt import RecursiveDumper
    from psycopg.types.string import TextLoader

    class Group(RecursiveDumper):
        def dump(self, obj):
            return self.quote(obj)

        def quote(self, obj):
            return b"(" + b", ".join(self._tx.as_literal(item) for item in obj) + b")"

    connection.adapters.register_dumper(tuple, Group)
    connection.cursor_factory = psycopg.ClientCursor
    for name in ("uuid", "inet", "cidr"):
        connection.adapters.register_loader(name, TextLoader)


def _adapted(params):
    if isinstance(params, (list, tuple)):
        return [_adapt(value) for value in params]
    return {name: _adapt(value) for name, value in (params or {}).items()}


def _adapt(value):
    if isinstance(value, dict):
        return json.dumps(value)
    return str(value) if isinstance(value, uuid.UUID) else value
