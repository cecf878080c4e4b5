"""Models and sessions of the ORM."""
from ...unavailable import Unavailable
from . import schema, sqltypes
from .base import EnvoxyBase
from .constants import AUX_TABLE_PREFIX
from .listeners import register_envoxy_listeners
from .meta import EnvoxyMeta
from .mixin import EnvoxyMixin
from .session import get_default_server_key, get_manager, session_scope, transactional

metadata = Unavailable(f"{__name__}.metadata", "the ORM")

__all__ = [
    "AUX_TABLE_PREFIX", "EnvoxyBase", "EnvoxyMeta", "EnvoxyMixin", "get_default_server_key", "get_manager", "metadata",
    "register_envoxy_listeners", "schema", "session_scope", "sqltypes", "transactional",
]
