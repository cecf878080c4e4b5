"""Whose rights vassals have: the owners' of their files, and an emperor that drops its own; logs, daemons and what is left behind."""
import grp
import os
import pwd
import re
import signal

import pytest
from emperors import Emperor, ini
from http_client import eventually
from server import alive

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be a tyrant")

NOBODY = pwd.getpwnam("nobody")
GAMES = pwd.getpwnam("games")


@pytest.fixture
def emperor(server):
    """Emperors over a directory that everybody may write to, as their vassals' sockets are there."""
    def start(*args, wrapper="", **rest):
        prepare = f'chmod 1777 vassals; {wrapper} exec "$@"'
        return Emperor(server, *args, wrapper=["sh", "-c", prepare, "sh"], **rest)
    return start


def own(e, name, user):
    os.chown(e.dir / name, user.pw_uid, user.pw_gid)


def give(user, *names):
    """Shell that gives files of the directory to a user before the emperor starts."""
    return "".join(f"chown -h {user.pw_uid}:{user.pw_gid} vassals/{name}; " for name in names)


def test_vassals_run_as_the_owners_of_their_files_and_none_as_root(emperor):
    e = emperor("--emperor-tyrant", wrapper=give(NOBODY, "a.ini") + give(GAMES, "b.ini"),
                vassals={"a.ini": ini("a"), "b.ini": ini("b"), "root.ini": ini("root")})
    e.wait("a")
    e.wait("b")
    assert e.identity("a") == (NOBODY.pw_uid, NOBODY.pw_gid) and e.identity("b") == (GAMES.pw_uid, GAMES.pw_gid)
    assert e.server.wait_log(r"invalid permissions for vassal root\.ini")
    assert e.vassal("root.ini")["pid"] == 0 and not e.address("root").exists()
    for name, user in (("a.ini", NOBODY), ("b.ini", GAMES)):
        status = open(f"/proc/{e.vassal(name)['pid']}/status").read()
        assert re.search(r"^Groups:\s*$", status, re.M), status
        assert e.vassal(name)["uid"] == user.pw_uid
    own(e, "root.ini", NOBODY)
    e.wait("root")
    assert e.identity("root") == (NOBODY.pw_uid, NOBODY.pw_gid)


def test_a_vassal_whose_file_gets_another_owner_is_started_again_as_that_one(emperor):
    e = emperor("--emperor-tyrant", wrapper=give(NOBODY, "a.ini"), vassals={"a.ini": ini("a", 1, "vacuum = true")})
    e.wait("a")
    own(e, "a.ini", GAMES)
    eventually(lambda: e.version("a") == "1" and e.identity("a") == (GAMES.pw_uid, GAMES.pw_gid), 20)


def test_a_link_gives_no_rights_unless_its_target_counts(emperor):
    for options, uid in ([], NOBODY.pw_uid), (["--emperor-tyrant-nofollow"], GAMES.pw_uid):
        prepare = f"ln -s ../target vassals/a.ini; chown {NOBODY.pw_uid}:{NOBODY.pw_gid} target; " + give(GAMES, "a.ini")
        e = emperor("--emperor-tyrant", *options, wrapper=prepare, files={"target": ini("a")})
        e.wait("a")
        assert e.identity("a")[0] == uid


def test_all_groups_of_the_owner(emperor):
    user = next((p for p in pwd.getpwall() if p.pw_uid and p.pw_gid and len(os.getgrouplist(p.pw_name, p.pw_gid)) > 1), None)
    if user is None:
        pytest.skip("nobody here is in two groups")
    e = emperor("--emperor-tyrant", "--emperor-tyrant-initgroups", wrapper=give(user, "a.ini"), vassals={"a.ini": ini("a")})
    e.wait("a")
    groups = re.search(r"^Groups:(.*)$", open(f"/proc/{e.vassal('a.ini')['pid']}/status").read(), re.M)[1]
    assert set(map(int, groups.split())) == set(os.getgrouplist(user.pw_name, user.pw_gid))


def test_the_socket_of_a_tyrants_instance_on_demand_is_its_owners(emperor, tmp_path):
    emperor("--emperor-tyrant", "--emperor-on-demand-directory", tmp_path, wrapper=give(NOBODY, "a.ini"),
            vassals={"a.ini": ini("a").replace("http-socket = a.sock", "protocol = http")})
    path = tmp_path / "a.ini.socket"
    eventually(lambda: path.exists() and path.stat().st_uid == NOBODY.pw_uid)


