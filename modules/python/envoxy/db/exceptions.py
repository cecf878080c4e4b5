"""Errors of the stores."""


class DatabaseException(Exception):
    """A store refused or failed.

    Of an error of PostgreSQL's: sqlstate (also as pgcode, psycopg2's name), detail, hint, schema, table, column and
    constraint. lost says that the connection is gone.
    """

    sqlstate = pgcode = detail = hint = schema = table = column = constraint = None
    lost = False
