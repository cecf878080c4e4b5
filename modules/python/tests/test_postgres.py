"""The PostgreSQL connector's Python: parameters, results, paging, transactions; Go and the server are stood in for."""
import datetime
import decimal
import enum
import ipaddress
import marshal
import os
import sys
import threading
import types
import uuid

import pytest

from envoxy.db.exceptions import DatabaseException
from envoxy.postgresql import client as client_module
from envoxy.postgresql import fallback, native, parameters, rows
from envoxy.postgresql.client import Client

UTC = datetime.timezone.utc


class Colour(enum.Enum):
    RED = "red"


class Json:
    def __init__(self, adapted):
        self.adapted = adapted


class Name(str):
    pass


@pytest.mark.parametrize("value, wire", [
    (None, None), (True, True), (5, 5), (1.5, 1.5), ("x", "x"), (b"x", b"x"), (bytearray(b"x"), b"x"), (memoryview(b"x"), b"x"),
    (Name("n"), "n"), (Colour.RED, "red"),
    (decimal.Decimal("1.50"), (1700, "1.50")), (decimal.Decimal("-sNaN"), (1700, "NaN")),
    (datetime.date(2024, 1, 2), (1082, "2024-01-02")),
    (datetime.datetime(2024, 1, 2, 3), (1114, "2024-01-02 03:00:00")),
    (datetime.datetime(2024, 1, 2, 3, tzinfo=UTC), (1184, "2024-01-02 03:00:00+00:00")),
    (datetime.time(1, 2, 3), (1083, "01:02:03")), (datetime.time(1, tzinfo=UTC), (1266, "01:00:00+00:00")),
    (datetime.timedelta(days=-1, seconds=5, microseconds=7), (1186, "-1 days 5.000007 seconds")),
    (uuid.UUID(int=1), (2950, "00000000-0000-0000-0000-000000000001")),
    (ipaddress.ip_address("10.0.0.1"), (869, "10.0.0.1")), (ipaddress.ip_network("10.0.0.0/8"), (650, "10.0.0.0/8")),
    ({"a": [1, datetime.date(2024, 1, 2)]}, (0, '{"a": [1, "2024-01-02"]}')), (Json([1]), (0, "[1]")),
    ((1, ("a", decimal.Decimal(2))), [1, ["a", (1700, "2")]]),
    ([], (0, "{}")), ([None], (0, "{NULL}")),
    ([1, None], (1007, "{1,NULL}")), ([2**40], (1016, "{1099511627776}")), ([2**70], (1231, "{1180591620717411303424}")),
    ([[1, 2], [3, 4]], (1007, "{{1,2},{3,4}}")), ([1.5, decimal.Decimal("2.0")], (1231, '{1.5,"2.0"}')), ([float("inf")], (1022, "{inf}")),
    ([True, False], (1000, "{t,f}")), (['a"b\\', "NULL"], (1009, '{"a\\"b\\\\","NULL"}')), ([b"\xff"], (1001, '{"\\\\xff"}')),
    ([uuid.UUID(int=1)], (2951, '{"00000000-0000-0000-0000-000000000001"}')), ([{"a": 1}], (3807, '{"{\\"a\\": 1}"}')),
    ([datetime.date(2024, 1, 2)], (1182, '{"2024-01-02"}')), (["a", 1], (1009, '{"a",1}')),
])
def test_parameters_are_plain_or_typed_text(value, wire):
    got = parameters.adapted({"v": value, "w": 1})
    assert got == {"v": wire, "w": 1} and type(got["v"]) is type(wire)
    assert parameters.adapted((value,)) == [wire]
    marshal.dumps(got, native.VERSION)


@pytest.mark.parametrize("value", [object(), {1, 2}, [(1, 2)], [object()]])
def test_what_cannot_be_a_parameter_is_named(value):
    with pytest.raises(DatabaseException, match="can't adapt"):
        parameters.adapted([value])


def reply(found, *columns):
    return marshal.dumps((found, columns))


