"""SQLAlchemy sessions on PostgreSQL servers."""
from .session import EnvoxySessionManager

__all__ = ["EnvoxySessionManager"]
