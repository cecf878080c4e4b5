"""Builds the application when it is imported, in the order that services rely on."""
import sys

from . import requirements  # noqa: F401, I001 - first: it says what is missing

import envoxy
import uwsgi
from envoxy.unavailable import Unavailable
from envoxyd_worker import gateway, tracing
from flask import Flask

from . import bootstrap, connectors, cors, health, request_log, zmq_backend, zmq_service
from .credentials import CredentialsError, request_token
from .loader import load_modules, load_packages
from .startup import announce, last

EXIT_STATUS = -10  # the shell sees 246

__all__ = ["app", "build"]


def build():
    """A Flask application made from uwsgi.opt; a conf that cannot be served ends the process."""
    flask_app = Flask(__name__, static_folder=None)
    flask_app.response_class = envoxy.Response
    flask_app.url_map.converters["str"] = flask_app.url_map.converters["string"]

    if last(uwsgi.opt.get("mode")) == b"test":
        flask_app.add_url_rule("/", "index", lambda: "ENVOXY Working!")
        health.add_own(flask_app)
        return flask_app

    conf = uwsgi.opt.get("conf_content")
    if conf is None:
        refuse("Nothing to serve: start with --set conf=envoxy.json, or with --set mode=test")
    bootstrap.prepare(uwsgi.opt)
    announce("OK", f"Configuration file param found: {last(uwsgi.opt.get('conf', b'')).decode()}")
    announce("OK", "The configuration file was parsed successfully!")

    authenticate(conf)
    start_connector("celeryc", "amqp_servers", conf)
    add_views(flask_app, conf)
    start_connector("zmqc", "zmq_servers", conf)
    start_connector("mqttc", "mqtt_servers", conf)
    zmq_backend.add(flask_app, conf)

    debug = conf.get("debug", False)
    announce("---", f"App in debug mode {debug}!")
    flask_app.debug_mode = debug
    if conf.get("enable_cors"):
        cors.install(flask_app)
    health.add(flask_app, conf)
    request_log.install(flask_app)
    trace_requests(flask_app)
    return flask_app


def trace_requests(flask_app):
    """Make the context of each request the current one, where spans are exported."""
    if gateway.spans() is not None:
        flask_app.wsgi_app = tracing.Middleware(flask_app.wsgi_app)


def refuse(reason):
    """Log one emergency record and end the process with envoxy's status."""
    envoxy.log.emergency(reason)
    sys.exit(EXIT_STATUS)


def authenticate(conf):
    """Ask the server of `credentials` for a token, once; services read it by Config.get_credentials()."""
    credentials = conf.get("credentials")
    if not credentials:
        uwsgi.opt["credentials"] = {}
        return
    try:
        uwsgi.opt["credentials"] = request_token(credentials)
    except CredentialsError as error:
        refuse(f"Authorization failed: {error}")


def start_connector(name, section, conf):
    """Open what a section of conf names; one that this version lacks is reported and left out."""
    if not conf.get(section):
        return
    connector = getattr(envoxy, name)
    if isinstance(connector, Unavailable):
        envoxy.log.error(f"{section} is configured, but {connector} is not available yet")
        return
    connector.initialize()


def add_views(flask_app, conf):
    modules, packages = conf.get("modules") or [], conf.get("packages") or []
    if modules and packages:
        refuse("modules and packages cannot both be used: move the views of one into the other")
    register_orm_listeners()
    views = []
    for view_class in load_modules(modules) + load_packages(packages):
        view = view_class()
        view.set_flask(flask_app)
        views.append(view)
        announce("###", f'Loaded "{view_class}".')
    zmq_service.add(flask_app, views)


def register_orm_listeners():
    """The real ORM wants to see models being mapped, so this comes before any service module; ours sees to it itself."""
    if not connectors.real_is_used():
        return
    try:
        from envoxy.db.orm.listeners import register_envoxy_listeners
    except ImportError:  # an envoxy of before the ORM
        return
    register_envoxy_listeners()


app = build()
