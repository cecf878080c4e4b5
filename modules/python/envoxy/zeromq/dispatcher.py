"""Requests by ZeroMQ: zmqc. The sockets are the ZeroMQ gateway's; this only asks it."""
import concurrent.futures
import json
import os

from ..asserts import assertz_mandatory
from ..constants import Performative
from ..exceptions import ValidationException
from ..message_headers import generate_headers
from ..utils.config import Config
from ..utils.logs import Log

try:
    from envoxyd_service import zmq_service
    from envoxyd_worker import gateway
    from envoxyd_worker.gateway import GatewayError
except ImportError:  # a script, a test: importing works, using does not
    zmq_service = gateway = None
    GatewayError = RuntimeError

SELF = "self"  # the key of the service itself, unless zmq_servers has one of that name
TIMEOUT = 30.0  # seconds, unless zmq_servers.<key>.timeout says otherwise
MAX_WORKERS = 50
REPEATABLE = {Performative.GET, Performative.HEAD, Performative.PUT, Performative.DELETE, Performative.OPTIONS, Performative.SEARCH}


class ZMQException(Exception):
    """A request that failed."""


class NoSocketException(ZMQException):
    """A server did not answer in time."""


class ZMQ:
    """The servers of `zmq_servers`."""

    _instance = None

    def __init__(self):
        self._pool = None
        self._pool_pid = 0
        self._cache = None

    @classmethod
    def instance(cls, *args, **kwargs):
        """The only object."""
        if cls._instance is None:
            cls._instance = cls()
        return cls._instance

    def send_and_recv(self, server_key, message):
        """One exchange: the reply without what is only for the wire.

        NoSocketException when there is no reply in time, ZMQException when the connection was lost after a
        request that must not be sent twice, or the server is not configured.
        """
        server = (Config.get("zmq_servers") or {}).get(server_key)
        if server is None and server_key == SELF and zmq_service is not None:
            return _stripped(zmq_service.call(message))
        place = self._cache_place(server or {}, message)
        found = self._cached(place, message)
        if found:
            return found
        if gateway is None:
            raise RuntimeError("ZeroMQ works in a service that envoxyd serves; this process is none")
        if server is None:
            raise ZMQException(f"[ZMQ] zmq_servers.{server_key} is not configured")
        seconds = float(server.get("timeout") or TIMEOUT)
        try:
            _, reply = gateway.current().peers.call(
                "zmq", json.dumps(message, default=_plain).encode(), wait=seconds, server=_settings(server), most=_most(),
                seconds=seconds, again=message["performative"] in REPEATABLE)
        except GatewayError as error:
            kind = NoSocketException if error.kind == "timeout" else ZMQException
            raise kind(f"[ZMQ] {message['resource']}: {error}") from None
        try:
            reply = _stripped(json.loads(reply))
        except ValueError:
            raise ZMQException(f"[ZMQ] {message['resource']}: the reply of {server_key} is not a JSON object") from None
        self._keep(place, message, reply)
        return reply

    @property
    def _instances(self):
        """The servers by key: what services that come with a run.py of their own look for the first one in."""
        return Config.get("zmq_servers") or {}

    def remove_header(self, response, header):
        """Drop a header of a reply, if it has it."""
        (response.get("headers") or {}).pop(header, None)

    def remove_keys(self, response, keys):
        """Drop members of a reply, as far as it has them."""
        for key in keys:
            response.pop(key, None)

    def send_and_recv_future(self, server_key, message):
        """The same as a concurrent.futures.Future."""
        return self._executor().submit(self.send_and_recv, server_key, message)

    def _executor(self):
        if self._pool is None or self._pool_pid != os.getpid():
            workers = Config.get("zmq_workers") or {}
            most = int(workers.get("thread_poll_executor_max_workers") or MAX_WORKERS)
            self._pool, self._pool_pid = concurrent.futures.ThreadPoolExecutor(most, thread_name_prefix="zmqc"), os.getpid()
        return self._pool

    # -- cached_routes -----------------------------------------------------------

    def _cache_place(self, server, message):
        """The entry of cached_routes that a request falls under."""
        routes = server.get("cached_routes")
        if not routes:
            return None
        no_cache = message["headers"].get("X-No-Cache")
        if no_cache is not None and no_cache not in (False, "False"):
            return None
        return routes.get(f"{int(message['performative'])}:" + "/".join(message["resource"].split("/")[:4]))

    def _backend(self):
        if self._cache is None:
            from ..cache import Cache
            self._cache = Cache().get_backend()
        return self._cache

    def _cached(self, place, message):
        if place is None:
            return None
        try:
            return self._backend().get(message["resource"], int(message["performative"]), message["params"])
        except Exception as error:  # a cache that is down costs time, not replies
            Log.warning(f"[ZMQ] cache: {error}")
            return None

    def _keep(self, place, message, reply):
        if place is None:
            return
        ttl = place.get("ttl") if reply.get("status") in (200, 201) else place.get("error_ttl")
        if not ttl:
            return
        try:
            self._backend().set(message["resource"], int(message["performative"]), message["params"], reply, ttl=int(ttl))
        except Exception as error:
            Log.warning(f"[ZMQ] cache: {error}")


