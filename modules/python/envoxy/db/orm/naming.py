"""How tables, indexes and constraints are called. Databases exist with these names: they never change."""
import hashlib
import re

from .constants import AUX_TABLE_PREFIX

_ANY_PREFIX = "aux_"
_LONGEST = 60  # of PostgreSQL's 63 characters, before the prefix


def prefixed(name):
    """The name with the prefix, unless it has it, or that of another service."""
    return name if name.startswith(_ANY_PREFIX) else AUX_TABLE_PREFIX + name


def with_own_prefix(name):
    """The name with this service's prefix."""
    return name if name.startswith(AUX_TABLE_PREFIX) else AUX_TABLE_PREFIX + name


def without_prefix(name):
    """The name without this service's prefix."""
    return name[len(AUX_TABLE_PREFIX):] if name.startswith(AUX_TABLE_PREFIX) else name


def prefixed_target(target):
    """The target of a foreign key: "table.column" gets the prefix, all other forms stay."""
    table, dot, column = target.partition(".")
    return f"{prefixed(table)}.{column}" if table and dot and "." not in column else target


def table_name(words):
    """The table of a model: the plural of its name, in lower case, with the prefix."""
    return with_own_prefix(_plural(words.rpartition(".")[2]).lower())


def derived(kind, table, words=""):
    """The name of an index or a constraint that has none: its kind, its table, and what tells it from others."""
    name = f"{kind}_{without_prefix(table)}" + (f"_{words}" if words else "")
    return AUX_TABLE_PREFIX + shortened(re.sub(r"[^a-z0-9_]", "_", name.lower()))


def digest(text):
    """Eight characters that stand for a text."""
    return hashlib.sha1(text.encode()).hexdigest()[:8]


def shortened(name):
    """A name that PostgreSQL takes whole."""
    return name if len(name) <= _LONGEST else f"{name[:51]}_{digest(name)}"


_inflector = None


def _plural(word):
    global _inflector
    if _inflector is None:
        try:
            import inflect
        except ImportError:
            raise ModuleNotFoundError(
                f"the table of {word} is called by the rules of the package inflect, which is missing: pip install inflect"
                " (a model that says __exception_tablename__ does not need it)", name="inflect") from None
        _inflector = inflect.engine()
    return _inflector.plural(word)
