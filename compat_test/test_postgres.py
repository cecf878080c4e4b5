"""Services with PostgreSQL: the pools live in the workers, survive the server's restarts, and are gone when the workers are."""
import json
import os
import shutil
import signal
import sys

import pytest
from http_client import eventually, get
from load import Load
from postgresql import NOT_THERE, programs
from server import alive

pytestmark = pytest.mark.skipif(programs() is None, reason=NOT_THERE)
pytest.importorskip("flask")

SERVICE = '''
import os
from envoxy import View, Response, on, pgsqlc
from envoxy.db.exceptions import DatabaseException

if os.path.exists("query-at-import"):
    try:
        pgsqlc.query("main", "select 1")
    except DatabaseException as error:
        print("at import:", error)

@on(endpoint="/rows", protocols=["http"])
class Rows(View):
    def get(self, request, **kw):
        rows = pgsqlc.query("main", "select n, n::numeric(8,2) / 4 as quarter, 'é' || n as name, now() as seen, gen_random_uuid() as code"
                                    " from generate_series(1, 50) n where n <> %(not)s", {"not": 0})
        return Response({"pid": os.getpid(), "sum": sum(row["n"] for row in rows), "last": rows[-1]["name"]})

@on(endpoint="/pause", protocols=["http"])
class Pause(View):
    def get(self, request, **kw):
        pgsqlc.query("main", "select pg_sleep(1.5)")
        return Response({"slept": True})

@on(endpoint="/move", protocols=["http"])
class Move(View):
    def get(self, request, **kw):
        """1 from a to b, with a fault in between where the client wants it."""
        with pgsqlc.transaction("main") as db:
            db.query("main", "update account set amount = amount - 1 where name = 'a'")
            if request.args.get("inner"):
                try:
                    with pgsqlc.transaction("main"):
                        pgsqlc.query("main", "update account set amount = 1000")
                        pgsqlc.query("main", "select 1/0")
                except DatabaseException as error:
                    assert error.sqlstate == "22012"
            if request.args.get("fault"):
                raise RuntimeError("as asked")
            pgsqlc.query("main", "update account set amount = amount + 1 where name = 'b'")
        return Response({"moved": 1})

@on(endpoint="/child", protocols=["http"])
class Child(View):
    def get(self, request, **kw):
        """What a process that the application forks can do with the connector."""
        receive, send = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                text = str(pgsqlc.query("main", "select 7 as v"))
            except BaseException as error:
                text = f"{type(error).__name__}: {error}"
            os.write(send, text.encode())
            os._exit(0)
        os.close(send)
        text = os.read(receive, 4096).decode()
        os.close(receive)
        os.waitpid(pid, 0)
        return Response({"child": text, "parent": pgsqlc.query("main", "select 8 as v")})

@on(endpoint="/broken", protocols=["http"])
class Broken(View):
    def get(self, request, **kw):
        return Response(pgsqlc.query("main", "select nothing from nowhere"))

__loader__ = [Rows, Pause, Move, Child, Broken]
'''


@pytest.fixture
def service(server, http, postgres):
    """service(args, files, **section) starts two workers."""

    def start(args=(), files=None, **section):
        conf = {"modules": ["service.py"], "log": {"level": 6}, "psql_servers": {"main": postgres.section(**section)}}
        return server(http, ["--virtualenv", sys.prefix, "--set", "conf=envoxy.json", "--processes", "2", *args],
                      files={"service.py": SERVICE, "envoxy.json": json.dumps(conf), **(files or {})})

    return start


def body(reply):
    assert reply.status == 200, reply.text
    return json.loads(reply.text)


def gone(postgres):
    eventually(lambda: postgres.all_sessions() == 0, 15)


def test_load_reload_and_stop_leave_no_session(service, http, postgres):
    running = service()
    with Load(http, path="/rows?{number}") as load:
        load.wait_for(200)
        assert 1 <= postgres.sessions() <= 2
        before = {json.loads(text)["pid"] for text in list(load.texts)}
        running.signal(signal.SIGHUP)
        eventually(lambda: not any(alive(pid) for pid in before), 20)
        load.wait_for(200)
    assert load.failures() == []
    assert {(json.loads(text)["sum"], json.loads(text)["last"]) for text in load.texts} == {(1275, "é50")}
    assert 1 <= postgres.sessions() <= 2  # the workers of before have closed theirs
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    gone(postgres)
    assert "unexpected EOF" not in (postgres.dir / "log").read_text()


def test_a_statement_in_flight_is_finished_before_the_sessions_end(service, http, postgres):
    running = service()
    with Load(http, clients=1, path="/pause?{number}") as load:
        asleep = "select count(*) from pg_stat_activity where query = 'select pg_sleep(1.5)' and state = 'active'"
        eventually(lambda: postgres.sql(asleep) == "1")
        running.signal(signal.SIGTERM)
        eventually(lambda: load.requests)
    assert load.requests[0].status == 200
    assert running.wait_exit() == 0
    gone(postgres)


