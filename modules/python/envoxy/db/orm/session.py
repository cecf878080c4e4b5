"""Sessions by server key: names that import until the ORM is there."""
from ...unavailable import Unavailable

dispose_all = Unavailable(f"{__name__}.dispose_all", "the ORM")
dispose_manager = Unavailable(f"{__name__}.dispose_manager", "the ORM")
get_default_server_key = Unavailable(f"{__name__}.get_default_server_key", "the ORM")
get_manager = Unavailable(f"{__name__}.get_manager", "the ORM")
session_scope = Unavailable(f"{__name__}.session_scope", "the ORM")
transactional = Unavailable(f"{__name__}.transactional", "the ORM")
validate_server_key = Unavailable(f"{__name__}.validate_server_key", "the ORM")
