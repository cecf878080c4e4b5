"""The metaclass that names a model's table."""
from . import naming
from .requirement import sqlalchemy


class EnvoxyMeta(sqlalchemy.orm.DeclarativeMeta):
    """Gives each mapped class its __tablename__ before SQLAlchemy reads it.

    That is the plural of __tablename__, else of the class's name, with the prefix; __exception_tablename__ is not made plural.
    """

    def __init__(cls, name, bases, dct, **kwargs):
        if name != "EnvoxyMixin" and not dct.get("__abstract__", False):
            exception = getattr(cls, "__exception_tablename__", None)
            if exception:
                cls.__tablename__ = naming.with_own_prefix(exception.lower())
            else:
                cls.__tablename__ = naming.table_name(getattr(cls, "__tablename__", None) or name)
        super().__init__(name, bases, dct, **kwargs)
