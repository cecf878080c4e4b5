"""The audit columns: names that import until the ORM is there."""
from ...unavailable import Unavailable

EnvoxyMixin = Unavailable(f"{__name__}.EnvoxyMixin", "the ORM")
