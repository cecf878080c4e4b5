"""envoxy.json: what is misspelt, what is not found, where files are looked for, and the address that it serves at."""
import json
import re
import signal
import socket
import subprocess
import sys

import pytest
from http_client import eventually, get
from server import BINARY, free_port

VIEW = """
from envoxy import View, Response, on
@on(endpoint="/hello", protocols=["http"])
class Hello(View):
    def get(self, request, **kwargs):
        return Response({"version": 1})
__loader__ = [Hello]
"""
HERE = ["--virtualenv", sys.prefix, "--processes", "1"]


@pytest.fixture
def service(server):
    """A factory: a server for a conf, started with these arguments."""

    def start(conf, args=(), files=None, ready=True, where="envoxy.json", **more):
        files = {where: json.dumps(conf, indent=1), **(files or {"views.py": VIEW})}
        return server(None, [*HERE, *args, "--set", f"conf={where}"], files=files, ready=ready, **more)

    return start


def check(running, *args):
    command = [BINARY, *HERE, *args, "--set", "conf=envoxy.json", "--check"]
    done = subprocess.run(command, cwd=running.dir, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout


def test_the_address_of_the_file_is_bound_where_none_is_given(service):
    port, other = free_port(), free_port()
    running = service({"modules": ["views.py"], "boot": [{"name": "shop", "http": {"bind": f"http://127.0.0.1:{port}/"}}]})
    running.wait_port(port)
    assert json.loads(get(port, "/hello").body) == {"version": 1}
    status, out = check(running)
    assert status == 0 and "no socket is named" not in out, out
    running.write("envoxy.json", json.dumps({"modules": ["views.py"], "boot": [{"http": {"bind": f"127.0.0.1:{other}"}}]}))
    running.signal(signal.SIGHUP)  # it moves with a reload
    running.wait_port(other)
    eventually(lambda: socket.socket().connect_ex(("127.0.0.1", port)) != 0)


def test_a_socket_that_is_given_wins(service):
    port, given = free_port(), free_port()
    running = service({"modules": ["views.py"], "boot": [{"http": {"bind": f"127.0.0.1:{port}"}}]}, ["--http", f"127.0.0.1:{given}"])
    running.wait_port(given)
    assert get(given, "/hello").status == 200
    with socket.socket() as client:
        assert client.connect_ex(("127.0.0.1", port)) != 0


def test_the_variable_wins_over_the_file(service):
    port = free_port()
    conf = {"modules": ["views.py"], "boot": [{"http": {"bind": "127.0.0.1:1"}}]}
    running = service(conf, env={"ENVOXY_BOOT_HTTP_BIND": f"127.0.0.1:{port}"})
    running.wait_port(port)


def test_an_address_that_cannot_be_bound_is_refused(service):
    conf = {"modules": ["views.py"], "boot": [{"http": {"bind": "somewhere"}}]}
    running = service(conf, ready=False)
    assert running.wait_exit() == 246
    assert re.search(r"envoxy\.json:\d+:\d+: boot\[0\]\.http\.bind: cannot be understood: host:port is wanted", running.log())
    assert check(running)[0] == 246


@pytest.mark.parametrize("conf, said", [
    ({"module": ["views.py"]}, r'module: this key is not read; did you mean "modules"\?'),
    ({"modules": ["views.py"], "boot": [{"keepalive": 3}]}, r'boot\[0\]\.keepalive: this key is not read; did you mean "keep_alive"\?'),
    ({"modules": ["views.py"], "psql_servers": {"main": {"hots": "h", "port": 1}}}, r'psql_servers\.main\.hots: .*did you mean "host"\?'),
    ({"modules": []}, r"no view will be loaded: neither modules nor packages names anything"),
])
def test_what_is_misspelt_or_empty_is_told(service, conf, said):
    port = free_port()
    running = service(conf, ["--http", f"127.0.0.1:{port}"])
    running.wait_port(port)
    running.wait_log(said)
    status, out = check(running, "--http", f"127.0.0.1:{free_port()}")
    assert status == 0 and re.search("^note: .*" + said, out, re.M), out


def test_a_module_without_views_is_told_with_the_nearest_name(service):
    port = free_port()
    running = service({"modules": ["views.py"]}, ["--http", f"127.0.0.1:{port}"], {"views.py": VIEW.replace("__loader__", "__loaders__")})
    running.wait_port(port)
    running.wait_log(r"views\.py: no view is loaded from it: .*; did you mean it by __loaders__\?")


@pytest.mark.parametrize("modules, item", [(["none.py"], 0), (["views.py", "/nowhere/none.py"], 1), (["views.py/none.py"], 0)])
def test_a_module_that_is_not_found_is_named_with_its_place(service, modules, item):
    running = service({"modules": modules}, ["--http", f"127.0.0.1:{free_port()}"], ready=False)
    assert running.wait_exit() == 246
    said = rf"envoxy\.json:\d+:\d+: modules\[{item}\]: no such file: {re.escape(modules[item])}"
    assert re.search(said, running.log()) and "Traceback" not in running.log()
    status, out = check(running, "--http", "127.0.0.1:1")
    assert status == 246 and re.search("^wrong: .*" + said, out, re.M), out


@pytest.mark.parametrize("args, work", [([], ""), (["--chdir", "work"], "work/")], ids=["start", "chdir"])
def test_paths_belong_to_the_working_directory_and_else_to_the_file(service, args, work):
    """What is named is beside the file; where both directories have it, the working directory's counts."""
    port = free_port()
    other = VIEW.replace("/hello", "/other").replace("Hello", "Other")
    conf = json.dumps({"modules": ["views.py", "other.py"]})
    files = {f"{work}etc/envoxy.json": conf, f"{work}etc/views.py": VIEW, f"{work}etc/other.py": other,
             f"{work}other.py": other.replace("1", "2")}
    running = service({}, [*args, "--http", f"127.0.0.1:{port}"], files, where="etc/envoxy.json")
    running.wait_port(port)
    assert json.loads(get(port, "/hello").body) == {"version": 1}
    assert json.loads(get(port, "/other").body) == {"version": 2}
