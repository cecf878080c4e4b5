"""The base of models: names that import until the ORM is there."""
from ...unavailable import Unavailable

EnvoxyBase = Unavailable(f"{__name__}.EnvoxyBase", "the ORM")
