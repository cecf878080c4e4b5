"""PostgreSQL as views call it."""
from ..postgresql.client import Client
from ..utils.config import Config
from ..utils.singleton import Singleton
from .orm.dispatcher import SqlalchemyDispatcher


class PgConnector(Singleton):
    """The servers of `psql_servers`."""

    def __init__(self):
        self.postgres = Client(Config.get("psql_servers"))


class PgDispatcher(SqlalchemyDispatcher):
    """pgsqlc: SQL by server key."""

    @staticmethod
    def client():
        """The Client of this process."""
        return PgConnector.instance().postgres

    @staticmethod
    def query(server_key=None, sql=None, params=None):
        """The rows of a statement as a list of dicts; see Client.query."""
        return PgConnector.instance().postgres.query(server_key, sql, params)

    @staticmethod
    def insert(db_table, data, returning=None):
        """Always refused, as Client.insert."""
        return PgConnector.instance().postgres.insert(db_table, data, returning)

    @staticmethod
    def transaction(server_key=None):
        """A context manager: commits, or rolls back on an exception; see Client.transaction."""
        return PgConnector.instance().postgres.transaction(server_key)
