#!/usr/bin/env python3
"""postgres.py [SECONDS [ROUNDS]]: pgsqlc.query against psycopg 3, both inside envoxyd's workers, on a private PostgreSQL.

Wants a Python with flask and psycopg[binary] (3.x) as VENV or .venv, PostgreSQL's programs, and wrk.
Rows have an int, a text, a timestamptz, a numeric, a uuid and a bool.
"""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from hello import ENVOXYD, cpu_seconds, free_port, wait_open

ROWS = 1000
SCHEMA = """create table item as select i as id, 'name of item ' || i as name, timestamptz '2024-01-02 03:04:05.678+00' + i * interval '1 minute' as seen,
    (i * 1.37)::numeric(10,2) as price, gen_random_uuid() as code, i % 3 = 0 as sold from generate_series(1, 1000) i; alter table item add primary key (id)"""

APP = """
import os, threading
SQL = {"1": "select id, name, seen, price, code, sold from item where id = %(id)s",
       "1000": "select id, name, seen, price, code, sold from item where id >= %(id)s"}
from envoxy.postgresql.client import Client
import psycopg
from psycopg.rows import dict_row
host, port = os.environ["PG"].split(":")
client = Client({"main": {"host": host, "port": port, "db": "postgres", "user": "bench", "passwd": "x"}})
local = threading.local()

def envoxyd(sql, params):
    return client.query("main", sql, params)

def psycopg3(sql, params, binary=False):
    if not hasattr(local, "connection"):
        local.connection = psycopg.connect(host=host, port=port, dbname="postgres", user="bench", autocommit=True, row_factory=dict_row)
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


class Postgres:
    """A private server, on a socket of loopback, without passwords and without fsync."""

    def __init__(self, directory):
        bins = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        if not bins:
            raise SystemExit("postgres.py: PostgreSQL is not installed")
        self.port, self.bin, data = free_port(), bins[-1], directory / "pg"
        data.mkdir()
        prefix = []
        if os.geteuid() == 0:
            shutil.chown(data, "postgres")
            prefix = ["runuser", "-u", "postgres", "--"]
        subprocess.run([*prefix, self.bin / "initdb", "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale", "C"],
                       check=True, stdout=subprocess.DEVNULL, cwd=data)
        self.process = subprocess.Popen(
            [*prefix, self.bin / "postgres", "-D", data, "-p", str(self.port), "-h", "127.0.0.1", "-k", data, "-F"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=data, start_new_session=True)
        wait_open(self.port, self.process)
        while subprocess.run([self.bin / "psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "bench", "postgres", "-qc", SCHEMA],
                             stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 2:
            pass  # it is starting up

    def close(self):
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait()


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
    with tempfile.TemporaryDirectory(prefix="envoxyd-bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        (directory / "app.py").write_text(APP)
        postgres = Postgres(directory)
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
