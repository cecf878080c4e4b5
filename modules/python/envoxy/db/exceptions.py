"""Errors of the stores."""


class DatabaseException(Exception):
    """A store refused or failed."""
