"""Parameters of statements: what marshal can carry goes as it is, the rest as (type's oid, PostgreSQL's text)."""
import datetime
import decimal
import enum
import ipaddress
import json
import uuid

from ..db.exceptions import DatabaseException
from ..utils.encoders import envoxy_json_encode_default

PLAIN = frozenset((type(None), bool, int, float, str, bytes))

UNKNOWN, BYTEA, TEXT, JSONB, INET, CIDR, NUMERIC = 0, 17, 25, 3802, 869, 650, 1700
ARRAYS = {16: 1000, BYTEA: 1001, 23: 1007, 20: 1016, TEXT: 1009, 701: 1022, NUMERIC: 1231, 1082: 1182, 1083: 1183, 1266: 1270,
          1114: 1115, 1184: 1185, 1186: 1187, 2950: 2951, INET: 1041, CIDR: 651, JSONB: 3807}


def adapted(params):
    """A dict or a list of what the connector takes. A value that it cannot take is an error, if the SQL should name it."""
    if params is None:
        return {}
    if isinstance(params, (list, tuple)):
        return [value if type(value) in PLAIN else adapt(value) for value in params]
    if all(type(value) in PLAIN for value in params.values()):
        return params
    return {name: value if type(value) in PLAIN else adapt(value) for name, value in params.items()}


def adapt(value):
    """One value; a tuple is for IN: a list of values, in parentheses. A list is an array."""
    kind = type(value)
    if kind in PLAIN:
        return value
    if kind in EXACT:
        return EXACT[kind](value)
    for base, convert in BASES:
        if isinstance(value, base):
            return convert(value)
    if kind.__name__ in ("Json", "Jsonb"):  # psycopg2's and psycopg's wrappers
        return _json(getattr(value, "adapted", None) if hasattr(value, "adapted") else value.obj)
    raise DatabaseException(f"can't adapt type '{kind.__name__}'")


def _json(value):
    return UNKNOWN, json.dumps(value, default=envoxy_json_encode_default)


def _datetime(value):
    return 1114 if value.tzinfo is None else 1184, value.isoformat(" ")


def _time(value):
    return 1083 if value.tzinfo is None else 1266, value.isoformat()


def _interval(value):
    return 1186, f"{value.days} days {value.seconds}.{value.microseconds:06} seconds"


def _decimal(value):
    return NUMERIC, "NaN" if value.is_nan() else str(value)


def _array(values):
    leaves = [leaf for leaf in _leaves(values) if leaf is not None]
    if not leaves:
        return UNKNOWN, _array_text(values, None)
    oid = _element_type(leaves)
    return ARRAYS[oid], _array_text(values, oid)


def _leaves(values):
    for value in values:
        if isinstance(value, list):
            yield from _leaves(value)
        else:
            yield value


def _element_type(leaves):
    """The type of ARRAY[…] of such constants."""
    kinds = set(map(type, leaves))
    if kinds == {bool}:
        return 16
    if kinds == {int}:
        least, most = min(leaves), max(leaves)
        return 23 if -2**31 <= least and most < 2**31 else 20 if -2**63 <= least and most < 2**63 else NUMERIC
    if kinds <= {int, float, decimal.Decimal}:
        endless = any(isinstance(leaf, float) and (leaf != leaf or leaf in (float("inf"), -float("inf"))) for leaf in leaves)
        return 701 if endless else NUMERIC
    if kinds <= {bytes, bytearray, memoryview}:
        return BYTEA
    if kinds == {dict}:
        return JSONB
    tagged = [adapt(leaf) for leaf in leaves]
    oids = {item[0] for item in tagged if isinstance(item, tuple)}
    if len(oids) == 1 and all(isinstance(item, tuple) for item in tagged) and oids <= ARRAYS.keys():
        return oids.pop()
    return TEXT


def _array_text(values, oid):
    return "{" + ",".join(_array_text(value, oid) if isinstance(value, list) else _element_text(value, oid) for value in values) + "}"


def _element_text(value, oid):
    if value is None:
        return "NULL"
    value = adapt(value)
    if isinstance(value, tuple):
        value = value[1]
    if isinstance(value, bytes):
        value = "\\x" + value.hex()
    elif isinstance(value, bool):
        return "t" if value else "f"
    elif isinstance(value, (int, float)):
        return repr(value)
    elif isinstance(value, list):
        raise DatabaseException("can't adapt a tuple inside a list")
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


EXACT = {
    tuple: lambda value: [adapt(item) for item in value],
    list: _array,
    dict: _json,
    decimal.Decimal: _decimal,
    datetime.datetime: _datetime,
    datetime.date: lambda value: (1082, value.isoformat()),
    datetime.time: _time,
    datetime.timedelta: _interval,
    uuid.UUID: lambda value: (2950, str(value)),
    bytearray: bytes,
    memoryview: bytes,
}

BASES = (
    (enum.Enum, lambda value: adapt(value.value)),
    *((plain, plain) for plain in (int, float, str, bytes)),
    (datetime.datetime, _datetime),  # before date, which it derives from
    *((base, convert) for base, convert in EXACT.items() if base is not datetime.datetime),
    ((ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Interface, ipaddress.IPv6Interface), lambda value: (INET, str(value))),
    ((ipaddress.IPv4Network, ipaddress.IPv6Network), lambda value: (CIDR, str(value))),
)
