"""Columns, tables and keys; names of tables get the prefix."""
from . import naming
from .requirement import sqlalchemy

Column = sqlalchemy.Column
Index = sqlalchemy.Index
UniqueConstraint = sqlalchemy.UniqueConstraint

__all__ = ["Column", "ForeignKey", "Index", "Table", "UniqueConstraint", "prefixed"]


def prefixed(name):
    """The name of a table with the prefix."""
    return naming.prefixed(name)


def ForeignKey(target, *args, **kwargs):  # noqa: N802 - SQLAlchemy's name
    """SQLAlchemy's; "table.column" gets the prefix, "schema.table.column" does not."""
    return sqlalchemy.ForeignKey(naming.prefixed_target(target) if isinstance(target, str) else target, *args, **kwargs)


def Table(name, *args, **kwargs):  # noqa: N802 - SQLAlchemy's name
    """SQLAlchemy's; the name gets the prefix."""
    return sqlalchemy.Table(naming.prefixed(name), *args, **kwargs)
