"""Sessions by server key: how a server is reached, what commits, and when connections open and close."""

import os
import sys
import types

import pytest

sqlalchemy = pytest.importorskip("sqlalchemy")
psycopg2 = pytest.importorskip("psycopg2")

from envoxy import pgsqlc  # noqa: E402
from envoxy.db import orm  # noqa: E402
from envoxy.db.exceptions import DatabaseException  # noqa: E402
from envoxy.db.orm import session as sessions  # noqa: E402
from envoxy.db.orm.dispatcher import SqlalchemyDispatcher  # noqa: E402
from envoxy.postgresql.sqlalchemy import EnvoxySessionManager, engine  # noqa: E402


@pytest.fixture
def servers(opt, tmp_path):
    """Two databases of SQLite in the place of servers, each with a table."""
    opt["conf_content"] = {"psql_servers": {name: {"dsn": f"sqlite:///{tmp_path}/{name}.db"} for name in ("one", "two")}}
    for name in ("one", "two"):
        with orm.session_scope(name) as session:
            session.execute(sqlalchemy.text("create table t (n integer)"))
    yield opt["conf_content"]["psql_servers"]
    sessions.dispose_all()


def insert(session, n):
    session.execute(sqlalchemy.text("insert into t values (:n)"), {"n": n})


def rows(server_key):
    with pgsqlc.sa_session(server_key) as session:
        return [n for n, in session.execute(sqlalchemy.text("select n from t"))]


def test_a_scope_commits_or_rolls_back_on_its_own_server(servers):
    with pgsqlc.sa_session("two") as session:
        insert(session, 1)
    with pytest.raises(KeyboardInterrupt):
        with orm.session_scope("two") as session:
            insert(session, 2)
            raise KeyboardInterrupt
    assert (rows("two"), rows("one"), rows(None)) == ([1], [], [])


def test_a_transactional_function_gets_a_session_or_keeps_its_callers(servers):
    @pgsqlc.sa_transactional("one")
    def add(n, fail=False, session=None):
        """Adds."""
        insert(session, n)
        if fail:
            raise ValueError
        return session

    first = add(1)
    with pytest.raises(ValueError):
        add(2, fail=True)
    with pgsqlc.sa_session("one") as session:
        assert add(3, session=session) is session and session is not first
        session.rollback()
    assert rows("one") == [1] and (add.__name__, add.__doc__) == ("add", "Adds.")
    assert orm.transactional("one")(lambda session: rows("one"))() == [1]


def test_the_default_server_is_the_named_one_or_the_first(opt):
    opt["conf_content"] = {"psql_servers": {"a": {}, "b": {}}}
    assert orm.get_default_server_key() == "a"
    opt["conf_content"] = {"psql_servers": {"default": "b", "a": {}, "b": {}}}
    assert orm.get_default_server_key() == "b"
    opt["conf_content"] = {"psql_servers": {"default": "gone", "a": {}}}
    assert orm.get_default_server_key() == "a" and sessions.validate_server_key("a") and not sessions.validate_server_key("default")
    opt["conf_content"] = {}
    with pytest.raises(DatabaseException, match="no server"):
        orm.get_default_server_key()


def test_an_unknown_server_is_named_when_the_decorator_is_applied(servers):
    for use in (pgsqlc.sa_transactional, pgsqlc.sa_session, orm.get_manager):
        with pytest.raises(DatabaseException, match="'three'"):
            use("three")


def test_managers_are_kept_until_they_are_disposed_of(servers):
    manager = SqlalchemyDispatcher.sa_manager("one")
    assert orm.get_manager("one") is manager is pgsqlc.sa_manager("one")
    connections = manager.engine, manager.engine.pool
    sessions.dispose_manager("one")
    assert orm.get_manager("one") is not manager and connections[0].pool is not connections[1]
    sessions.dispose_all()
    assert sessions._managers == {}


def test_connections_that_do_not_close_are_reported(servers, opt, records, monkeypatch):
    opt["log-level"] = b"\x03"
    monkeypatch.setattr(EnvoxySessionManager, "dispose", lambda self: 1 / 0)
    sessions.dispose_all()
    assert all("do not close: division by zero" in record["short_message"] for record in records())


