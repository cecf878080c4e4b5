"""pgsqlc.query beside psycopg2, whose values and reading of parameters it promises, in every way of executing."""
import base64
import datetime
import inspect
import json
import pickle
import sys
import urllib.request
import uuid
from decimal import Decimal

import pytest
from postgresql import NOT_THERE, Postgres, programs
from transports import TRANSPORTS

pytestmark = pytest.mark.skipif(programs() is None, reason=NOT_THERE)
pytest.importorskip("flask")
psycopg2 = pytest.importorskip("psycopg2")


def plain(value):
    """What pickle takes in place of what it does not."""
    if isinstance(value, memoryview):
        return ("memoryview", bytes(value))
    return [plain(item) for item in value] if isinstance(value, list) else value


def plain_rows(rows):
    return [{name: plain(value) for name, value in row.items()} for row in rows]


SERVICE = inspect.getsource(plain) + inspect.getsource(plain_rows) + '''
import base64, pickle
from envoxy import View, Response, on, pgsqlc

@on(endpoint="/ask", protocols=["http"])
class Ask(View):
    def post(self, request, **kw):
        sql, params = pickle.loads(request.get_data())
        rows = plain_rows(pgsqlc.query("main", sql, params))
        return Response({"rows": base64.b64encode(pickle.dumps(rows)).decode()})

__loader__ = [Ask]
'''

CONSTANTS = r"""
1::int2 | -5 | 1234567890123 | 1.1::float4 | 'nan'::float8 | 1e300::float8 | '-infinity'::float8
1.50::numeric(6,2) | -0.0001 | 0.000 | 1e20::numeric | 123456789.987654321 | 'NaN'::numeric | 1e-10::numeric | 10000::numeric
true | null::int | null::timestamptz | 'blå' | 'x'::varchar(5) | 'x'::char(4) | 'c'::"char" | 'n'::name | '\xdead00'::bytea | ''::bytea
'2024-02-29'::date | 'infinity'::date | '-infinity'::date | '0001-01-01'::date
'12:34:56.789'::time | '24:00:00'::time | '12:34:56-03:30'::timetz
'2024-02-29 23:59:59.999999'::timestamp | '1969-12-31 23:59:59.5'::timestamp | 'infinity'::timestamp | '-infinity'::timestamp
'2024-07-02 03:04:05+02'::timestamptz | '1900-01-01 00:00:00.000001+00'::timestamptz | 'infinity'::timestamptz
'1 day'::interval | '1 year 2 mons -3 days 04:05:06.789'::interval | '-14 mons'::interval | '-00:00:00.5'::interval
'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid | '{"a":[1,2.5,null,"x"]}'::jsonb | '[1, 2]'::json | 'null'::jsonb
'192.168.0.1/24'::inet | '10.0.0.0/8'::cidr | '08:00:2b:01:02:03'::macaddr | 26::oid
'pg_class'::regclass | '1,2'::point | '1010'::bit(4)
array[1,2,null] | array[[1,2],[3,4]] | '{}'::int[] | '[0:1]={5,6}'::int[] | array['a','b c','"q"\',null] | array[true,false]
array[1.5,2]
array['2024-01-01'::date] | array['2024-01-01 10:00+00'::timestamptz] | array['{"a":1}'::jsonb]
array['\x01'::bytea] | array['1 day'::interval]
array['192.168.0.1'::inet] | array[1.5::float4] | array['10:00+01'::timetz] | array['x'::varchar] | row(1,'a') | 'a b'::tsvector
'$12.50'::money
"""

LATER = datetime.timezone(datetime.timedelta(hours=2))
PARAMETERS = [
    1, -1, 2**31, 2**63, -2**63 - 1, 1.5, 1e-7, 1e300, float("inf"), "x'y\\z%", True, None, Decimal("1.50"), Decimal("NaN"), b"\0\xff",
    datetime.date(2024, 1, 2), datetime.datetime(2024, 1, 2, 3, 4, 5, 6), datetime.datetime(2024, 1, 2, 3, 4, 5, 6, LATER),
    datetime.time(1, 2, 3), datetime.timedelta(days=-1, seconds=5, microseconds=7), [1, 2], [2**40], ["a", "b'\\\"c", None], [[1], [2]],
    [1.5, 2], [True], [datetime.date(2024, 1, 1)], [], [None], [b"x"],
]

