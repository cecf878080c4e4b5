"""Stores by server key, as views call them."""
from ..couchdb.client import Client as CouchDBClient
from ..redis.client import Client as RedisClient
from ..utils.config import Config
from ..utils.singleton import Singleton
from .postgres import PgConnector, PgDispatcher

__all__ = [
    "Connector", "CouchConnector", "CouchDBDispatcher", "PgConnector", "PgDispatcher", "RedisConnector", "RedisDBDispatcher",
]


class Connector(Singleton):
    """One object per process and kind of store."""


class RedisConnector(Connector):
    """The servers of `redis_servers`; connects at first use."""

    def __init__(self):
        self.redis = RedisClient(Config.get("redis_servers"))


class CouchConnector(Connector):
    """The servers of `couchdb_servers`; connects at first use."""

    def __init__(self):
        self.couchdb = CouchDBClient(Config.get("couchdb_servers"))


class CouchDBDispatcher:
    """couchdbc: documents in CouchDB; db is "server.database"."""

    @staticmethod
    def find(db=None, fields=None, params=None):
        """The documents that params select: field, field__gt and the like, page_size, page_start_index, order_by."""
        return CouchConnector.instance().couchdb.find(db, fields, params)

    @staticmethod
    def get(id, db=None):
        """The document; {} when there is none."""
        return CouchConnector.instance().couchdb.get(id, db)

    @staticmethod
    def post(db=None, payload=None):
        """Create a document: what CouchDB says of it."""
        return CouchConnector.instance().couchdb.post(db, payload)


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
