"""Cross-origin requests for `enable_cors`: any origin, with credentials (Fetch standard, "CORS protocol")."""
from flask import request

METHODS = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"


def install(app):
    """Add the headers to every reply of the application, errors and preflights included."""
    app.after_request(_allow)


def _allow(response):
    response.vary.add("Origin")  # also without one: a cache must not give that reply to a browser
    origin = request.headers.get("Origin")
    if origin is None or "Access-Control-Allow-Origin" in response.headers:
        return response
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Allow-Credentials"] = "true"
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        response.headers["Access-Control-Allow-Methods"] = METHODS
        asked = request.headers.get("Access-Control-Request-Headers")
        if asked:
            response.headers["Access-Control-Allow-Headers"] = asked
    return response
