"""The framework of Envoxy services, as far as a deployment has no `envoxy` of its own.

Same names and behaviour as the package of that name on PyPI, whose place it takes.
"""
# ruff: noqa: F401, F403 - the names are imported to be imported from here
from . import asserts
from .auth.backends import AuthBackendMixin
from .auth.backends import authenticate_container as authenticate
from .cache import Cache, RedisCache
from .celery.client import Client as celeryc
from .constants import *
from .db.dispatcher import CouchDBDispatcher as couchdbc
from .db.dispatcher import PgDispatcher as pgsqlc
from .db.dispatcher import RedisDBDispatcher as redisc
from .decorators import auth_anonymous_allowed, auth_required, cache, log_event, on
from .mqtt.dispatcher import Dispatcher as mqttc
from .timers import cron, every
from .unavailable import NotAvailable, Unavailable
from .utils.config import Config
from .utils.encoders import envoxy_json_loads
from .utils.logs import Log
from .utils.logs import Log as log
from .utils.watchdog import Watchdog
from .views import View
from .views.containers import Response
from .zeromq.dispatcher import Dispatcher as zmqc

__version__ = "0.6.21+envoxyd"  # the release whose behaviour this follows


def alembic_config_path():
    """Path of the migrations' configuration file; raises NotAvailable."""
    raise NotAvailable("envoxy.alembic_config_path", "the ORM")


envoxy = locals()  # services import the package's names as one dict
