"""What fills in audit columns: names that import until the ORM is there."""
from ...unavailable import Unavailable

register_envoxy_listeners = Unavailable(f"{__name__}.register_envoxy_listeners", "the ORM")
