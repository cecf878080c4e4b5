"""What table names begin with."""
import os

_namespace = os.environ.get("ENVOXY_SERVICE_NAMESPACE", "").strip()
AUX_TABLE_PREFIX = f"aux_{_namespace}_" if _namespace else "aux_"
