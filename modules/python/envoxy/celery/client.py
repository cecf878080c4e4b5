"""Tasks by Celery: names that import until the connector is there."""
from ..unavailable import Unavailable

Client = Unavailable(f"{__name__}.Client", "the Celery connector")
