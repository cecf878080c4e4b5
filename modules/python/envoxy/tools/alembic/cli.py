"""Envoxy-alembic: a name that imports until the ORM is there."""
from ...unavailable import Unavailable

main = Unavailable(f"{__name__}.main", "the ORM")
