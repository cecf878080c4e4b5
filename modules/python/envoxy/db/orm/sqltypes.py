"""Column types: SQLAlchemy's, and PostgreSQL's own."""
from . import requirement  # noqa: F401, I001 - first: it says what is missing

from sqlalchemy import (
    DECIMAL, JSON, BigInteger, Boolean, Date, DateTime, Enum, Float, Integer, Interval, Numeric, SmallInteger, String, Text, Time,
    Unicode, UnicodeText,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

Decimal = Numeric

__all__ = [
    "ARRAY", "BigInteger", "Boolean", "DECIMAL", "Date", "DateTime", "Decimal", "Enum", "Float", "Integer", "Interval", "JSON",
    "JSONB", "Numeric", "SmallInteger", "String", "Text", "Time", "UUID", "Unicode", "UnicodeText",
]
