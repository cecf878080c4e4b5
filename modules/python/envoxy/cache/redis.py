"""JSON values in redis under prefix:endpoint:method:base64url(JSON parameters)."""
import base64

from ..constants import REDIS_DEFAULT_TTL
from ..redis.client import connect
from ..utils.encoders import envoxy_json_dumps, envoxy_json_loads


class RedisCache:
    """One redis database; connects at first use, so that each worker has its own connections."""

    def __init__(self, config):
        self.ttl = int(config.get("ttl", REDIS_DEFAULT_TTL))
        self.key_prefix = config.get("key_prefix")
        self.r = connect(config)

    def key(self, endpoint, method, params):
        """Where a reply is kept."""
        encoded = base64.urlsafe_b64encode(envoxy_json_dumps(params)).decode()
        return f"{self.key_prefix}:{endpoint}:{method}:{encoded}"

    def get(self, endpoint, method, params):
        """The decoded value, {} when there is none."""
        found = self.r.get(self.key(endpoint, method, params))
        return envoxy_json_loads(found) if found else {}

    def set(self, endpoint, method, params, json_data, ttl=None):
        """Keep a value for ttl seconds (default: the section's)."""
        self.r.set(self.key(endpoint, method, params), envoxy_json_dumps(json_data), ex=int(ttl or self.ttl))
