"""`default_zmq_backend`: every path below a prefix goes to a ZeroMQ server, unless a view takes it."""
import envoxy
from flask import request

from .startup import announce

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"]


def add(app, conf):
    """Add the catch-all route when conf enables it."""
    backend = conf.get("default_zmq_backend") or {}
    if not backend.get("enabled"):
        return
    prefix = backend.get("path_prefix", "/")
    key = backend.get("server_key") or next(iter(conf.get("zmq_servers") or {}), None)
    if key is None:
        envoxy.log.error("default_zmq_backend is enabled, but zmq_servers names no server")
        return

    def relay(path):
        send = getattr(envoxy.zmqc, request.method.lower())
        return envoxy.Response(send(
            key, prefix + path,
            params=request.args or None,
            headers=request.headers.items(),
            payload=request.get_json() if request.is_json else None,
        ))

    app.add_url_rule(f"{prefix}<path:path>", "default_zmq_backend", relay, methods=METHODS)
    announce("---", f'Default ZMQ Backend enabled pointing to the: "{key}"')
