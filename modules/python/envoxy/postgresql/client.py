"""Statements and transactions by server key."""
import os
import threading
from contextlib import contextmanager

from ..constants import DEFAULT_CHUNK_SIZE, DEFAULT_OFFSET_LIMIT
from ..db.exceptions import DatabaseException
from ..unavailable import Unavailable
from ..utils.logs import Log
from . import fallback, native

SemaphoreThreadedConnectionPool = Unavailable(f"{__name__}.SemaphoreThreadedConnectionPool", "a pool of psycopg2's connections")


class Client:
    """The servers of a `psql_servers` section. A server is connected to when it is first used, in the process that uses it."""

    def __init__(self, server_conf):
        self._servers = dict(server_conf or {})
        self._drivers = {}  # by what they reach the server with: the extension, or None for psycopg
        self._opened = set()
        self._lock = threading.Lock()
        self._local = threading.local()

    def query(self, server_key=None, sql_query=None, params=None):
        """The rows as a list of dicts, [] for a statement that has none.

        Parameters are %(name)s with a dict, or %s with a list. SQL with LIMIT %(chunk_size)s OFFSET %(offset_limit)s is
        repeated, page by page, until a page is not full. Outside a transaction each statement is committed.
        """
        if not sql_query:
            raise DatabaseException("Sql cannot be empty")
        server_key = self._key(server_key)
        driver, transaction = self._driver(server_key), self._transactions().get(server_key)
        number = transaction.number if transaction else None
        if isinstance(params, (list, tuple)):
            return driver.query(server_key, number, sql_query, params)
        params = {"chunk_size": DEFAULT_CHUNK_SIZE, "offset_limit": DEFAULT_OFFSET_LIMIT, **(params or {})}
        found = driver.query(server_key, number, sql_query, params)
        if "%(offset_limit)s" not in sql_query or "limit" not in sql_query.lower():
            return found
        page = found
        while params["chunk_size"] and len(page) == params["chunk_size"]:
            params["offset_limit"] += params["chunk_size"]
            page = driver.query(server_key, number, sql_query, params)
            found.extend(page)
        return found

    @contextmanager
    def transaction(self, server_key):
        """A transaction of this thread: its queries to that server run in it. It commits, or rolls back on an exception.

        Inside another one of the same server it is a savepoint: an exception undoes the inner part alone.
        """
        server_key = self._key(server_key)
        driver, transactions = self._driver(server_key), self._transactions()
        outer = transactions.get(server_key)
        if outer is None:
            transactions[server_key] = step = _Transaction(driver, server_key)
        else:
            step = _Savepoint(driver, server_key, outer)
        step.begin(transactions)
        try:
            yield self
        except BaseException:
            try:
                step.rollback(transactions)
            except DatabaseException as error:  # the server rolls back too, when the connection goes
                Log.error(f"Rollback failed: {error}")
            raise
        step.commit(transactions)

    def insert(self, db_table, data, returning=None):
        """Always refused: rows are written by query() or by the ORM."""
        raise DatabaseException("insert() is not supported: use query() with an INSERT, or the ORM")

    def release_conn(self, *args, **kwargs):
        """Nothing: a connection goes back to its pool by itself."""

    def reload_config(self, server_conf):
        """Take other servers; those whose section has changed, or that are gone, are disconnected."""
        with self._lock:
            before, self._servers = self._servers, dict(server_conf)
            changed = [key for _, key in self._opened if before.get(key) != self._servers.get(key)]
            for entry in [entry for entry in self._opened if entry[1] in changed]:
                self._opened.discard(entry)
                self._drivers[entry[0]].close(entry[1])

    def connect(self, instance, reconnect_attempts=3, reconnect_delay=1):
        """Check that a server answers; instance is its key, or a dict with it as "server"."""
        self.query(instance["server"] if isinstance(instance, dict) else instance, "select 1")

    def close(self):
        """End all connections; the next statement connects again. Workers do it themselves when they end."""
        with self._lock:
            self._opened.clear()
            for driver in self._drivers.values():
                driver.close()

    def _key(self, server_key):
        if server_key is None:
            named = self._servers.get("default")
            server_key = named if isinstance(named, str) else next((key for key in self._servers if key != "default"), None)
        if not isinstance(self._servers.get(server_key), dict):
            raise DatabaseException(f"No configuration found for server key: {server_key}")
        return server_key

    def _driver(self, key):
        """What reaches that server from this process."""
        extension = native.find()
        if (extension, key) in self._opened:
            return self._drivers[extension]
        with self._lock:
            if extension not in self._drivers:
                self._drivers[extension] = fallback.Driver() if extension is None else native.Driver(extension)
            if (extension, key) not in self._opened:
                self._drivers[extension].open(key, self._servers[key])
                self._opened.add((extension, key))
            return self._drivers[extension]

    def _transactions(self):
        """This thread's open transactions by server key; a forked process has none."""
        local = self._local
        if getattr(local, "pid", None) != os.getpid():
            local.pid, local.open = os.getpid(), {}
        return local.open


class _Transaction:
    """The outermost one."""

    def __init__(self, driver, key):
        self.driver, self.key, self.number, self.depth = driver, key, None, 0

    def begin(self, transactions):
        try:
            self.number = self.driver.begin(self.key)
        except BaseException:
            del transactions[self.key]
            raise

    def commit(self, transactions):
        del transactions[self.key]
        self.driver.commit(self.number)

    def rollback(self, transactions):
        del transactions[self.key]
        self.driver.rollback(self.number)


class _Savepoint:
    """One inside another."""

    def __init__(self, driver, key, outer):
        self.driver, self.key, self.outer = driver, key, outer

    def _run(self, sql):
        self.driver.query(self.key, self.outer.number, f"{sql} envoxy_{self.outer.depth}", {})

    def begin(self, transactions):
        self.outer.depth += 1
        try:
            self._run("savepoint")
        except BaseException:
            self.outer.depth -= 1
            raise

    def commit(self, transactions):
        try:
            self._run("release savepoint")
        finally:
            self.outer.depth -= 1

    def rollback(self, transactions):
        try:
            self._run("rollback to savepoint")
        finally:
            self.outer.depth -= 1