def test_an_owner_has_a_tyrant_remove_read_and_make_nothing_with_roots_rights(emperor, tmp_path):
    precious, secret, place = tmp_path / "precious", tmp_path / "secret", tmp_path / "roots-own.sock"
    precious.write_text("kept")
    secret.write_text("/tmp/not-to-be-read")
    secret.chmod(0o600)
    tmp_path.chmod(0o755)
    config = ini("a").replace("http-socket = a.sock", "protocol = http")
    e = emperor("--emperor-tyrant", "--emperor-on-demand-extension", ".socket",
                wrapper=f"ln -s {secret} vassals/c.ini.socket; " + give(NOBODY, "a.ini", "b.ini", "c.ini", "d.ini", "*.socket"),
                vassals={"a.ini": config, "a.ini.socket": str(precious), "b.ini": config, "b.ini.socket": str(place), "c.ini": config,
                         "d.ini": config, "d.ini.socket": "d.sock"})
    e.server.wait_log(r"d\.ini -> \"on demand\"")
    e.server.wait_log(r"vassal a\.ini on demand")
    e.server.wait_log(r"vassal b\.ini on demand")
    assert precious.read_text() == "kept" and not place.exists() and "not-to-be-read" not in e.server.log()
    eventually(lambda: (e.dir / "d.sock").exists())
    assert (e.dir / "d.sock").stat().st_uid == NOBODY.pw_uid


def test_a_links_own_time_counts_with_nofollow(emperor):
    prepare = "ln -s ../target vassals/a.ini;"
    for options, follows in ([], True), (["--emperor-nofollow"], False):
        e = emperor(*options, wrapper=prepare, files={"target": ini("a")}, vassals={"b.ini": ini("b")})
        e.wait("a")
        e.wait("b")
        os.utime(e.server.dir / "target")
        os.utime(e.dir / "b.ini")
        e.server.wait_log(r"reload the uwsgi instance b\.ini")
        seen = "reload the uwsgi instance a.ini" in e.server.log()
        assert seen == follows
        if not follows:
            os.utime(e.dir / "a.ini", follow_symlinks=False)
            e.server.wait_log(r"reload the uwsgi instance a\.ini")


def test_an_emperor_that_drops_its_rights_has_vassals_without_them(emperor):
    e = emperor("--uid", "nobody", "--gid", grp.getgrgid(NOBODY.pw_gid).gr_name, wrapper="chmod 777 .;", vassals={"a.ini": ini("a")})
    e.wait("a")
    assert e.identity("a") == (NOBODY.pw_uid, NOBODY.pw_gid)


@pytest.mark.parametrize("option", ["--logto", "--logto2", "--daemonize", "--daemonize2"])
def test_vassals_log_to_the_emperors_file_and_a_daemon_ends_as_it_should(emperor, option):
    e = emperor(option, "emperor.log", "--pidfile", "emperor.pid", "--vacuum", vassals={"a.ini": ini("a")})
    if "daemonize" in option:
        assert e.server.wait_exit() == 0
    e.wait("a")
    log = e.server.dir / "emperor.log"
    eventually(lambda: "WSGI app 0" in log.read_text() and "[emperor] vassal a.ini is now loyal" in log.read_text())
    pid = int((e.server.dir / "emperor.pid").read_text())
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: not alive(pid))
    e.server.wait_gone()
    assert not (e.server.dir / "emperor.pid").exists()


def test_a_tyrant_leaves_nothing_of_its_own_open_in_vassals(emperor):
    e = emperor("--emperor-tyrant", wrapper=give(NOBODY, "a.ini") + give(GAMES, "b.ini"), vassals={"a.ini": ini("a"), "b.ini": ini("b")})
    e.wait("a")
    e.wait("b")
    links = [os.readlink(f"/proc/{e.server.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{e.server.pid}/fd")]
    sockets = {link for link in links if link.startswith("socket:")}
    for name in ("a.ini", "b.ini"):
        pid = e.vassal(name)["pid"]
        theirs = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd") if int(fd) > 2}
        assert not sockets & theirs
