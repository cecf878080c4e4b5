"""Rows in PostgreSQL: names that import until the connector is there."""
from ..unavailable import Unavailable

Client = Unavailable(f"{__name__}.Client", "the PostgreSQL connector")
SemaphoreThreadedConnectionPool = Unavailable(f"{__name__}.SemaphoreThreadedConnectionPool", "the PostgreSQL connector")
