"""JSON as services exchange it: compact UTF-8; dates as ISO 8601, decimals as numbers."""
import dataclasses
import datetime
import decimal
import enum
import json
import math
import uuid

try:
    import orjson
except ImportError:
    orjson = None

_LEAST, _GREATEST = -2 ** 63, 2 ** 64 - 1  # what fits 64 bits
_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode  # json.dumps would make an encoder each time


def envoxy_json_dumps(obj):
    """JSON bytes; whole numbers beyond 64 bits become text. TypeError for what JSON cannot hold."""
    if orjson is not None:
        try:
            return orjson.dumps(obj, default=envoxy_json_encode_default)
        except TypeError:
            pass  # a number that is too large, or a real error, which _plain names
    return _compact(_plain(obj)).encode("utf-8")


def envoxy_json_loads(obj):
    """The value of JSON text or bytes; ValueError when it is none."""
    if orjson is not None:
        return orjson.loads(obj)
    return json.loads(bytes(obj) if isinstance(obj, (bytearray, memoryview)) else obj)


def envoxy_json_encode_default(obj):
    """What decimals, dates and times become; TypeError for others."""
    if isinstance(obj, decimal.Decimal):
        return float(obj)
    if isinstance(obj, (datetime.datetime, datetime.date, datetime.time)):
        return obj.isoformat()
    raise TypeError(f"Type is not JSON serializable: {type(obj).__name__}")


def _plain(obj):
    """The same value in types that json writes as orjson would."""
    if obj is None or type(obj) in (str, bool):
        return obj
    if isinstance(obj, enum.Enum):
        return _plain(obj.value)
    if isinstance(obj, str):
        return obj
    if isinstance(obj, int):
        return obj if _LEAST <= obj <= _GREATEST else str(obj)
    if isinstance(obj, float):
        return obj if math.isfinite(obj) else None
    if isinstance(obj, dict):
        for key in obj:
            if not isinstance(key, str):
                raise TypeError(f"Dict key must be str: {key!r}")
        return {key: _plain(value) for key, value in obj.items()}
    if isinstance(obj, (list, tuple)):
        return [_plain(value) for value in obj]
    if isinstance(obj, uuid.UUID):
        return str(obj)
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        return {field.name: _plain(getattr(obj, field.name)) for field in dataclasses.fields(obj)}
    return _plain(envoxy_json_encode_default(obj))


class EnvoxyJsonEncoder(json.JSONEncoder):
    """For json.dumps(cls=…): decimals as numbers, dates as ISO 8601."""

    def default(self, o):
        try:
            return envoxy_json_encode_default(o)
        except TypeError:
            return super().default(o)
