"""SQL for SQLAlchemy: a name that imports until the ORM is there."""
from ..unavailable import Unavailable

to_sa_text = Unavailable(f"{__name__}.to_sa_text", "the ORM")
