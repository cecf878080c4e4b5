"""An envoxy of the deployment's own: its connectors are ours, all else is its."""

import pytest

REAL = {
    "__init__.py": "from .decorators import *\nfrom .db import dispatcher\nfrom .views import View\nWHOSE = 'real'\n",
    "constants.py": "REDIS_DEFAULT_DB, REDIS_DEFAULT_HOST, REDIS_DEFAULT_PORT, REDIS_DEFAULT_TTL = 1, 'h', 1, 1\n"
                    "DEFAULT_CHUNK_SIZE, DEFAULT_OFFSET_LIMIT, MAX_CONN, TIMEOUT_CONN = 1, 0, 1, 1\nWHOSE = 'real'\n",
    "decorators.py": "WHOSE = 'real'\nclass log_event: pass\ndef on(): pass\n",
    "views.py": "from .mqtt.dispatcher import Dispatcher\nclass View: dispatcher = Dispatcher\n",
    "mqtt/__init__.py": "raise ImportError('a client before the fork')\n",
    "mqtt/dispatcher.py": "raise ImportError('a client before the fork')\n",
    "mqtt/extra.py": "WHOSE = 'real'\n",
    "redis/__init__.py": "",
    "redis/client.py": "raise ImportError('broken')\n",
    "db/__init__.py": "WHOSE = 'real'\n",
    "db/dispatcher.py": "raise ImportError('broken')\n",
    "db/exceptions.py": "class DatabaseException(Exception): WHOSE = 'real'\n",
    "db/helpers.py": "WHOSE = 'real'\n",
    "utils/__init__.py": "",
    "utils/config.py": "class Config: get = staticmethod(lambda node: {})\n",
    "utils/logs.py": "class Log: error = print\n",
    "utils/singleton.py": "class Singleton: WHOSE = 'real'\n",
    "utils/encoders.py": "envoxy_json_dumps = envoxy_json_loads = envoxy_json_encode_default = None\n",
}


@pytest.fixture
def real(python, tmp_path):
    """A factory: what a text prints in a Python that has an envoxy of its own, and ours behind it."""
    for name, text in REAL.items():
        path = tmp_path / "site" / "envoxy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return lambda source: python("import envoxyd_service\n" + source, path=[tmp_path / "site"]).splitlines()


def test_connectors_come_from_ours_and_the_rest_from_the_real_one(real):
    out = real("""
import envoxy, envoxy.constants, envoxy.db, envoxy.db.helpers, envoxy.db.exceptions
from envoxy.utils.singleton import Singleton
print(envoxy.WHOSE, envoxy.constants.WHOSE, envoxy.decorators.WHOSE, envoxy.db.WHOSE, envoxy.db.helpers.WHOSE)
print(hasattr(envoxy.db.exceptions.DatabaseException, 'WHOSE'))
import envoxy.mqtt.dispatcher, envoxy.redis.client, envoxy.db.dispatcher, envoxy.couchdb.client
for module in (envoxy.mqtt, envoxy.mqtt.dispatcher, envoxy.redis.client, envoxy.db.dispatcher, envoxy.couchdb.client):
    print("site" in module.__file__)
print(envoxy.View.dispatcher is envoxy.mqtt.dispatcher.Dispatcher, issubclass(envoxy.db.dispatcher.Connector, Singleton))
""")
    assert out == ["real real real real real", *["False"] * 6, "True True"]


def test_what_the_real_one_lacks_comes_from_ours_and_what_neither_has_is_missing(real):
    out = real("""
import envoxy.utils.server, envoxy.unavailable
from envoxy.mqtt.extra import WHOSE
print(WHOSE, "site" in envoxy.utils.server.__file__)
try:
    import envoxy.nothing
except ModuleNotFoundError as error:
    print(error.name)
""")
    assert out == ["real False", "envoxy.nothing"]


def test_log_event_is_ours_also_as_a_name_of_the_package(real):
    out = real("""
import envoxy, envoxy.decorators, inspect
print(envoxy.log_event.__module__, envoxy.log_event is envoxy.decorators.log_event, envoxy.on.__module__)
print("site" in inspect.getsourcefile(envoxy.decorators))
""")
    assert out == ["envoxy.event_log True envoxy.decorators", "True"]


def test_the_bundled_package_alone_needs_no_finder(python):
    source = """
import sys, envoxyd_service.connectors as connectors
print(connectors.real_is_used(), any(isinstance(f, connectors.Finder) for f in sys.meta_path))
import envoxy
print(connectors.real_is_used(), connectors.Finder.find_spec("json"), connectors.Finder.find_spec("envoxy"))
"""
    assert python(source).splitlines() == ["False False", "False None None"]


def test_the_finder_is_installed_once(real):
    out = real("""
import sys, envoxyd_service.connectors as connectors
connectors.install()
print(sum(isinstance(f, connectors.Finder) for f in sys.meta_path), connectors.real_is_used())
""")
    assert out == ["1 True"]
