"""Starts that are refused say what to write instead, and leave nothing behind."""
import pytest

GOOD = "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'']\n"


@pytest.mark.parametrize("option", ["http", "http-socket", "http11-socket"])
def test_a_port_alone_is_not_the_name_of_a_unix_socket(server, option):
    refused = server(None, [f"--{option}", "18095"], app=GOOD)
    assert refused.wait_exit() == 1
    assert "write :18095 for the port on all addresses, 127.0.0.1:18095 for this machine alone" in refused.log()
    assert not (refused.dir / "18095").exists()


def test_a_front_end_may_know_a_uwsgi_socket_by_a_number(server):
    started = server(None, ["--socket", "18095"], app=GOOD)
    started.wait_log("spawned uWSGI worker 1")
    assert (started.dir / "18095").is_socket()
    assert "socket 18095 is a unix socket of that name: write :18095" in started.log()


def test_leftovers_and_misspelt_variables_are_said_at_the_start(server):
    ini = "[uwsgi]\nsocket = site.sock\nwsgi-file = app.py\nlog-date = %Y-%d\nprocname = %(nme)\n"
    started = server(None, ["--ini", "site.ini"], files={"app.py": GOOD, "site.ini": ini}, env={"UWSGI_HARAKRI": "3"})
    started.wait_log("spawned uWSGI worker 1")
    assert 'option "procname": %(nme) is left unchanged: no setting is named "nme" (site.ini:5)' in started.log()
    assert 'option "log-date": "%d", "%Y" were expanded as magic variables' in started.log()
    assert "did you mean UWSGI_HARAKIRI?" in started.log()
