"""Redis by server key; the `redis` package of the deployment does the talking."""
from urllib.parse import urlsplit

from ..constants import REDIS_DEFAULT_DB, REDIS_DEFAULT_HOST, REDIS_DEFAULT_PORT, REDIS_DEFAULT_TTL
from ..utils.encoders import envoxy_json_dumps, envoxy_json_loads
from ..utils.truth import is_true

CONNECT_TIMEOUT = 5.0  # seconds
_SCHEMES = ("redis", "rediss", "unix")


def connect(server):
    """A redis.Redis for one section; it connects at first use, and again in a process that was forked.

    bind is "host", "host:port" or a URL (redis://, rediss:// with TLS, unix://), else there are host and port; with db,
    user, passwd (or password), timeout, and for TLS ssl and cert_path, the authority to trust.
    """
    try:
        import redis
    except ImportError:
        raise ImportError("redis is configured, but its Python package is missing: pip install redis") from None
    bind = str(server.get("bind") or "")
    options = {
        "db": int(server.get("db", REDIS_DEFAULT_DB)),
        "username": server.get("user"),
        "password": server.get("passwd") or server.get("password"),
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "socket_timeout": float(server["timeout"]) if server.get("timeout") else None,
    }
    if "://" in bind:
        return _by_url(redis, bind, server, options)
    if is_true(server.get("ssl")) or server.get("cert_path"):
        options.update(ssl=True, ssl_ca_certs=server.get("cert_path"))
    place = urlsplit(f"//{bind}")
    host = place.hostname or server.get("host") or REDIS_DEFAULT_HOST
    port = place.port or int(server.get("port") or REDIS_DEFAULT_PORT)
    return redis.Redis(host=host, port=port, **options)


def _by_url(redis, bind, server, options):
    parts = urlsplit(bind)
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"redis: bind has the scheme {parts.scheme}://, not one of {', '.join(_SCHEMES)}")
    if parts.scheme == "unix":
        del options["socket_connect_timeout"]
    elif parts.scheme == "rediss" and server.get("cert_path"):
        options["ssl_ca_certs"] = server["cert_path"]
    given = {key: value for key, value in options.items() if value is not None}
    try:
        return redis.Redis.from_url(bind, **given)  # what the URL says itself stands above the section's keys
    except ValueError:  # its text quotes from the URL
        raise ValueError("redis: bind is no URL that can be understood; a password in it must be percent-encoded") from None


class Client:
    """The servers of a `redis_servers` section."""

    def __init__(self, server_conf):
        self.servers = {key: section for key, section in (server_conf or {}).items() if isinstance(section, dict)}
        self.clients = {}

    def get_client(self, server_key):
        """The redis.Redis of a server; KeyError for one that is not configured."""
        if server_key not in self.clients:
            self.clients[server_key] = connect(self._section(server_key))
        return self.clients[server_key]

    def get(self, server_key, key):
        """The decoded value, None when there is none."""
        found = self.get_client(server_key).get(key)
        return None if found is None else envoxy_json_loads(found)

    def set(self, server_key, key, value, ttl=None):
        """Store a value as JSON for ttl seconds (default: the server's)."""
        seconds = ttl or self._section(server_key).get("ttl") or REDIS_DEFAULT_TTL
        return self.get_client(server_key).set(key, envoxy_json_dumps(value), ex=int(seconds))

    def _section(self, server_key):
        if server_key not in self.servers:
            raise KeyError(f"redis_servers has no server {server_key!r}")
        return self.servers[server_key]
