"""Columns and constraints: names that import until the ORM is there."""
from ...unavailable import Unavailable

Column = Unavailable(f"{__name__}.Column", "the ORM")
ForeignKey = Unavailable(f"{__name__}.ForeignKey", "the ORM")
Index = Unavailable(f"{__name__}.Index", "the ORM")
Table = Unavailable(f"{__name__}.Table", "the ORM")
UniqueConstraint = Unavailable(f"{__name__}.UniqueConstraint", "the ORM")
prefixed = Unavailable(f"{__name__}.prefixed", "the ORM")
