"""SQL for SQLAlchemy: names that import until the ORM is there."""
from ...unavailable import Unavailable

to_sa_text = Unavailable(f"{__name__}.to_sa_text", "the ORM")