def test_a_restart_of_postgres_costs_only_the_requests_during_it(service, http, postgres):
    service()
    with Load(http, path="/rows?{number}") as load:
        load.wait_for(50)
        postgres.stop()
        eventually(lambda: load.failures())
        postgres.start()
        load.wait_for(100)
    with Load(http, path="/rows?{number}") as later:
        later.wait_for(100)
    assert later.failures() == []
    assert {request.status for request in load.failures()} == {500}
    assert len({json.loads(text)["pid"] for text in {**load.texts, **later.texts}}) <= 2  # no worker was replaced


def test_sessions_that_end_between_requests_are_not_noticed(service, http, postgres):
    service()
    for _ in range(5):
        assert body(get(http.port, "/rows"))["sum"] == 1275
        postgres.stop()
        postgres.start()
    with Load(http, path="/rows?{number}") as load:
        load.wait_for(50)
    assert load.failures() == []


def test_transactions_under_load(service, http, postgres):
    postgres.sql("drop table if exists account; create table account (name text, amount int)")
    postgres.sql("insert into account values ('a', 0), ('b', 0)")
    service(max_conn="2")
    with Load(http, path="/move?{number}") as load:
        load.wait_for(50)
    assert load.failures() == []
    moved = len(load.requests)
    for query in ("fault=1", "fault=1&inner=1"):
        assert get(http.port, f"/move?{query}").status == 500
    assert body(get(http.port, "/move?inner=1")) == {"moved": 1}
    amounts = postgres.sql("select string_agg(name || amount, ' ' order by name) from account")
    assert amounts == f"a{-moved - 1} b{moved + 1}"
    assert postgres.sql("select count(*) from pg_stat_activity where state like 'idle in transaction%'") == "0"


def test_threads_share_the_pool(service, http, postgres):
    service(args=["--threads", "4"], max_conn="2")
    with Load(http, clients=8, path="/rows?{number}") as load:
        load.wait_for(300)
        assert postgres.sessions() <= 4
    assert load.failures() == []


def test_errors_and_logs_hold_no_secret(service, http, postgres):
    running = service(passwd="tops3cret")
    reply = get(http.port, "/rows")
    assert reply.status == 500 and "cannot be reached" in reply.text
    assert "shop" not in reply.text and "127.0.0.1" not in reply.text, "what a client gets names neither user nor server"
    running.wait_log("password authentication failed")
    assert "tops3cret" not in reply.text + running.log()


def test_an_sql_error_reaches_the_client(service, http, postgres):
    service()
    for _ in range(5):
        reply = get(http.port, "/broken")
        assert reply.status == 500 and 'relation "nowhere" does not exist' in reply.text
    assert body(get(http.port, "/rows"))["sum"] == 1275


@pytest.mark.skipif(shutil.which("pgbouncer") is None, reason="pgbouncer is not installed (Debian: pgbouncer)")
@pytest.mark.parametrize("mode", ["cache_describe", "simple_protocol"])
def test_behind_pgbouncer_with_transaction_pooling(service, http, postgres, mode):
    """Sessions are the pooler's: each transaction may run in another one."""
    postgres.sql("create schema if not exists ledger; drop table if exists ledger.account")
    postgres.sql("create table ledger.account (name text, amount int); insert into ledger.account values ('a', 0), ('b', 0)")
    with postgres.pooler() as port:
        service(args=["--threads", "4"], port=str(port), schema="ledger", statement_timeout=5, default_query_exec_mode=mode)
        with Load(http, clients=8, path="/move?{number}") as load:
            load.wait_for(100)
        assert load.failures() == []
        with Load(http, clients=8, path="/rows?{number}") as rows:
            rows.wait_for(100)
            assert postgres.all_sessions() <= 2
        assert rows.failures() == []
        moved = len(load.requests)
        assert postgres.sql("select string_agg(name || amount, ' ' order by name) from ledger.account") == f"a{-moved} b{moved}"


def has_driver():
    try:
        __import__("psycopg2")
    except ImportError:
        try:
            __import__("psycopg")
        except ImportError:
            return False
    return True


def test_processes_that_are_no_workers(service, http, postgres):
    """The application's import and a fork of a worker have no Go: psycopg serves them, or the error says what to install."""
    running = service(files={"query-at-import": ""})
    got = body(get(http.port, "/child"))
    assert got["parent"] == [{"v": 8}]
    if has_driver():
        assert got["child"] == "[{'v': 7}]"
    else:
        assert "pip install psycopg2-binary" in got["child"]
        running.wait_log("at import: .*pip install psycopg2-binary")
    assert os.path.exists(f"/proc/{running.pid}")
