"""Redis by server key; the `redis` package of the deployment does the talking."""
from ..constants import REDIS_DEFAULT_DB, REDIS_DEFAULT_HOST, REDIS_DEFAULT_PORT, REDIS_DEFAULT_TTL
from ..utils.encoders import envoxy_json_dumps, envoxy_json_loads


def connect(server):
    """A redis.Redis for one section: bind "host:port", or host and port; db. It connects at first use."""
    try:
        import redis
    except ImportError:
        raise ImportError("redis is configured, but its Python package is missing: pip install redis") from None
    host, _, port = server.get("bind", "").rpartition(":")
    return redis.Redis(
        host=host or server.get("host", REDIS_DEFAULT_HOST),
        port=int(port or server.get("port", REDIS_DEFAULT_PORT)),
        db=int(server.get("db", REDIS_DEFAULT_DB)),
        password=server.get("passwd"),
    )


class Client:
    """The servers of a `redis_servers` section."""

    def __init__(self, server_conf):
        self.servers = server_conf
        self.clients = {}

    def get_client(self, server_key):
        """The redis.Redis of a server; KeyError for one that is not configured."""
        if server_key not in self.clients:
            self.clients[server_key] = connect(self.servers[server_key])
        return self.clients[server_key]

    def get(self, server_key, key):
        """The decoded value, None when there is none."""
        found = self.get_client(server_key).get(key)
        return None if found is None else envoxy_json_loads(found)

    def set(self, server_key, key, value, ttl=None):
        """Store a value as JSON for ttl seconds (default: the server's)."""
        seconds = ttl or self.servers[server_key].get("ttl", REDIS_DEFAULT_TTL)
        return self.get_client(server_key).set(key, envoxy_json_dumps(value), ex=int(seconds))
