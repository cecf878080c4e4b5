"""The part of pgsqlc that is SQLAlchemy's; what it needs is imported when it is called."""


class SqlalchemyDispatcher:
    """Sessions by server key; without one, of the default server."""

    @staticmethod
    def sa_manager(server_key=None):
        """The EnvoxySessionManager of a server."""
        from . import session

        return session.get_manager(server_key or session.get_default_server_key())

    @staticmethod
    def sa_session(server_key=None):
        """A session for a with block: committed at its end, rolled back when it raises."""
        return SqlalchemyDispatcher.sa_manager(server_key).session_scope()

    @staticmethod
    def sa_transactional(server_key=None):
        """Decorator: each call runs in a session scope, and gets its session as keyword `session`."""
        return SqlalchemyDispatcher.sa_manager(server_key).transactional()
