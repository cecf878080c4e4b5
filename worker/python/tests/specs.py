"""The part of a specification that says: no mules, no signals."""
from pathlib import Path

ALONE = {
    "lib": str(Path(__file__).resolve().parents[3] / "lib/envoxyd"),  # what make build has made
    "control_fd": -1, "event_fd": -1, "auxiliary_fd": -1, "metrics_fd": -1, "tallies_fd": -1, "snmp": False, "snmp_fd": -1,
    "deaths_fd": -1, "vault_fd": -1,
    "signals": {"workers": [], "mules": [], "farms": [], "spooler": -1},
    "mules": {"list": [], "shared": {"out": -1, "in": -1}, "farms": [], "harakiri": 0, "receive_size": 65536},
}
