"""The Celery application of a service: its broker, results, schedule, tasks and their queue."""
import importlib.util
from urllib.parse import quote

from ..utils.config import Config
from ..utils.truth import is_true

_APP = "envoxy"
_PORTS = {"amqp": 5672, "amqps": 5671}


class Client:
    """celeryc: `app` is the celery.Celery that initialize() has made."""

    app = None

    @staticmethod
    def initialize(server_key=None):
        """Make the application for a server of `amqp_servers`, by default the first one."""
        try:
            from celery import Celery
        except ImportError:
            raise ImportError("amqp_servers is configured, but the Python package celery is missing: pip install celery") from None
        servers = Config.get("amqp_servers")
        if not servers:
            raise ValueError("celery needs amqp_servers, which is not configured")
        if server_key is None:
            server_key = next(iter(servers))
        if server_key not in servers:
            raise KeyError(f"amqp_servers has no server {server_key!r}")
        app = Celery(_APP, broker=_broker(servers[server_key]))
        app.conf.update(_settings(servers[server_key]))
        modules = _modules()
        if modules:
            app.autodiscover_tasks(modules)
        queue = Config.get("default_task_queue")
        if queue and modules:
            app.conf.task_routes = {f"{module}.*": {"queue": queue} for module in modules}
        Client.app = app
        return app


def _broker(server):
    """The broker's URL: bind, as it is, else AMQP's, with TLS unless cert_path says no."""
    if server.get("bind"):
        return server["bind"]
    scheme = "amqps" if is_true(server.get("cert_path", True)) else "amqp"
    return _url(scheme, server, server.get("port") or _PORTS[scheme], server.get("vhost", "/"))


def _settings(server):
    """What of the configuration is for the application beside its broker."""
    found = {}
    if isinstance(server.get("cert_path"), str) and is_true(server["cert_path"]):
        found["broker_use_ssl"] = {"ca_certs": server["cert_path"], "cert_reqs": 2}  # ssl.CERT_REQUIRED
    schedule = (Config.get("mongodb_servers") or {}).get("celery")
    if schedule:
        found["mongodb_scheduler_db"] = schedule.get("db")
        found["mongodb_scheduler_url"] = _url("mongodb", schedule, schedule.get("port") or 27017, schedule.get("db") or "")
    results = (Config.get("redis_servers") or {}).get("celery")
    if results:
        found["result_backend"] = _results(results)
    return found


def _results(server):
    """The URL of the redis that keeps results."""
    bind = str(server.get("bind") or f"{server.get('host') or '127.0.0.1'}:{server.get('port') or 6379}")
    if "://" in bind:
        return bind
    scheme = "rediss" if is_true(server.get("ssl")) or server.get("cert_path") else "redis"
    url = f"{scheme}://{_login(server, server.get('passwd') or server.get('password'))}{bind}/{server.get('db', 1)}"
    if scheme == "redis":
        return url
    authority = f"&ssl_ca_certs={quote(server['cert_path'], safe='')}" if server.get("cert_path") else ""
    return f"{url}?ssl_cert_reqs=required{authority}"


def _url(scheme, server, port, path):
    return f"{scheme}://{_login(server, server.get('passwd'))}{server.get('host') or '127.0.0.1'}:{port}/{quote(str(path), safe='')}"


def _login(server, password):
    user = server.get("user") or ""
    return f"{quote(user, safe='')}:{quote(password or '', safe='')}@" if user or password else ""


def _modules():
    """Where tasks are: the packages and their modules `tasks`; of a service without packages, its task_modules."""
    packages = Config.get("packages") or []
    if not packages:
        return list(Config.get("task_modules") or [])
    return list(packages) + [f"{package}.tasks" for package in packages if importlib.util.find_spec(f"{package}.tasks")]
