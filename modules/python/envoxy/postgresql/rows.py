"""Results: the connector's reply is a marshalled list of dicts, whose dates, decimals and the like are made here.

They come a column at a time, as text but for intervals (numbers) and bytea (bytes).
"""
import json
import marshal
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import starmap

from ..db.exceptions import DatabaseException

FIELDS = ("sqlstate", "detail", "hint", "schema", "table", "column", "constraint")


def loads(reply):
    """The reply's tuple; DatabaseException for one that says why there is none."""
    value = marshal.loads(reply)
    if value[0] is None:
        raise problem(value[1])
    return value


def problem(fields):
    """The exception that a refusal describes."""
    message, *texts, lost = fields
    error = DatabaseException(message)
    for name, text in zip(FIELDS, texts):
        setattr(error, name, text or None)
    error.pgcode, error.lost = error.sqlstate, lost
    return error


def rows(reply):
    """The list of dicts of a query's reply."""
    found, columns = loads(reply)
    for name, kind, nested, holed, values in columns:
        try:
            if nested:
                values = _deep(values, ONE[kind])
            elif holed:
                one = ONE[kind]
                values = [None if value is None else one(value) for value in values]
            else:
                values = ALL[kind](values)
            for row, value in zip(found, values):
                row[name] = value
        except (ValueError, OverflowError, ArithmeticError) as error:
            raise DatabaseException(f'column "{name}" has a value that Python cannot hold: {error}') from None
    return found


def _deep(values, one):
    return [_deep(value, one) if type(value) is list else None if value is None else one(value) for value in values]


def _interval(value):
    return timedelta(*value)


# what makes one value, and what makes a whole column without NULLs
ONE = {
    "numeric": Decimal,
    "date": date.fromisoformat,
    "time": time.fromisoformat,
    "timestamp": datetime.fromisoformat,
    "interval": _interval,
    "json": json.loads,
    "bytea": memoryview,
}
ALL = {
    **{kind: lambda values, one=one: map(one, values) for kind, one in ONE.items()},
    "interval": lambda values: starmap(timedelta, values),
}