def test_a_forked_process_makes_an_engine_of_its_own(servers):
    manager = orm.get_manager("one")
    parents = manager.engine
    pid = os.fork()
    if not pid:
        os._exit(0 if manager.engine is not parents and rows("one") == [] else 1)
    assert os.waitpid(pid, 0)[1] == 0 and manager.engine is parents


def test_a_manager_takes_an_engine_or_a_url(tmp_path):
    given = sqlalchemy.create_engine("sqlite://")
    assert EnvoxySessionManager(engine=given).engine is given
    options = {"echo": False}
    assert EnvoxySessionManager(f"sqlite:///{tmp_path}/a", engine_kwargs=options).engine.url.database == f"{tmp_path}/a"
    assert options == {"echo": False}
    with pytest.raises(ValueError, match="url or an engine"):
        EnvoxySessionManager()


def test_parts_of_an_address_need_no_quoting_and_sizes_may_be_text():
    address = {"host": "db", "port": "5433", "db": "shop", "user": "a@b", "passwd": "p/w:@"}
    url, options = engine.of_section({**address, "pool_size": "3", "max_overflow": 0, "conn_timeout": "7"})
    assert (url.host, url.port, url.database, url.username, url.password) == ("db", 5433, "shop", "a@b", "p/w:@")
    assert options == {"pool_size": 3, "max_overflow": 0, "connect_args": {"connect_timeout": 7}}
    made = engine.create(url, options)
    assert (made.pool.size(), made.pool._max_overflow, made.pool._timeout, made.pool._recycle) == (3, 0, 30, 1800)
    assert engine.create(*engine.of_section({"db": "x"})).pool.size() == 20


@pytest.mark.parametrize("dsn", ["postgresql://u:p@a:1,b:2/db?sslmode=require", "postgres://u@h/db", "host=h dbname='my db'"])
def test_a_dsn_goes_to_libpq_as_it_is(dsn, monkeypatch):
    seen = []
    monkeypatch.setattr(psycopg2, "connect", lambda *args, **kwargs: seen.append((args, kwargs)) or 1 / 0)
    url, options = engine.of_section({"dsn": dsn, "host": "other"})
    with pytest.raises(ZeroDivisionError):
        engine.create(url, options).connect()
    assert seen == [((dsn,), {})]


def test_a_url_with_a_driver_is_sqlalchemys():
    assert engine.of_section({"url": "postgresql+pg8000://h/db", "pool_size": 1}) == ("postgresql+pg8000://h/db", {"pool_size": 1})


@pytest.mark.parametrize(
    "installed,version,driver",
    [
        (["psycopg2", "psycopg"], "2.0", "psycopg2"),
        (["psycopg"], "2.0", "psycopg"),
        (["psycopg2"], "1.4", "psycopg2"),
        (["psycopg"], "1.4", "SQLAlchemy 1.4 cannot use psycopg 3"),
        ([], "2.0", "pip install psycopg2-binary"),
    ],
)
def test_the_driver_is_the_deployments(installed, version, driver, monkeypatch):
    monkeypatch.setattr(engine.importlib.util, "find_spec", lambda name: name if name in installed else None)
    monkeypatch.setattr(engine, "sqlalchemy", types.SimpleNamespace(__version__=version, engine=sqlalchemy.engine))
    if "psycopg" in driver and " " not in driver:
        assert engine.of_section({})[0].drivername == f"postgresql+{driver}"
    else:
        with pytest.raises(DatabaseException, match=driver):
            engine.of_section({})


def test_connections_are_closed_at_exit(python, tmp_path):
    out = python("""
import json, sys
from envoxy.utils.config import Config
open("c.json", "w").write(json.dumps({"psql_servers": {"a": {"dsn": "sqlite:///a.db"}}}))
Config.set_file_path("c.json")
from envoxy.db.orm import get_manager
from envoxy.postgresql.sqlalchemy.session import EnvoxySessionManager
EnvoxySessionManager.dispose = lambda self: print("closed")
get_manager("a")
""")
    assert out == "closed"
    assert "uwsgi" in sys.modules  # of this process: the other one ran as a script
