"""What names tables: names that import until the ORM is there."""
from ...unavailable import Unavailable

EnvoxyMeta = Unavailable(f"{__name__}.EnvoxyMeta", "the ORM")
