"""The response cache that the `cache` section describes."""
from ..constants import REDIS_BACKEND
from ..utils.config import Config
from .redis import RedisCache


class Cache:
    """Makes the backend of the configuration."""

    def __init__(self):
        self.config = Config.get("cache") or {}
        self.backend = self.config.get("backend")

    def get_backend(self):
        """A RedisCache; NotImplementedError for any other backend."""
        if self.backend != REDIS_BACKEND:
            raise NotImplementedError(f"cache.backend {self.backend!r}: only {REDIS_BACKEND!r} is there")
        return RedisCache(self.config)
