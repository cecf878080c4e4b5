"""Column types."""
from .requirement import sqlalchemy

BigInteger = sqlalchemy.BigInteger
Boolean = sqlalchemy.Boolean
DECIMAL = sqlalchemy.DECIMAL
Date = sqlalchemy.Date
DateTime = sqlalchemy.DateTime
Enum = sqlalchemy.Enum
Float = sqlalchemy.Float
Integer = sqlalchemy.Integer
Interval = sqlalchemy.Interval
JSON = sqlalchemy.JSON
Numeric = Decimal = sqlalchemy.Numeric
SmallInteger = sqlalchemy.SmallInteger
String = sqlalchemy.String
Text = sqlalchemy.Text
Time = sqlalchemy.Time
Unicode = sqlalchemy.Unicode
UnicodeText = sqlalchemy.UnicodeText

# PostgreSQL's own
ARRAY = sqlalchemy.dialects.postgresql.ARRAY
JSONB = sqlalchemy.dialects.postgresql.JSONB
UUID = sqlalchemy.dialects.postgresql.UUID

__all__ = [
    "ARRAY", "BigInteger", "Boolean", "DECIMAL", "Date", "DateTime", "Decimal", "Enum", "Float", "Integer", "Interval", "JSON",
    "JSONB", "Numeric", "SmallInteger", "String", "Text", "Time", "UUID", "Unicode", "UnicodeText",
]
