"""What table names begin with."""
import os
import re

_namespace = re.sub(r"[^a-z0-9_]", "_", os.environ.get("ENVOXY_SERVICE_NAMESPACE", "").strip().lower())
AUX_TABLE_PREFIX = f"aux_{_namespace}_" if _namespace else "aux_"
