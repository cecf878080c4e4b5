"""Models and sessions of the ORM, by SQLAlchemy; it is imported when a name is first asked for."""
import importlib

from .constants import AUX_TABLE_PREFIX

_MODULE_OF = {
    "EnvoxyBase": "base",
    "EnvoxyMeta": "meta",
    "EnvoxyMixin": "mixin",
    "get_default_server_key": "session",
    "get_manager": "session",
    "register_envoxy_listeners": "listeners",
    "session_scope": "session",
    "transactional": "session",
}

__all__ = ["AUX_TABLE_PREFIX", "metadata", "schema", "sqltypes", *_MODULE_OF]


def __getattr__(name):
    if name in ("schema", "sqltypes"):
        return importlib.import_module(f"{__name__}.{name}")
    if name == "metadata":
        value = __getattr__("EnvoxyBase").metadata
    elif name in _MODULE_OF:
        value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *__all__})