@pytest.mark.parametrize("kind, texts, values", [
    ("numeric", ["1.50", "NaN"], [decimal.Decimal("1.50"), decimal.Decimal("NaN")]),
    ("date", ["2024-01-02", "0001-01-01"], [datetime.date(2024, 1, 2), datetime.date.min]),
    ("time", ["12:34:56.789000", "12:00:00+02:00"],
     [datetime.time(12, 34, 56, 789000), datetime.time(12, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))]),
    ("timestamp", ["2024-01-02T03:04:05", "2024-01-02T03:04:05.000001+00:00"],
     [datetime.datetime(2024, 1, 2, 3, 4, 5), datetime.datetime(2024, 1, 2, 3, 4, 5, 1, UTC)]),
    ("interval", [(1, 2, 3), (0, 0, -1)], [datetime.timedelta(1, 2, 3), datetime.timedelta(microseconds=-1)]),
    ("json", ['{"a": [1, null]}', "5"], [{"a": [1, None]}, 5]),
    ("bytea", [b"\0", b""], [memoryview(b"\0"), memoryview(b"")]),
])
def test_columns_become_what_psycopg2_gives(kind, texts, values):
    def dicts():
        return [{"id": 1, "v": None}, {"id": 2, "v": None}]

    def same(got, wanted):
        assert [list(row) for row in got] == [["id", "v"]] * len(got)
        assert repr([row["v"] for row in got]) == repr(wanted) if kind == "numeric" else [row["v"] for row in got] == wanted

    same(rows.rows(reply(dicts(), ("v", kind, False, False, texts))), values)
    same(rows.rows(reply(dicts(), ("v", kind, False, True, [texts[0], None]))), [values[0], None])
    nested = reply(dicts(), ("v", kind, True, True, [[[texts[0], None], [texts[1]]], None]))
    same(rows.rows(nested), [[[values[0], None], [values[1]]], None])
    assert type(rows.rows(reply(dicts(), ("v", kind, False, False, texts)))[0]["v"]) is type(values[0])


def test_a_refusal_is_an_exception_with_its_fields():
    with pytest.raises(DatabaseException) as raised:
        rows.rows(marshal.dumps((None, ("no such thing (SQLSTATE 42P01)", "42P01", "more", "", "s", "t", "c", "k", False))))
    error = raised.value
    assert str(error) == "no such thing (SQLSTATE 42P01)" and (error.sqlstate, error.pgcode) == ("42P01", "42P01")
    assert (error.detail, error.hint, error.schema, error.table, error.column, error.constraint) == ("more", None, "s", "t", "c", "k")
    assert not error.lost


def test_a_value_that_python_cannot_hold_names_its_column():
    with pytest.raises(DatabaseException, match='column "v"'):
        rows.rows(reply([{"v": None}], ("v", "interval", False, False, [(10**12, 0, 0)])))


class Recorder:
    """A driver that keeps what it was asked, and gives `answers` in turn."""

    def __init__(self):
        self.calls, self.answers, self.failing = [], [], ()

    def _note(self, *call):
        self.calls.append(call)
        if call[0] in self.failing or len(call) > 3 and call[3] in self.failing:
            raise DatabaseException(f"{call[0]} failed")

    def open(self, key, conf):
        self._note("open", key)

    def query(self, key, transaction, sql, params):
        self._note("query", key, transaction, sql, dict(params) if isinstance(params, dict) else params)
        return self.answers.pop(0) if self.answers else []

    def begin(self, key):
        self._note("begin", key)
        return 7

    def commit(self, transaction):
        self._note("commit", transaction)

    def rollback(self, transaction):
        self._note("rollback", transaction)

    def close(self, key=None):
        self._note("close", key)


@pytest.fixture
def recorded(monkeypatch):
    recorder = Recorder()
    monkeypatch.setattr(client_module.fallback, "Driver", lambda: recorder)
    monkeypatch.setattr(client_module.native, "find", lambda: None)
    return Client({"default": "main", "main": {"host": "h"}, "other": {"host": "o"}}), recorder


def test_a_server_is_opened_once_and_when_it_is_used(recorded):
    client, recorder = recorded
    assert recorder.calls == []
    client.query("main", "select 1")
    client.query(None, "select 2", [5])
    assert [call[:2] for call in recorder.calls] == [("open", "main"), ("query", "main"), ("query", "main")]
    assert recorder.calls[1][4] == {"chunk_size": 10000, "offset_limit": 0} and recorder.calls[2][4] == [5]


@pytest.mark.parametrize("key, sql, text", [
    ("nowhere", "select 1", "server key: nowhere"), ("default", "select 1", "server key: default"), ("main", "", "empty")])
def test_what_cannot_be_asked(recorded, key, sql, text):
    with pytest.raises(DatabaseException, match=text):
        recorded[0].query(key, sql)


def test_pages_are_read_until_one_is_not_full(recorded):
    client, recorder = recorded
    recorder.answers = [[{"n": 1}, {"n": 2}], [{"n": 3}, {"n": 4}], [{"n": 5}]]
    given = {"chunk_size": 2}
    assert [row["n"] for row in client.query("main", "select n LIMIT %(chunk_size)s offset %(offset_limit)s", given)] == [1, 2, 3, 4, 5]
    assert [call[4]["offset_limit"] for call in recorder.calls[1:]] == [0, 2, 4] and given == {"chunk_size": 2}


