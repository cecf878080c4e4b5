"""SQL for SQLAlchemy."""
from ..helpers import to_sa_text

__all__ = ["to_sa_text"]
