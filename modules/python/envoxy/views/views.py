"""Endpoint classes: one object of each serves its HTTP methods and its events."""
import re
import socket
import traceback
import uuid
from typing import List

from flask import Response as FlaskResponse
from flask import jsonify, make_response, request
from werkzeug.exceptions import Aborter, HTTPException

from ..exceptions import ValidationException
from ..mqtt.dispatcher import Dispatcher as mqttc
from ..utils.logs import Log
from .containers import Response

_PARAMETER = re.compile(r"{([^:{}]+)(?::([^{}]+))?}")
_UNREACHABLE = "a service that this one needs cannot be reached"
_CONNECTION_ERRORS = {
    ("psycopg", "OperationalError"), ("psycopg2", "OperationalError"), ("redis", "ConnectionError"), ("redis", "TimeoutError"),
    ("requests", "RequestException"), ("sqlalchemy", "OperationalError"), ("sqlalchemy", "InterfaceError"),
}
_OF_DATABASE = "the database has refused what this service asked of it"
_DATABASE_ERRORS = {("psycopg", "Error"), ("psycopg2", "Error"), ("sqlalchemy", "SQLAlchemyError")}  # their text quotes SQL and values
_HTTP_METHODS = ("delete", "get", "patch", "post", "put")


class View:
    """Base of endpoint classes; define get, post, put, patch, delete or on_event."""

    __metaclass__ = None  # what @on declares

    def __init__(self) -> None:
        self.protocols = []

    def get_methods(self) -> List[str]:
        """Names of the verbs that the class defines, sorted."""
        return [name for name in sorted((*_HTTP_METHODS, "on_event")) if hasattr(self, name)]

    def set_flask(self, app) -> None:
        """Register the HTTP methods as rules of app, and the event handler with the broker's connector."""
        endpoint = getattr(self.__metaclass__, "endpoint", "")
        protocols = getattr(self.__metaclass__, "protocols", [])
        methods = self.get_methods()
        if "http" in protocols:
            app.url_map.converters.setdefault("str", app.url_map.converters["string"])
            for method in methods:
                if method != "on_event":
                    self._add_rule(app, endpoint, method)
        if "mqtt" in protocols and "on_event" in methods:
            self._subscribe(getattr(self.__metaclass__, "server", ""), endpoint, getattr(self.__metaclass__, "qos", 0))

    def _add_rule(self, app, endpoint, method):
        if "http" not in self.protocols:
            self.protocols.append("http")
        app.add_url_rule(
            _PARAMETER.sub(lambda m: f"<{m[2]}:{m[1]}>" if m[2] else f"<{m[1]}>", endpoint),
            endpoint=f"{type(self).__name__}:{method}",
            view_func=lambda **kwargs: self.dispatch(request, method, endpoint, **kwargs),
            methods=[method],
        )
        Log.system(f'>>> [HTTP] Added the endpoint "{endpoint}" using the method "{method}" '
                   f'calling the function "{getattr(self, method)}"')

    def _subscribe(self, server, topic, qos):
        if "mqtt" not in self.protocols:
            self.protocols.append("mqtt")
        mqttc.subscribe(server, topic, self.on_event, qos)
        Log.system(f'>>> [MQTT] Subscribing to topic "{topic}" calling the function "on_event"')

    def dispatch(self, request, _method, _endpoint, *args, **kwargs):
        """Call a method of the view; an exception becomes an error reply with a reference into the log."""
        kwargs["endpoint"] = _endpoint
        try:
            return getattr(self, _method)(request, *args, **kwargs)
        except Exception as error:
            return _error_reply(request, error)

    def cached_response(self, result):
        """The reply for a value that the cache had."""
        return Response(result)


def _status(given):
    """A status that may be written as text; 500 for what is none."""
    try:
        status = int(given)
    except (TypeError, ValueError):
        return 500
    return status if 100 <= status <= 999 else 500


def _is_of_connection(error):
    """Whether the text of an error may name the address of a server that only this service is to know."""
    if isinstance(error, (ConnectionError, TimeoutError, socket.gaierror)) or getattr(error, "lost", False) is True:
        return True
    return _is_one_of(error, _CONNECTION_ERRORS)


def _is_one_of(error, kinds):
    """Whether an exception is of one of the classes, each (package, name); nothing is imported for that."""
    return any((kind.__module__.partition(".")[0], kind.__name__) in kinds for kind in type(error).__mro__)


def _shown(error):
    """What a client may read of an exception."""
    if _is_of_connection(error):
        return _UNREACHABLE
    return _OF_DATABASE if _is_one_of(error, _DATABASE_ERRORS) else error


def _is_of_client(error):
    """Whether Flask has refused what the client sent, as a body that is no JSON. A view's own abort() is not that."""
    if not isinstance(error, HTTPException) or not 400 <= (error.code or 500) <= 499:
        return False
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return not isinstance(frame.f_locals.get("self"), Aborter)


def _error_reply(request, error):
    code, status, of_client = 0, 500, _is_of_client(error)
    if isinstance(error, ValidationException):
        code = error.kwargs.get("code", code)
        status = _status(error.kwargs.get("status", status))
    elif of_client:
        status = error.code
    reference = str(uuid.uuid4())
    text = f"{_shown(error)} :: ELRC({reference})"
    if request.is_json:
        response = make_response(jsonify({"error": text, "code": code}), status)
    else:
        response = FlaskResponse(f"error: {text}", status, mimetype="text/html")
    response.headers["X-Error"] = str(code)
    if status == 204:
        response.headers["X-Error-Msg"] = " ".join(str(error).splitlines())
        response.set_data(b"")
    elif of_client:
        Log.warning(f"ELRC({reference}) - {error}")
    else:
        Log.error(f"ELRC({reference}) - Traceback: {traceback.format_exc()}")
    return response
