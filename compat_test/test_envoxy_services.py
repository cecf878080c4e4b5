"""Envoxy services: what holds only when the built server runs them."""
import json
import re
import signal
import sys

import pytest
from http_client import get
from server import free_port

VIEWS = """
import os, sqlalchemy, uwsgi
uwsgi.opt["conf_content"]["psql_servers"] = {"main": {"dsn": "sqlite:///main.db"}}  # a server that every machine has
from envoxy import View, Response, on, pgsqlc
from envoxy.db.orm import EnvoxyBase, metadata
from envoxy.db.orm.schema import Column
from envoxy.db.orm.sqltypes import String

@sqlalchemy.event.listens_for(sqlalchemy.pool.Pool, "close")
def tell(connection, record):
    print("closed in", os.getpid(), flush=True)

class Gadget(EnvoxyBase):
    label = Column(String(40))

@on(endpoint="/gadgets/{label:str}", protocols=["http"])
class Gadgets(View):
    @pgsqlc.sa_transactional("main")
    def get(self, request, label, session=None, **kwargs):
        metadata.create_all(session.connection())
        session.add(Gadget(label=label))
        return Response({"pid": os.getpid(), "count": session.query(Gadget).count()})

__loader__ = [Gadgets]
"""


@pytest.fixture
def service(server):
    """A factory: a server for envoxy.json and files; gives it and its port."""

    def start(conf, files, args=()):
        port = free_port()
        running = server(
            None, ["--http-socket", f"127.0.0.1:{port}", "--virtualenv", sys.prefix, *args, "--set", "conf=envoxy.json"],
            files={"envoxy.json": json.dumps(conf), **files})
        running.wait_port(port)
        return running, port

    return start


@pytest.mark.parametrize("lazy", [[], ["--lazy-apps"]], ids=["preforked", "lazy-apps"])
def test_workers_have_connections_of_their_own_and_close_them_at_the_stop(service, lazy):
    for name in ("sqlalchemy", "inflect"):
        pytest.importorskip(name)
    running, port = service({"modules": ["views.py"]}, {"views.py": VIEWS}, ["-p", "1", *lazy])
    replies = [json.loads(get(port, f"/gadgets/{label}").body) for label in "abc"]
    assert [reply["count"] for reply in replies] == [1, 2, 3]
    assert "closed in" not in running.log()
    running.signal(signal.SIGTERM)
    assert running.wait_exit() == 0
    assert re.findall(r"closed in (\d+)", running.log()) == [str(replies[0]["pid"])]


OWN = {
    "site/envoxy/__init__.py": "from .redis.client import connect\nWHOSE = 'real'\n",
    "site/envoxy/redis/__init__.py": "",
    "site/envoxy/redis/client.py": "raise RuntimeError('the real connector')\n",
    "site/envoxy/constants.py": "REDIS_DEFAULT_DB, REDIS_DEFAULT_HOST, REDIS_DEFAULT_PORT, REDIS_DEFAULT_TTL = 1, 'h', 1, 1\n",
    "site/envoxy/utils/__init__.py": "",
    "site/envoxy/utils/encoders.py": "envoxy_json_dumps = envoxy_json_loads = None\n",
}
RUN = """
import envoxy, uwsgi
level = uwsgi.opt["log-level"][0]
def app(environ, start_response):
    body = f"{envoxy.WHOSE} {envoxy.connect.__code__.co_filename} {level} {uwsgi.opt['plugins']['auth']}".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


@pytest.mark.parametrize("lazy", [[], ["--lazy-apps"]], ids=["preforked", "lazy-apps"])
def test_an_installed_envoxy_gets_our_connectors_also_under_the_services_own_run(service, lazy):
    conf = {"log": {"level": "4"}, "plugins": {"auth": "/p"}}
    _, port = service(conf, {**OWN, "run.py": RUN}, ["--pythonpath", "site", "-p", "1", *lazy])
    whose, place, *options = get(port, "/").text.split()
    assert (whose, options) == ("real", ["4", "/p"]) and place.endswith("lib/envoxyd/modules/envoxy/redis/client.py")
