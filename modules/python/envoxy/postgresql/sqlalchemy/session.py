"""SQLAlchemy sessions: names that import until the ORM is there."""
from ...unavailable import Unavailable

EnvoxySessionManager = Unavailable(f"{__name__}.EnvoxySessionManager", "the ORM")