def _settings(server):
    """What concerns the connection."""
    return {name: value for name, value in server.items() if name not in ("timeout", "cached_routes")}


def _most():
    return int((Config.get("zmq_workers") or {}).get("context_max_workers") or 50)


def _plain(value):
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)


def _stripped(reply):
    if not isinstance(reply, dict):
        raise ValueError("not an object")
    reply.pop("protocol", None)
    reply.pop("performative", None)
    if isinstance(reply.get("headers"), dict):
        reply["headers"].pop("X-Cid", None)
    return reply


def _parameters(params):
    """A request's arguments keep all their values."""
    if params is None:
        return None
    if hasattr(params, "lists"):  # werkzeug's MultiDict
        return dict(params.lists())
    return dict(params)


def _message(performative, url, params, payload, headers):
    given = dict(headers or {})
    names = {name.lower() for name in given}
    merged = {name: value for name, value in Dispatcher.generate_headers().items() if name.lower() not in names}
    merged.update(given)
    return {
        "resource": url,
        "headers": merged,
        "params": _parameters(params),
        "payload": payload,
        "performative": int(performative),
    }


def _send(performative, server_key, url, params, payload, headers, future):
    message = _message(performative, url, params, payload, headers)
    connector = ZMQ.instance()
    return connector.send_and_recv_future(server_key, message) if future else connector.send_and_recv(server_key, message)


def _verb(name):
    """The method of Dispatcher for one performative."""

    def send(server_key, url, params=None, payload=None, headers=None, future=False):
        """The reply as a dict, or a Future of it."""
        return _send(Performative[name], server_key, url, params, payload, headers, future)

    send.__name__ = name.lower()
    send.__qualname__ = f"Dispatcher.{send.__name__}"
    return staticmethod(send)


class Dispatcher:
    """zmqc: requests to other services by server key; "self" is this service."""

    @staticmethod
    def instance():
        """The connector."""
        return ZMQ.instance()

    @staticmethod
    def initialize():
        """Nothing: the gateway connects at the first request."""

    @staticmethod
    def generate_headers(client_id=None):
        """The headers that every request has."""
        return generate_headers(client_id)

    get, post, put = _verb("GET"), _verb("POST"), _verb("PUT")
    patch, delete, head = _verb("PATCH"), _verb("DELETE"), _verb("HEAD")

    @staticmethod
    def bulk_requests(request_list):
        """Several requests at a time: dicts of server_key, performative, url, and what else a request has.

        The replies in the order asked; the first request that failed raises. ValidationException, before any is sent, when one
        lacks what it must have.
        """
        request_list = list(request_list)
        for one in request_list:
            for name in ("server_key", "performative", "url"):
                assertz_mandatory(one, name)
        futures = []
        for one in request_list:
            more = (one.get("params"), one.get("payload"), one.get("headers"))
            futures.append(_send(one["performative"], one["server_key"], one["url"], *more, True))
        return [future.result() for future in futures]

    @staticmethod
    def validate_response(response):
        """The reply itself if its status is 200 or 201; ValidationException with what the server says otherwise."""
        status = response.get("status")
        if str(status) in ("200", "201"):
            return response
        payload = response.get("payload")
        payload = payload if isinstance(payload, dict) else {}
        text = payload.get("text") or f"Resource error, code: {status}, {response.get('resource')}"
        raise ValidationException(text, code=payload.get("code", 0), status=str(status))
