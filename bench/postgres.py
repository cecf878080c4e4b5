#!/usr/bin/env python3
"""postgres.py [SECONDS [ROUNDS]]: pgsqlc.query against psycopg 3, both inside envoxyd's workers, on a private PostgreSQL.

Wants a Python with flask and psycopg[binary] (3.x) as VENV or .venv, PostgreSQL's programs, and wrk.
Rows have an int, a text, a timestamptz, a numeric, a uuid and a bool.
"""
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from hello import ENVOXYD, cpu_seconds, free_port, wait_open

sys.path.append(str(ENVOXYD.parent.parent / "compat_test"))
from postgresql import NOT_THERE, Postgres, programs  # noqa: E402 - the tests' private server

ROWS = 1000
SCHEMA = """create table item as select i as id, 'name of item ' || i as name,
    timestamptz '2024-01-02 03:04:05.678+00' + i * interval '1 minute' as seen, (i * 1.37)::numeric(10,2) as price,
    gen_random_uuid() as code, i % 3 = 0 as sold from generate_series(1, 1000) i;
    alter table item add primary key (id); vacuum analyze item"""

APP = """
import os, threading
SQL = {"1": "select id, name, seen, price, code, sold from item where id = %(id)s",
       "1000": "select id, name, seen, price, code, sold from item where id >= %(id)s"}
from envoxy.postgresql.client import Client
import psycopg
from psycopg.rows import dict_row
host, port = os.environ["PG"].split(":")
client = Client({"main": {"host": host, "port": port, "db": "shop", "user": "shop", "passwd": "shop"}})
local = threading.local()

def envoxyd(sql, params):
    return client.query("main", sql, params)

def psycopg3(sql, params, binary=False):
    if not hasattr(local, "connection"):
        dsn = f"postgresql://shop:shop@{host}:{port}/shop"
        local.connection = psycopg.connect(dsn, autocommit=True, row_factory=dict_row)
    return local.connection.execute(sql, params, binary=binary).fetchall()

def psycopg3_binary(sql, params):
    return psycopg3(sql, params, True)

WAYS = {f.__name__: f for f in (envoxyd, psycopg3, psycopg3_binary)}

def application(environ, start_response):
    _, way, rows = environ["PATH_INFO"].split("/")
    found = WAYS[way](SQL[rows], {"id": 1})
    assert len(found) == int(rows) and len(found[0]) == 6
    body = b"%d" % len(found)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""


def measure(port, session, path, seconds):
    """(requests per second, CPU microseconds per request of the server's processes)"""
    wrk = ["wrk", "-t1", "-c2", f"http://127.0.0.1:{port}{path}"]
    subprocess.run([*wrk, "-d1s"], capture_output=True, check=True)
    before = cpu_seconds(session)
    out = subprocess.run([*wrk, f"-d{seconds}s"], capture_output=True, text=True, check=True).stdout
    spent = cpu_seconds(session) - before
    done = int(re.search(r"(\d+) requests in", out)[1])
    if "Non-2xx" in out or not done:
        raise SystemExit(f"postgres.py: {path} failed:\n{out}")
    return done / seconds, spent / done * 1e6


def compare(port, session, seconds, rounds):
    """Each way in turn, several times; the best round of each is printed, since others may use the machine."""
    for rows in (1, ROWS):
        best = {}
        for _ in range(rounds):
            for way in ("envoxyd", "psycopg3", "psycopg3_binary"):
                best.setdefault(way, []).append(measure(port, session, f"/{way}/{rows}", seconds))
        for way, found in best.items():
            print(f"{rows:5} rows  {way:16} {max(r for r, _ in found):8.0f} queries/s  {min(c for _, c in found):7.0f} us CPU", flush=True)


def main():
    seconds, rounds = ([int(argument) for argument in sys.argv[1:]] + [5, 3][len(sys.argv) - 1:])[:2]
    venv = Path(os.environ.get("VENV", ENVOXYD.parent.parent / ".venv")).resolve()
    if programs() is None:
        raise SystemExit(f"postgres.py: {NOT_THERE}")
    with tempfile.TemporaryDirectory(prefix="envoxyd-bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        (directory / "app.py").write_text(APP)
        postgres = Postgres()
        for statement in SCHEMA.split(";"):
            postgres.sql(statement)
        port = free_port()
        argv = [ENVOXYD, "--master", "--processes", "2", "--disable-logging", "--virtualenv", venv, "--wsgi-file", "app.py",
                "--http-keepalive=30", "--http", f"127.0.0.1:{port}"]
        try:
            with open(directory / "log", "wb") as log:
                server = subprocess.Popen(argv, cwd=directory, env={**os.environ, "PG": f"127.0.0.1:{postgres.port}"},
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            try:
                wait_open(port, server)
                compare(port, server.pid, seconds, rounds)
            except BaseException:
                print((directory / "log").read_text()[-3000:], file=sys.stderr)
                raise
            finally:
                server.terminate()
                server.wait()
        finally:
            postgres.close()


if __name__ == "__main__":
    main()
