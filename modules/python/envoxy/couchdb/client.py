"""Documents in CouchDB: names that import until the connector is there."""
from ..unavailable import Unavailable

Client = Unavailable(f"{__name__}.Client", "the CouchDB connector")