def test_a_full_page_of_sql_without_offset_is_all(recorded):
    client, recorder = recorded
    recorder.answers = [[{"n": 1}]]
    assert client.query("main", "select n limit %(chunk_size)s", {"chunk_size": 1}) == [{"n": 1}] and len(recorder.calls) == 2


def test_queries_of_a_transaction_run_in_it_and_others_do_not(recorded):
    client, recorder = recorded
    with client.transaction("main") as db:
        db.query("main", "a")
        client.query("other", "b")
        thread = threading.Thread(target=client.query, args=("main", "c"))
        thread.start()
        thread.join()
    client.query("main", "d")
    asked = [call[1:4] for call in recorder.calls if call[0] == "query"]
    assert asked == [("main", 7, "a"), ("other", None, "b"), ("main", None, "c"), ("main", None, "d")]
    assert ("commit", 7) in recorder.calls and ("rollback", 7) not in recorder.calls


def test_an_exception_rolls_back_and_goes_on(recorded):
    client, recorder = recorded
    recorder.failing = ("rollback",)  # must not hide the reason
    with pytest.raises(KeyError):
        with client.transaction("main"):
            raise KeyError("mine")
    assert recorder.calls[-1] == ("rollback", 7)
    client.query("main", "after")
    assert recorder.calls[-1][2] is None


def test_a_transaction_that_cannot_begin_or_commit_leaves_nothing_open(recorded):
    client, recorder = recorded
    for step in ("begin", "commit"):
        recorder.failing = (step,)
        with pytest.raises(DatabaseException, match=step):
            with client.transaction("main"):
                pass
        client.query("main", "after")
        assert recorder.calls[-1][2] is None


def test_an_inner_transaction_is_a_savepoint(recorded):
    client, recorder = recorded
    with client.transaction("main"):
        with client.transaction("main"):
            with pytest.raises(KeyError):
                with client.transaction("main"):
                    raise KeyError
        with client.transaction("other"):
            pass
    done = [call[3] if call[0] == "query" else call[0] for call in recorder.calls if call[0] != "open"]
    assert done == ["begin", "savepoint envoxy_1", "savepoint envoxy_2", "rollback to savepoint envoxy_2", "release savepoint envoxy_1",
                    "begin", "commit", "commit"]


def test_changed_servers_are_disconnected(recorded):
    client, recorder = recorded
    client.query("main", "a")
    client.query("other", "a")
    client.reload_config({"main": {"host": "new"}, "other": {"host": "o"}})
    assert recorder.calls[-1] == ("close", "main")
    client.query("main", "b")
    client.query("other", "b")
    assert [call[1] for call in recorder.calls if call[0] == "open"] == ["main", "other", "main"]


def test_the_extension_is_used_where_it_is_usable(monkeypatch):
    calls = []

    class Extension:
        def usable(self):
            return True

        def call(self, service, operation, payload):
            calls.append((service, operation, marshal.loads(payload)))
            return marshal.dumps((7,) if operation == native.BEGIN else ([{"n": 1}], ()))

    monkeypatch.setitem(sys.modules, "_envoxyd", Extension())
    client = Client({"main": {"host": "h"}})
    with client.transaction("main"):
        assert client.query("main", "sql %s", [decimal.Decimal(1)]) == [{"n": 1}]
    assert calls == [("postgres", native.OPEN, ("main", b'{"host": "h"}')), ("postgres", native.BEGIN, ("main",)),
                     ("postgres", native.QUERY, ("main", 7, "sql %s", [(1700, "1")])), ("postgres", native.COMMIT, (7,))]


def test_without_worker_and_driver_the_error_says_what_to_install(monkeypatch):
    for name in ("psycopg2", "psycopg"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DatabaseException, match=r"pip install psycopg2-binary"):
        Client({"main": {}}).query("main", "select 1")


class FakePsycopg2(types.ModuleType):
    """As much of a driver as the fallback needs."""

    class Error(Exception):
        pgcode = "42P01"

    class ProgrammingError(Error):
        pass

    class OperationalError(Error):
        pgcode = None

    def __init__(self):
        super().__init__("psycopg2")
        self.connections = []

    def connect(self, dsn, **keywords):
        if "unreadable" in dsn:
            raise self.ProgrammingError(f"invalid dsn: {dsn}")
        if "nowhere" in dsn:
            raise self.OperationalError(f"could not connect to server: {dsn}")
        made = types.SimpleNamespace(dsn=dsn, keywords=keywords, closed=0, sql=[], autocommit=False)
        made.cursor = lambda: FakeCursor(self, made)
        made.close = lambda: setattr(made, "closed", 1)
        self.connections.append(made)
        return made


