"""An emperor over rows of a PostgreSQL table: started, reloaded and ended by them, whatever becomes of the database."""
import os
import pwd
import re
import signal
import socket
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from emperors import APP, Address, Emperor, ini
from http_client import eventually, get
from load import Load
from postgresql import NOT_THERE, programs
from server import BINARY, alive, free_port

pytestmark = pytest.mark.skipif(programs() is None, reason=NOT_THERE)
UWSGI = Path(os.environ.get("UWSGI", BINARY.parent.parent / ".cache/uwsgi-2.0.31/bin/uwsgi"))
COLUMNS = "name text, config text, ts bigint, uid int, gid int, socket text"
QUERY = "SELECT name,config,ts FROM vassals"
SECRET = "sesame-4711"


@pytest.fixture
def table(postgres):
    """The table `vassals`, empty; a user who may only read it."""
    postgres.sql(f"DROP TABLE IF EXISTS vassals; CREATE TABLE vassals ({COLUMNS}); DROP ROLE IF EXISTS emperor; "
                 f"CREATE ROLE emperor LOGIN PASSWORD '{SECRET}'; GRANT SELECT ON vassals TO emperor")
    return postgres


def place(postgres, query=QUERY, port=None):
    return f"pg://host=127.0.0.1 port={port or postgres.port} user=emperor password={SECRET} dbname=shop;{query}"


def put(postgres, name, config, ts, **more):
    """The row of that name, and no other; None is NULL."""
    def text(value):
        return "NULL" if value is None else f"$_${value}$_$"
    row = {"name": name, "config": config, "ts": ts, **more}
    remove = f"DELETE FROM vassals WHERE name = {text(name)}; " if name is not None else ""
    postgres.sql(f"BEGIN; {remove}INSERT INTO vassals ({', '.join(row)}) VALUES ({', '.join(map(text, row.values()))}); COMMIT")


@pytest.fixture
def emperor(server):
    def start(source, *args, **rest):
        e = Emperor(server, *args, source=source, **{"files": {"app.py": APP}, **rest})
        e.dir = e.server.dir  # where rows' instances run
        return e
    return start


def lines(e, pattern):
    return re.findall(pattern, e.server.log())


# --- rows ----------------------------------------------------------------------------------------------------------------

