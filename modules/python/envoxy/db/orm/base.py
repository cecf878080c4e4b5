"""The declarative base of models."""
from ...utils.server import is_served
from .listeners import listen, register_envoxy_listeners
from .meta import EnvoxyMeta
from .mixin import EnvoxyMixin
from .requirement import sqlalchemy


class EnvoxyBase(EnvoxyMixin, sqlalchemy.orm.declarative_base(metaclass=EnvoxyMeta)):
    """Derive, and add columns: the table's name and the audit columns are there."""

    __abstract__ = True
    __allow_unmapped__ = True  # annotations beside Column(), as SQLAlchemy 1.4 takes them


listen()
if is_served():
    register_envoxy_listeners()