class FakeCursor:
    def __init__(self, module, connection):
        self.module, self.connection, self.description, self.statusmessage = module, connection, None, ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def execute(self, sql, params=None):
        self.connection.sql.append((sql, params))
        self.statusmessage = "ROLLBACK" if sql == "commit" and "failed" in str(self.connection.sql) else sql.upper()
        if sql == "broken":
            raise self.module.Error('relation "x" does not exist')
        self.description = [("a",), ("b",)] if sql.startswith("select") else None

    def fetchall(self):
        return [(1, 2)]


@pytest.fixture
def psycopg2(monkeypatch):
    module = FakePsycopg2()
    monkeypatch.setitem(sys.modules, "psycopg2", module)
    monkeypatch.setattr(native, "find", lambda: None)
    return module


def test_scripts_use_the_deployments_driver(psycopg2):
    client = Client({"main": {"dsn": "postgresql+psycopg2://u@h/d", "host": "h", "passwd": "p", "timeout": "3"}})
    assert client.query("main", "select %(u)s", {"u": uuid.UUID(int=1)}) == [{"a": 1, "b": 2}]
    assert client.query("main", "insert", [{"k": 1}]) == []
    connection, = psycopg2.connections
    assert connection.dsn == "postgresql://u@h/d" and connection.autocommit
    assert connection.keywords == {"host": "h", "password": "p", "connect_timeout": 3}
    assert connection.sql[0][1]["u"] == str(uuid.UUID(int=1)) and connection.sql[1][1] == ['{"k": 1}']
    with pytest.raises(DatabaseException, match="does not exist") as raised:
        client.query("main", "broken")
    assert raised.value.sqlstate == "42P01" and not raised.value.lost
    client.close()
    client.query("main", "select")
    assert len(psycopg2.connections) == 2 and connection.closed


def test_a_script_is_told_that_the_server_is_not_reached(psycopg2):
    with pytest.raises(DatabaseException) as raised:
        Client({"main": {"dsn": "nowhere"}}).query("main", "select 1")
    assert raised.value.lost and raised.value.sqlstate is None


def test_a_dsn_that_cannot_be_read_is_not_quoted(psycopg2):
    with pytest.raises(DatabaseException) as raised:
        Client({"main": {"dsn": "unreadable s3cret"}}).query("main", "select 1")
    assert "s3cret" not in str(raised.value) and "psql_servers.main" in str(raised.value) and raised.value.__cause__ is None


def test_transactions_of_scripts(psycopg2):
    client = Client({"main": {}})
    with client.transaction("main"):
        client.query("main", "select")
    with pytest.raises(DatabaseException, match="rolled back"):
        with client.transaction("main"):
            client.query("main", "failed")
    assert [sql for sql, _ in psycopg2.connections[0].sql] == ["begin", "select", "commit", "begin", "failed", "commit"]


def test_a_forked_process_leaves_its_parents_connections_alone(psycopg2):
    client = Client({"main": {}})
    client.query("main", "select")
    pid = os.fork()
    if pid == 0:
        client.query("main", "select")
        os._exit(0 if len(psycopg2.connections) == 2 and not psycopg2.connections[0].closed else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert fallback._inherited == []


def test_a_fork_inside_a_transaction_does_not_inherit_it(psycopg2):
    client = Client({"main": {}})
    with client.transaction("main"):
        pid = os.fork()
        if pid == 0:
            client.query("main", "select")
            os._exit(0 if [sql for sql, _ in psycopg2.connections[-1].sql] == ["select"] else 1)
        assert os.waitpid(pid, 0)[1] == 0


def test_pgsqlc_is_a_client_of_the_configured_servers(recorded, opt):
    from envoxy import pgsqlc
    from envoxy.db import postgres

    _, recorder = recorded
    opt["conf_content"] = {"psql_servers": {"main": {"host": "h"}}}
    postgres.PgConnector.__dict__.get("_instance") and delattr(postgres.PgConnector, "_instance")
    with pgsqlc.transaction("main") as db:
        assert db is pgsqlc.client() and pgsqlc.query("main", "a") == []
    with pytest.raises(DatabaseException, match="not supported"):
        pgsqlc.insert("t", {})
    del postgres.PgConnector._instance
    assert [call[0] for call in recorder.calls] == ["open", "begin", "query", "commit"]
