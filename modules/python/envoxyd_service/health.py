"""Health checks: /_health for what envoxy has always answered, /health and kin for people and orchestrators.

Nothing is asked of a connector on the way: the event gateway looks at each in the background, and what it
found last is read from shared memory.
"""
import time

import envoxy
from envoxyd_worker import gateway
from envoxyd_worker.gateway import GatewayError
from werkzeug.exceptions import HTTPException, NotFound

INTERVAL = 10.0  # seconds between two looks, unless health.interval says otherwise


def add(app, conf):
    """Add the paths after the views; a service that answers one of them itself keeps it."""
    add_own(app)
    boot = (conf.get("boot") or [{}])[0]
    name = boot.get("name", "envoxy")
    stale = 3 * float((conf.get("health") or {}).get("interval") or INTERVAL) + 5

    def health():
        connectors, events = seen(stale)
        reply = {"status": "healthy" if ready(connectors) else "degraded", "service": name}
        if connectors:
            reply["connectors"] = connectors
        if any(events.values()):
            reply["events"] = events
        return envoxy.Response(reply)

    def readiness():
        connectors, _ = seen(stale)
        if ready(connectors):
            return envoxy.Response({"status": "ready", "service": name})
        missing = sorted(key for key, condition in connectors.items() if condition["status"] != "up")
        return envoxy.Response({"payload": {"status": "not ready", "service": name, "down": missing}, "status": 503})

    def liveness():
        return envoxy.Response({"status": "alive", "service": name})

    for path, answer in (("/health", health), ("/health/ready", readiness), ("/health/live", liveness)):
        if not _answers(app, path):
            app.add_url_rule(path, path, answer)


def add_own(app):
    """Add /_health."""
    app.add_url_rule("/_health", "_health", lambda: envoxy.Response({"status": "healthy", "service": "envoxy"}))


def seen(stale):
    """(what is known of each connector, how many events have come and what has become of them).

    Connectors have their age in seconds; one that nobody has looked at for stale seconds is "unknown".
    """
    try:
        note = gateway.current().health() or {}
    except GatewayError:
        note = {}
    found = note.get("connectors", {})
    now = time.monotonic()
    for condition in found.values():
        age = condition["age"] = round(max(now - condition.pop("checked"), 0), 3)
        condition["since"] = round(condition["since"], 3)
        if age > stale:
            condition["status"] = "unknown"
    return found, note.get("events", {})


def ready(connectors):
    """Whether every connector was there when it was looked at last."""
    return all(condition["status"] == "up" for condition in connectors.values())


def _answers(app, path):
    try:
        app.url_map.bind("localhost").match(path, method="GET")
    except NotFound:
        return False
    except HTTPException:  # a redirect or another method: the path is the service's own
        pass
    return True
