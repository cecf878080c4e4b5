"""What fills in the audit columns, and what refuses models with another base."""
import datetime
import uuid

from .mixin import EnvoxyMixin
from .requirement import sqlalchemy

HREF = "/v3/data-layer/{table}/{id}"


def listen():
    """Fill in the audit columns of every model, also of those that are yet to be defined."""
    for name, function in (("before_insert", _before_insert), ("before_update", _before_update)):
        if not sqlalchemy.event.contains(EnvoxyMixin, name, function):
            sqlalchemy.event.listen(EnvoxyMixin, name, function, propagate=True)


def register_envoxy_listeners():
    """Refuse, from now on, mapped classes that are not derived from EnvoxyBase; a server does so by itself."""
    listen()
    if not sqlalchemy.event.contains(sqlalchemy.orm.Mapper, "mapper_configured", _refuse_others):
        sqlalchemy.event.listen(sqlalchemy.orm.Mapper, "mapper_configured", _refuse_others)


def _refuse_others(mapper, class_):
    from .base import EnvoxyBase

    if not issubclass(class_, EnvoxyBase):
        raise RuntimeError(f"{class_.__module__}.{class_.__qualname__} is mapped, but is not derived from EnvoxyBase")


def _before_insert(mapper, connection, target):
    target.id = target.id or str(uuid.uuid4())
    target.updated = _now()
    target.created = target.created or target.updated
    target.href = target.href or HREF.format(table=mapper.local_table.name, id=target.id)


def _before_update(mapper, connection, target):
    target.updated = _now()


def _now():
    return datetime.datetime.now(datetime.timezone.utc)
