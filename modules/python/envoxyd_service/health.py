"""Health checks: /_health for what envoxy has always answered, /health for people and orchestrators."""
import envoxy
from werkzeug.exceptions import HTTPException, NotFound


def add(app, conf):
    """Add both paths after the views; a service that answers /health itself keeps it."""
    add_own(app)
    if not _answers(app, "/health"):
        boot = (conf.get("boot") or [{}])[0]
        name = boot.get("name", "envoxy")
        app.add_url_rule("/health", "health", lambda: envoxy.Response({"status": "healthy", "service": name}))


def add_own(app):
    """Add /_health."""
    app.add_url_rule("/_health", "_health", lambda: envoxy.Response({"status": "healthy", "service": "envoxy"}))


def _answers(app, path):
    try:
        app.url_map.bind("localhost").match(path, method="GET")
    except NotFound:
        return False
    except HTTPException:  # a redirect or another method: the path is the service's own
        pass
    return True
