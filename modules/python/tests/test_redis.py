"""redisc and the cache's backend: how a server is reached, and what is kept."""

import pytest

redis = pytest.importorskip("redis")

from envoxy.cache.redis import RedisCache  # noqa: E402
from envoxy.redis.client import Client, connect  # noqa: E402


@pytest.mark.parametrize(
    "section,expected",
    [
        ({}, {"host": "127.0.0.1", "port": 6379, "db": 1}),
        ({"bind": "h:7000", "db": "2"}, {"host": "h", "port": 7000, "db": 2}),
        ({"bind": "h"}, {"host": "h", "port": 6379}),
        ({"bind": "[::1]:7000"}, {"host": "::1", "port": 7000}),
        ({"host": "h", "port": "7000"}, {"host": "h", "port": 7000}),
        ({"bind": "h:7000", "host": "other", "port": 1}, {"host": "h", "port": 7000}),
        ({"passwd": "p", "user": "u"}, {"password": "p", "username": "u"}),
        ({"password": "p"}, {"password": "p", "username": None}),
        ({"timeout": "2.5"}, {"socket_timeout": 2.5, "socket_connect_timeout": 5.0}),
        ({"bind": "redis://u:p%40@h:7000/3", "db": 2, "passwd": "x"}, {"port": 7000, "db": 3, "username": "u", "password": "p@"}),
        ({"bind": "redis://h", "db": 2, "passwd": "x"}, {"host": "h", "db": 2, "password": "x"}),
        ({"bind": "unix:///run/r.sock", "db": 2}, {"path": "/run/r.sock", "db": 2}),
    ],
)
def test_a_section_says_where_redis_is(section, expected):
    options = connect(section).connection_pool.connection_kwargs
    assert {key: options.get(key) for key in expected} == expected


@pytest.mark.parametrize(
    "section,authority",
    [
        ({"bind": "rediss://h:1"}, None),
        ({"bind": "rediss://h:1", "cert_path": "/ca"}, "/ca"),
        ({"bind": "h:1", "ssl": True}, None),
        ({"bind": "h:1", "cert_path": "/ca"}, "/ca"),
    ],
)
def test_tls_verifies_by_the_given_authority(section, authority):
    pool = connect(section).connection_pool
    assert issubclass(pool.connection_class, redis.SSLConnection)
    assert pool.connection_kwargs.get("ssl_ca_certs") == authority and pool.connection_kwargs.get("ssl_cert_reqs", "required") == "required"


def test_without_tls_the_connection_is_plain():
    assert not issubclass(connect({"bind": "h:1", "ssl": "false"}).connection_pool.connection_class, redis.SSLConnection)


@pytest.mark.parametrize("bind,text", [("http://u:S3CRET@h:1", "http://"), ("redis://u:S3CRET/x@h", "percent-encoded")])
def test_a_url_that_cannot_be_used_is_refused_and_not_quoted(bind, text):
    with pytest.raises(ValueError, match=text) as failure:
        connect({"bind": bind}).connection_pool  # noqa: B018
    assert "S3CRET" not in str(failure.value)


def test_a_missing_package_is_named(python):
    out = python("""
import sys
sys.modules["redis"] = None
from envoxy.redis.client import connect
try:
    connect({})
except ImportError as error:
    print(error)
""")
    assert out == "redis is configured, but its Python package is missing: pip install redis"


class Store:
    """What a redis.Redis keeps, with its times to live."""

    def __init__(self):
        self.kept = {}

    def get(self, key):
        return self.kept.get(key, (None,))[0]

    def set(self, key, value, ex):
        self.kept[key] = (value, ex)
        return True


def test_values_are_json_with_the_servers_or_the_callers_time_to_live():
    client = Client({"quick": {"ttl": "70"}, "plain": {}, "default": "quick"})
    client.clients = {"quick": Store(), "plain": Store()}
    assert client.get("quick", "k") is None
    assert client.set("quick", "k", {"v": [1, "é"]}) is True and client.get("quick", "k") == {"v": [1, "é"]}
    client.set("quick", "l", 0, ttl=5)
    client.set("plain", "k", None)
    assert {key: ex for key, (_, ex) in client.clients["quick"].kept.items()} == {"k": 70, "l": 5}
    assert client.clients["plain"].kept == {"k": (b"null", 3600)} and client.get("quick", "l") == 0


@pytest.mark.parametrize("use", [lambda c: c.get("x", "k"), lambda c: c.set("x", "k", 1), lambda c: c.get_client("x")])
def test_a_server_that_is_not_configured_is_named(use):
    with pytest.raises(KeyError, match="redis_servers has no server 'x'"):
        use(Client({"quick": {}}))


def test_cached_replies_are_kept_by_prefix_path_method_and_parameters():
    cache = RedisCache({"key_prefix": "shop", "ttl": "40", "bind": "h:1"})
    cache.r = Store()
    cache.set("/v1/x?", "get", {}, {"a": 1})
    cache.set("/v1/x?", "post", {"a": 1}, {"a": 2}, ttl=7)
    assert cache.r.kept == {"shop:/v1/x?:get:e30=": (b'{"a":1}', 40), "shop:/v1/x?:post:eyJhIjoxfQ==": (b'{"a":2}', 7)}
    assert cache.get("/v1/x?", "get", {}) == {"a": 1} and cache.get("/v1/x?", "get", None) == {}
