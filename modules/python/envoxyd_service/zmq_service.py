"""The service side of ZeroMQ: views with protocols=['zmq'] answer as they do on HTTP, and only there."""
import io
import json
from urllib.parse import urlencode

from envoxyd_worker import gateway
from envoxyd_worker.log import errors
from envoxyd_worker.gateway import GatewayError

from .startup import announce

VERBS = ("GET", "PUT", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH", None, "SEARCH", "NOTIFY", "TRACE", "CONNECT")

_app = None


def add(flask_app, views):
    """Give the views that say so rules of an application of their own, which only the gateway calls."""
    global _app
    wanted = [view for view in views if "zmq" in (getattr(view.__metaclass__, "protocols", None) or [])]
    if not wanted:
        return
    from flask import Flask

    app = Flask("envoxyd_service.zmq", static_folder=None)
    app.response_class = flask_app.response_class
    app.url_map.converters.update(flask_app.url_map.converters)
    for view in wanted:
        declared = view.__metaclass__
        view.__metaclass__ = type("Meta", (), {"endpoint": declared.endpoint, "protocols": ["http"]})  # set_flask makes rules of these
        try:
            view.set_flask(app)
        finally:
            del view.__dict__["__metaclass__"]
        announce("ZMQ", f'"{declared.endpoint}" answers on ZeroMQ')
    _app = app
    try:
        gateway.current().handlers["zmq"] = application
    except GatewayError:
        pass


def application(environ, start_response):
    """The WSGI application of a request that came by ZeroMQ."""
    return _app.wsgi_app(environ, start_response)


def call(message):
    """A request of the service to itself, answered in this process: the reply as it would come over the wire."""
    if _app is None:
        return {"status": 404, "headers": {}, "resource": message["resource"],
                "payload": {"code": 0, "text": "no view of this service has protocols=['zmq']"}}
    environ, answered = request_environ(message), {}

    def start_response(status, headers, exc_info=None):
        answered.update(status=int(status.split(" ", 1)[0]), headers=dict(headers))

    result = _app.wsgi_app(environ, start_response)
    try:
        body = b"".join(result)
    finally:
        if hasattr(result, "close"):
            result.close()
    try:
        payload = json.loads(body) if body else None
    except ValueError:
        payload = body.decode("utf-8", "replace")
    return {"resource": message["resource"], **answered, "payload": payload}


def request_environ(message):
    path, _, query = message["resource"].partition("?")
    params = urlencode(message["params"] or {}, doseq=True)
    payload = b"" if message["payload"] is None else json.dumps(message["payload"]).encode()
    environ = {
        "REQUEST_METHOD": VERBS[message["performative"]], "SCRIPT_NAME": "", "PATH_INFO": path,
        "QUERY_STRING": "&".join(filter(None, (query, params))), "SERVER_NAME": "self", "SERVER_PORT": "0", "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1", "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(payload)),
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(payload), "wsgi.errors": errors,
        "wsgi.multithread": True, "wsgi.multiprocess": True, "wsgi.run_once": False,
    }
    for name, value in (message["headers"] or {}).items():
        key = "HTTP_" + name.upper().replace("-", "_")
        if key not in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"):
            environ[key] = str(value)
    return environ
