"""A private PostgreSQL that can be stopped and started again on its port."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from http_client import eventually
from server import free_port

NOT_THERE = "PostgreSQL is not installed (Debian: postgresql)"


def programs():
    """The folder of PostgreSQL's programs, None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return found[-1].parent if found else None


def listens(port):
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


class Postgres:
    """One server: user, password and database are all `shop`."""

    def __init__(self):
        self.bin, self.port = programs(), free_port()
        self.dir = Path(tempfile.mkdtemp(prefix="envoxyd-pg-"))
        self.dir.chmod(0o755)
        self.data = self.dir / "data"
        self.data.mkdir(mode=0o700)
        self.prefix = []
        if os.geteuid() == 0:
            shutil.chown(self.data, "postgres")
            self.prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        (self.dir / "pw").write_text("shop")
        initdb = [self.bin / "initdb", "-D", self.data, "-N", "-E", "UTF8", "--locale", "C"]
        login = ["-U", "shop", "-A", "scram-sha-256", "--pwfile", self.dir / "pw"]
        subprocess.run([*self.prefix, *initdb, *login], check=True, stdin=subprocess.DEVNULL, capture_output=True, cwd=self.dir)
        self.process = None
        self.start()
        self.sql("create database shop", "postgres")

    def start(self):
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, self.bin / "postgres", "-D", self.data, "-p", str(self.port), "-h", "127.0.0.1", "-k", self.data, "-F",
                 "-c", "shared_buffers=8MB"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.dir, start_new_session=True)
        eventually(lambda: self.psql("select 1", "postgres").returncode == 0, 30)

    def stop(self):
        """As a restart by the administrator does it: sessions are ended."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(20)
            self.process = None

    def psql(self, text, database="shop"):
        argv = [self.bin / "psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "shop", "-d", database, "-Atqc", text]
        return subprocess.run(argv, env={**os.environ, "PGPASSWORD": "shop"}, stdin=subprocess.DEVNULL, capture_output=True, text=True)

    def sql(self, text, database="shop"):
        """What psql prints; an error is an error."""
        done = self.psql(text, database)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def sessions(self):
        """How many connections workers have; the gateway's for its probe is none of them."""
        return int(self.sql("select count(*) from pg_stat_activity where application_name = 'envoxyd'"))

    def all_sessions(self):
        """How many programs are connected, but for this question's own."""
        return int(self.sql("select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"))

    def section(self, **more):
        """This server as an entry of psql_servers."""
        return {"host": "127.0.0.1", "port": str(self.port), "db": "shop", "user": "shop", "passwd": "shop", **more}

    @contextmanager
    def pooler(self):
        """The port of a pgbouncer with transaction pooling and two sessions."""
        port = free_port()
        folder = self.dir / f"pooler-{port}"  # which another user may read
        folder.mkdir()
        (folder / "users").write_text('"shop" "shop"\n')
        (folder / "ini").write_text(f"""[databases]
shop = host=127.0.0.1 port={self.port} pool_size=2
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = transaction
""")
        as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
        process = subprocess.Popen([*as_nobody, shutil.which("pgbouncer"), folder / "ini"], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: listens(port))
            yield port
        finally:
            process.terminate()
            process.wait(10)

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)