STATEMENTS = [
    ("select 1 as v where 3 in %(p)s", {"p": (1, 2, 3)}),
    ("select 1 as v where (1,2) in %(p)s and 5 %% 3 = 2", {"p": ((1, 2), (3, 4))}),
    ("select '50%%' as v, 'a%%b' like 'a%%' as w -- %%c\n", {}),
    ("select $$ %%s $$ as v, E'\\'%%' as w, \"%%\".x from (select 1 as x) \"%%\"", {}),
    ("select interval %(p)s as v, date '2024-01-01' + %(n)s as w", {"p": "2 days", "n": 3}),
    ("select current_date - %(p)s < current_date as v, round(%(q)s, 2) as w", {"p": 5, "q": 1.2345}),
    ("select coalesce(%(a)s, %(b)s) as v, %(b)s || 'x' as w", {"a": None, "b": "q"}),
    ("select * from unnest(%(p)s) v", {"p": ["a", "b"]}),
    ("select 1 as a, 2 as a, 'x' as é", {}),
    ("set application_name to %(p)s", {"p": "x"}),
    ("drop table if exists t; create table t (a int, b text); insert into t values (%(a)s, %(b)s); select * from t", {"a": 1, "b": "o'x;"}),
    ("insert into t (a) values (%(a)s)", {"a": 5}),
    ("insert into t (a) values (%(a)s), (6) returning a", {"a": 5}),
    ("select count(*), sum(a) from t", {}),
    ("select a from t order by a limit %(chunk_size)s offset %(offset_limit)s", {}),
]

UNTYPED = [  # what mode exec leaves to the SQL
    ("select %(p)s is null as v", {"p": None}),
    ("select %(p)s is null as v, %(p)s::text as w", {"p": "x"}),
    ("select jsonb_build_object('k', %(p)s) as v", {"p": "x"}),
]


def statements(mode):
    for constant in CONSTANTS.strip().replace("\n", " | ").split(" | "):
        yield f"select {constant} as v", {}
    for value in PARAMETERS:
        yield "select %(p)s as v", {"p": value}
        yield "select %s as v", (value,)
    yield from STATEMENTS
    if mode != "exec":
        yield from UNTYPED


@pytest.fixture(scope="module", params=["UTC", "America/New_York"])
def postgres(request):
    one = Postgres()
    one.sql(f"alter database shop set timezone to '{request.param}'")
    yield one
    one.close()


def start(server, postgres, **section):
    conf = {"modules": ["service.py"], "psql_servers": {"main": postgres.section(**section)}}
    http = TRANSPORTS["http"]()
    server(http, ["--virtualenv", sys.prefix, "--set", "conf=envoxy.json", "--processes", "1"],
           files={"service.py": SERVICE, "envoxy.json": json.dumps(conf)})
    return http.port


@pytest.mark.parametrize("mode", ["cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"])
def test_values_are_those_of_psycopg2(server, postgres, mode):
    port = start(server, postgres, default_query_exec_mode=mode)
    theirs = psycopg2.connect(host="127.0.0.1", port=postgres.port, dbname="shop", user="shop", password="shop")
    different = []
    for sql, params in statements(mode):
        with theirs.cursor() as cursor:
            cursor.execute(sql, params if isinstance(params, tuple) else {**params, "chunk_size": 100, "offset_limit": 0})
            names = [column.name for column in cursor.description or ()]
            wanted = plain_rows(dict(zip(names, row)) for row in (cursor.fetchall() if names else ()))
        theirs.rollback() if sql.startswith("insert") else theirs.commit()
        got = ask(port, sql, params)
        if repr(got) != repr(wanted):
            different.append((sql, params, got, wanted))
    theirs.close()
    assert different == []


def test_what_psycopg2_cannot_do(server, postgres):
    port = start(server, postgres)
    one = uuid.uuid4()
    got = ask(port, "select %s as v, %s::jsonb as w, %s as x", [one, {"a": [1]}, [one]])
    assert got == [{"v": str(one), "w": {"a": [1]}, "x": [str(one)]}]


def ask(port, sql, params):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/ask", pickle.dumps((sql, params)), timeout=20) as reply:
        return pickle.loads(base64.b64decode(json.load(reply)["rows"]))
