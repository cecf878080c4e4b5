"""Sessions by server key. A server's manager is kept; its connections are opened at first use, closed at exit."""
import atexit
import contextlib
import threading

from ...postgresql.sqlalchemy import engine
from ...postgresql.sqlalchemy.session import EnvoxySessionManager
from ...utils.config import Config
from ...utils.logs import Log
from ..exceptions import DatabaseException

_managers = {}
_lock = threading.RLock()

__all__ = [
    "dispose_all", "dispose_manager", "get_default_server_key", "get_manager", "session_scope", "transactional",
    "validate_server_key",
]


def get_manager(server_key):
    """The session manager of a server; DatabaseException for one that is not configured."""
    with _lock:
        if server_key not in _managers:
            if not validate_server_key(server_key):
                raise DatabaseException(f"psql_servers has no server {server_key!r}")
            url, options = engine.of_section(_servers()[server_key])
            _managers[server_key] = EnvoxySessionManager(url=url, engine_kwargs=options)
        return _managers[server_key]


def get_default_server_key():
    """The server that `default` names, else the first one."""
    servers = _servers()
    named = servers.get("default")
    if isinstance(named, str) and named in servers:
        return named
    for key, section in servers.items():
        if isinstance(section, dict):
            return key
    raise DatabaseException("psql_servers names no server")


def validate_server_key(server_key):
    """True when the server is configured."""
    return isinstance(_servers().get(server_key), dict)


@contextlib.contextmanager
def session_scope(server_key):
    """A session on a server: committed at the end of the with block, rolled back when it raises."""
    with get_manager(server_key).session_scope() as session:
        yield session


def transactional(server_key):
    """Decorator: each call runs in a session scope, and gets its session as keyword `session`."""
    return get_manager(server_key).transactional()


def dispose_manager(server_key):
    """Close the connections to a server, and forget its configuration."""
    with _lock:
        manager = _managers.pop(server_key, None)
    if manager is not None:
        try:
            manager.dispose()
        except Exception as error:
            Log.error(f"PostgreSQL server {server_key}: its connections do not close: {error}")


@atexit.register
def dispose_all():
    """Close all connections; a server's workers do so when they have drained."""
    for server_key in list(_managers):
        dispose_manager(server_key)


def _servers():
    return Config.get("psql_servers") or {}