def test_rows_start_reload_and_end_instances(emperor, table):
    put(table, "a.ini", ini("a"), 1)
    put(table, "b.yaml", ini("b").replace("[uwsgi]", "uwsgi:").replace("\n", "\n  ").replace(" = ", ": "), 1)
    e = emperor(place(table))
    e.wait("a")
    e.wait("b")
    pid = e.loyal("a.ini")["pid"]
    table.sql("UPDATE vassals SET config = 'half of it' WHERE name = 'b.yaml'")  # the timestamp says when it is whole
    with Load(Address(e.address("a"))) as load:
        for version in (2, 3):
            put(table, "a.ini", ini("a", version), version)
            e.wait("a", version)
            load.wait_for(100)
    assert not load.failures()
    assert e.vassal("a.ini")["pid"] == pid and e.vassal("a.ini")["last_mod"] == 3
    assert "reload the uwsgi instance b.yaml" not in e.server.log()
    put(table, "c.ini", ini("c"), 1)
    e.wait("c")
    table.sql("DELETE FROM vassals WHERE name = 'a.ini'")
    eventually(lambda: not alive(pid) and e.vassal("a.ini") is None)
    assert sorted(v["id"] for v in e.stats()["vassals"]) == ["b.yaml", "c.ini"]
    assert table.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'envoxyd emperor'") == "1"
    e.server.signal(signal.SIGTERM)
    assert e.server.wait_exit() == 0
    eventually(lambda: table.sql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'envoxyd emperor'") == "0")


def test_an_instance_that_is_reloaded_or_killed_by_others_has_its_configuration_again(emperor, table):
    put(table, "a.ini", ini("a"), 1)
    e = emperor(place(table))
    e.wait("a")
    pid = e.loyal("a.ini")["pid"]
    e.server.signal_process(pid, signal.SIGHUP)
    e.server.wait_log(r"gracefully \(RE\)spawned")
    e.wait("a")
    e.server.signal_process(pid, signal.SIGKILL)
    eventually(lambda: e.vassal("a.ini")["pid"] not in (0, pid))
    e.wait("a")
    put(table, "a.ini", ini("a", 2), 2)
    e.wait("a", 2)
    e.server.signal(signal.SIGHUP)
    e.server.wait_log("the emperor reloads all vassals")
    e.server.wait_log(r"(?s)the emperor reloads all vassals.*gracefully \(RE\)spawned")
    assert e.version("a") == "2"


def test_a_broken_configuration_leaves_the_instance_serving(emperor, table):
    put(table, "a.ini", ini("a"), 1)
    e = emperor(place(table))
    e.wait("a")
    put(table, "a.ini", ini("a", 2).replace("app.py", "missing.py"), 2)
    e.server.wait_log("reload failed")
    assert e.version("a") == "1"
    put(table, "a.ini", ini("a", 3), 3)
    e.wait("a", 3)


@pytest.mark.parametrize("kind, first, then", [
    ("timestamptz", "2026-01-02 03:04:05.25+05:30", "2026-01-02 03:04:05.5+05:30"),
    ("timestamp", "2026-01-02 03:04:05", "2026-01-02 03:04:06"),
    ("double precision", "1767225600.25", "1767225600.5"), ("text", "100", "101")])
def test_timestamps_of_every_kind(emperor, table, kind, first, then):
    table.sql(f"ALTER TABLE vassals ALTER ts TYPE {kind} USING NULL; ALTER DATABASE shop SET datestyle = 'German'")
    try:
        put(table, "a.ini", ini("a"), first)
        e = emperor(place(table))
        e.wait("a")
        put(table, "a.ini", ini("a", 2), then)
        e.wait("a", 2)
    finally:
        table.sql("ALTER DATABASE shop RESET datestyle")


def test_rows_that_cannot_be_used_disturb_nobody(emperor, table):
    put(table, "a.ini", ini("a"), 1)
    put(table, "good.ini", ini("good"), 1)
    e = emperor(place(table))
    e.wait("a")
    e.wait("good")
    before = e.loyal("a.ini")["pid"], e.loyal("good.ini")["pid"]
    put(table, "a.ini", None, 2)
    put(table, None, ini("b"), 1)
    put(table, "c.ini", ini("c"), None)
    put(table, "d.txt", ini("d"), 1)
    put(table, "e.ini", ini("e"), 1)
    table.sql("INSERT INTO vassals SELECT * FROM vassals WHERE name = 'e.ini'")
    put(table, "f.ini", "#" * 70000, 1)
    put(table, "last.ini", ini("last"), 1)
    e.wait("last")
    for text in ('row "a.ini" has no configuration: it is NULL', "a row's name is NULL", 'row "c.ini" has no timestamp: it is NULL',
                 'row "d.txt" does not end as a configuration does', 'row "e.ini" comes 2 times',
                 'row "f.ini" has a configuration of 70000 bytes'):
        e.server.wait_log(text)
    assert (e.vassal("a.ini")["pid"], e.vassal("good.ini")["pid"]) == before
    assert sorted(v["id"] for v in e.stats()["vassals"]) == ["a.ini", "good.ini", "last.ini"]
    table.sql("DELETE FROM vassals WHERE name = 'last.ini'")  # looks have gone on
    eventually(lambda: e.vassal("last.ini") is None)
    assert len(lines(e, 'row "c.ini"')) == 1
    put(table, "a.ini", ini("a", 2), 3)
    put(table, "e.ini", ini("e"), 1)
    e.wait("a", 2)
    e.wait("e")
    assert (e.vassal("a.ini")["pid"], e.vassal("good.ini")["pid"]) == before


def test_attributes_and_hooks_of_rows(emperor, table):
    put(table, "a.ini", ini("a") + "[emperor]\ncolour = red\n", 1)
    e = emperor(place(table), "--emperor-collect-attr", "colour", "--vassals-start-hook", 'echo "$UWSGI_VASSAL_CONFIG" > hook')
    e.wait("a")
    assert e.vassal("a.ini")["attrs"] == {"colour": "red"}
    eventually(lambda: (e.dir / "hook").exists() and (e.dir / "hook").read_text() == "a.ini\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be a tyrant")
def test_a_tyrant_takes_the_user_from_the_row(emperor, table):
    nobody, games = pwd.getpwnam("nobody"), pwd.getpwnam("games")
    put(table, "a.ini", ini("a"), 1, uid=nobody.pw_uid, gid=nobody.pw_gid)
    put(table, "none.ini", ini("none"), 1)
    put(table, "root.ini", ini("root"), 1, uid=0, gid=0)
    put(table, "bad.ini", ini("bad"), 1, uid=-1, gid=1)
    open_to_all = ["sh", "-c", 'chmod 1777 .; exec "$@"', "sh"]
    e = emperor(place(table, "SELECT name,config,ts,uid,gid FROM vassals"), "--emperor-tyrant", wrapper=open_to_all)
    e.wait("a")
    assert e.identity("a") == (nobody.pw_uid, nobody.pw_gid)
    for name in ("none", "root"):
        e.server.wait_log(rf"invalid permissions for vassal {name}\.ini: its row has no uid and gid, or root's")
    e.server.wait_log(r'row "bad\.ini" has no uid: it is "-1"')
    e.address("a").unlink()
    put(table, "a.ini", ini("a"), 1, uid=games.pw_uid, gid=games.pw_gid)
    eventually(lambda: e.address("a").exists() and e.version("a") == "1" and e.identity("a") == (games.pw_uid, games.pw_gid), 20)


def test_a_row_on_demand_waits_for_its_first_connection(emperor, table):
    port = free_port()
    put(table, "a.ini", ini("a").replace("http-socket = a.sock", "protocol = http"), 1, socket=f"127.0.0.1:{port}")
    put(table, "b.ini", ini("b"), 1)
    e = emperor(place(table, "SELECT * FROM vassals"))
    e.wait("b")
    assert e.vassal("a.ini")["pid"] == 0 and e.vassal("a.ini")["on_demand"] == f"127.0.0.1:{port}"
    assert get(port).text.startswith("1 ")
    assert e.vassal("a.ini")["pid"] != 0


# --- databases that are away ---------------------------------------------------------------------------------------------

@contextmanager
def closing(port):
    """Something that takes connections in the database's place and ends them; tells how many there were."""
    taken = []
    with socket.create_server(("127.0.0.1", port)) as listener:
        def serve():
            while True:
                try:
                    conn, _ = listener.accept()
                except OSError:
                    return
                taken.append(1)
                conn.close()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield lambda: len(taken)
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_database_that_goes_and_comes_ends_nobody(emperor, table):
    put(table, "a.ini", ini("a"), 1)
    e = emperor(place(table))
    e.wait("a")
    pid = e.loyal("a.ini")["pid"]
    with Load(Address(e.address("a"))) as load:
        table.stop()
        try:
            e.server.wait_log(rf"pg://.*: dial 127\.0\.0\.1:{table.port}: connect: connection refused; vassals stay as they are")
            with closing(table.port) as looks:
                eventually(lambda: looks() >= 4)
            e.server.signal_process(pid, signal.SIGKILL)  # one that ends meanwhile is started as it was
            eventually(lambda: e.vassal("a.ini")["pid"] not in (0, pid), 20)
        finally:
            table.start()
        e.server.wait_log("answers again")
        put(table, "a.ini", ini("a", 2), 2)
        e.wait("a", 2)
        load.wait_for(100)
    troubles = lines(e, r"\[emperor\] pg://[^\n]*vassals stay as they are")
    assert all(a != b for a, b in zip(troubles, troubles[1:])), troubles  # each is said once
    pid = e.loyal("a.ini")["pid"]
    table.stop()  # and a restart between two looks is no trouble at all
    table.start()
    put(table, "a.ini", ini("a", 3), 3)
    e.wait("a", 3)
    assert e.vassal("a.ini")["pid"] == pid


def test_a_database_that_is_not_there_yet(emperor, table):
    put(table, "a.ini", ini("a"), 1)
    table.stop()
    try:
        e = emperor(place(table))
        e.server.wait_log("connection refused; vassals stay as they are")
    finally:
        table.start()
    e.wait("a")


def test_a_query_that_fails_ends_nobody(emperor, table):
    put(table, "a.ini", ini("a"), 1)
    e = emperor(place(table))
    e.wait("a")
    pid = e.loyal("a.ini")["pid"]
    table.sql("ALTER TABLE vassals RENAME TO away")
    try:
        e.server.wait_log(r'pg://.*: relation "vassals" does not exist \(SQLSTATE 42P01\); vassals stay as they are')
    finally:
        table.sql("ALTER TABLE away RENAME TO vassals")
    e.server.wait_log("answers again")
    assert e.vassal("a.ini")["pid"] == pid
    other = emperor(place(table, "SELECT name, config FROM vassals"))
    other.server.wait_log("the query gives 2 columns, and name, configuration and timestamp are wanted")


def test_a_database_that_does_not_answer_holds_up_nobody(emperor, table):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # the kernel takes the connection, and nobody says a word
        e = emperor(place(table, port=silent.getsockname()[1]), "--emperor", "vassals", files={"vassals/app.py": APP})
        conn, _ = silent.accept()
        with conn:
            folder = e.server.dir / "vassals"
            (folder / "f.ini").write_text(ini("f"))
            eventually(lambda: (folder / "f.sock").exists() and get(folder / "f.sock").text.startswith("1 "), 20)
            (folder / "f.ini").write_text(ini("f", 2))
            eventually(lambda: get(folder / "f.sock").text.startswith("2 "), 20)
            e.server.signal(signal.SIGTERM)
            assert e.server.wait_exit(9) == 0


# --- passwords -------------------------------------------------------------------------------------------------------------

def seen(e):
    """What anybody sees of a server: command lines, its log, statistics."""
    commands = [Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace") for pid in e.server.processes()]
    return "\n".join([*commands, e.server.log(), str(e.stats())])


@pytest.mark.parametrize("way", ["command line", "file", "beside workers", "URL", "environment of libpq"])
def test_passwords_are_shown_nowhere(emperor, table, tmp_path, way):
    put(table, "a.ini", ini("a"), 1)
    source, args, env, files = place(table), [], {}, {"app.py": APP}
    if way == "URL":
        source = f"pg://postgres://emperor:{SECRET}@127.0.0.1:{table.port}/shop?connect_timeout=5;{QUERY}"
    elif way == "environment of libpq":
        source, env = source.replace(f"password={SECRET} ", ""), {"PGPASSWORD": SECRET}
    elif way != "command line":
        more = "http-socket = own.sock\nwsgi-file = app.py\nmaster = true\n" if way == "beside workers" else ""
        files["own.ini"] = f"[uwsgi]\nemperor = {source}\n{more}"
        source, args = None, ["--ini", "own.ini"]
    e = emperor(source, *args, env=env, files=files)
    e.wait("a")
    assert SECRET not in seen(e)
    assert e.vassal("a.ini")["monitor"] == e.stats()["emperor"][0]
    assert f"host=127.0.0.1 port={table.port} user=emperor dbname=shop" in e.vassal("a.ini")["monitor"] or way == "URL"
    vassal = Path(f"/proc/{e.loyal('a.ini')['pid']}/environ").read_bytes().decode()
    assert SECRET not in vassal or way == "environment of libpq"
    table.sql("ALTER ROLE emperor PASSWORD 'another'; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'emperor'")
    e.server.wait_log('password authentication failed for user "emperor"')
    assert SECRET not in seen(e)
    assert e.version("a") == "1"


def test_a_password_file_counts(emperor, table, tmp_path):
    put(table, "a.ini", ini("a"), 1)
    secrets = tmp_path / "pgpass"
    secrets.write_text(f"127.0.0.1:{table.port}:shop:emperor:{SECRET}\n")
    secrets.chmod(0o600)
    e = emperor(f"pg://host=127.0.0.1 port={table.port} user=emperor dbname=shop;{QUERY}", env={"PGPASSFILE": str(secrets)})
    e.wait("a")


@pytest.mark.parametrize("given, why", [
    ("pg://host=127.0.0.1", "there is no query"), ("pg://127.0.0.1;SELECT 1", "neither a URL nor keyword=value pairs"),
    ("pg://postgres://u:sesame/4711@h/d;SELECT 1", "not a postgres:// URL"),
    ("pg://host=h port=x password=sesame;SELECT 1", "invalid port")])
def test_places_that_are_refused(tmp_path, given, why):
    for more in ([], ["--check"]):
        done = subprocess.run([BINARY, "--emperor", given, *more], cwd=tmp_path, capture_output=True, text=True, timeout=20)
        assert done.returncode == 1
        assert why in done.stdout + done.stderr and "sesame" not in done.stdout + done.stderr
        assert "form is pg://CONNECTION;QUERY" in done.stdout + done.stderr or why == "invalid port"


def test_the_list_of_monitors_has_databases(tmp_path):
    argv = [BINARY, "--imperial-monitor-list", "--check", "--emperor", "pg://host=h;SELECT 1"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=20)
    assert re.search(r"imperial monitors \*\*\*.*\bpg\b", done.stdout)
    assert done.returncode == 0 and done.stdout.endswith("check: nothing is wrong\n")


# --- uWSGI ------------------------------------------------------------------------------------------------------------

@pytest.mark.skipif(not UWSGI.exists(), reason="no uWSGI to compare with")
def test_uwsgi_itself_as_the_instance_of_a_row(emperor, table):
    put(table, "a.ini", ini("a"), 1)
    e = emperor(place(table), "--emperor-wrapper", UWSGI)
    e.wait("a")
    pid = e.loyal("a.ini")["pid"]
    put(table, "a.ini", ini("a", 2) + "#" * 60000 + "\n", 2)
    e.wait("a", 2)
    e.server.signal_process(pid, signal.SIGHUP)
    e.server.wait_log(r"(?s)version.*(gracefully \(RE\)spawned.*){2}")
    e.wait("a", 2)
    assert e.vassal("a.ini")["pid"] == pid
