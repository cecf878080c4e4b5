"""Stores by server key, as views call them."""
from ..redis.client import Client as RedisClient
from ..unavailable import Unavailable
from ..utils.config import Config
from ..utils.singleton import Singleton
from .postgres import PgConnector, PgDispatcher  # noqa: F401 - to be imported from here

CouchDBDispatcher = Unavailable(f"{__name__}.CouchDBDispatcher", "the CouchDB connector")
CouchConnector = Unavailable(f"{__name__}.CouchConnector", "the CouchDB connector")


class Connector(Singleton):
    """One object per process and kind of store."""


class RedisConnector(Connector):
    """The servers of `redis_servers`; connects at first use."""

    def __init__(self):
        self.redis = RedisClient(Config.get("redis_servers"))


class RedisDBDispatcher:
    """redisc: JSON values in redis."""

    @staticmethod
    def get(server_key, key):
        """The decoded value, None when there is none."""
        return RedisConnector.instance().redis.get(server_key, key)

    @staticmethod
    def set(server_key, key, value):
        """Store a value as JSON for the server's ttl."""
        return RedisConnector.instance().redis.set(server_key, key, value)

    @staticmethod
    def client(server_key):
        """The redis.Redis of a server."""
        return RedisConnector.instance().redis.get_client(server_key)
