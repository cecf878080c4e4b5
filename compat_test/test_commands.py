"""envoxy-alembic and envoxy-celery: from an empty directory to a migrated table and a task that was executed."""
import json
import os
import signal
import subprocess
import sys

import pytest
from http_client import eventually
from server import BINARY

FILES = {
    "shop/__init__.py": "",
    "shop/loader.py": "__loader__ = []\n",
    "shop/models.py": """
from envoxy.db.orm import EnvoxyBase
from envoxy.db.orm.schema import Column
from envoxy.db.orm.sqltypes import String
class Gadget(EnvoxyBase):
    label = Column(String(40))
""",
    "shop/tasks.py": """
from celery import shared_task
from envoxy.utils.config import Config
@shared_task
def label(number):
    return f"{Config.get('prefix')}-{number}"
""",
    "ask.py": """
from envoxy.tools import service
from envoxy import celeryc
service.use("envoxy.json")
celeryc.initialize().set_default()
from shop.tasks import label
print(label.delay(7).get(timeout=30))
""",
}


class Service:
    """A directory with a service, and the commands that were installed beside the server."""

    def __init__(self, directory, conf):
        self.directory = directory
        for name, text in {**FILES, "envoxy.json": json.dumps(conf)}.items():
            (directory / name).parent.mkdir(exist_ok=True)
            (directory / name).write_text(text)
        self.environ = {**os.environ, "ENVOXY_SERVICE_NAMESPACE": "shop", "PYTHONDONTWRITEBYTECODE": "1"}

    def command(self, name, *args):
        return [sys.executable, BINARY.parent / f"envoxy-{name}", *args]

    def run(self, *argv, **environ):
        return subprocess.run(list(map(str, argv)), cwd=self.directory, env={**self.environ, **environ}, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120)


def test_a_model_becomes_a_table(postgres, tmp_path):
    database = {"host": "127.0.0.1", "port": postgres.port, "user": "shop", "passwd": "wrong", "db": "shop"}
    service = Service(tmp_path, {"packages": ["shop"], "psql_servers": {"main": database}})
    right = {"ENVOXY_POSTGRES_MAIN_PASSWD": "shop"}  # the environment counts, as it does for the server
    made = service.run(*service.command("alembic", "revision", "--autogenerate", "-m", "first"), **right)
    assert made.returncode == 0, made.stderr
    (file,) = (tmp_path / "migrations" / "versions").glob("*_first.py")
    assert "aux_shop_gadgets" in file.read_text()
    elsewhere = ["--conf", tmp_path / "envoxy.json", "upgrade", "head"]
    done = subprocess.run([str(part) for part in service.command("alembic", *elsewhere)], cwd="/", env={**service.environ, **right},
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "label" in postgres.psql("select column_name from information_schema.columns where table_name = 'aux_shop_gadgets'").stdout
    again = service.run(*service.command("alembic", "revision", "--autogenerate", "-m", "second"), **right)
    assert again.returncode == 0, again.stderr
    assert "op." not in next((tmp_path / "migrations" / "versions").glob("*_second.py")).read_text()  # nothing is left to do


def test_a_task_is_executed(redis, tmp_path):
    service = Service(tmp_path, {
        "packages": ["shop"], "prefix": "no", "amqp_servers": {"main": {"bind": f"redis://127.0.0.1:{redis}/0"}},
        "redis_servers": {"celery": {"bind": f"127.0.0.1:{redis}"}}})
    with open(tmp_path / "log", "wb") as log:
        argv = service.command("celery", "worker", "--pool", "solo", "--loglevel", "info")
        worker = subprocess.Popen(argv, cwd=tmp_path, stdout=log, stderr=log, env=service.environ)
    try:
        modules = BINARY.parent.parent / "lib/envoxyd/modules"
        asked = service.run(sys.executable, "ask.py", PYTHONPATH=str(modules), PATH=f"{BINARY.parent}:{os.environ['PATH']}")
        assert asked.stdout == "no-7\n", (asked.stderr, (tmp_path / "log").read_text())
    finally:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(30) == 0


def test_the_schedule_comes_from_the_service(redis, tmp_path):
    service = Service(tmp_path, {"packages": ["shop"], "amqp_servers": {"main": {"bind": f"redis://127.0.0.1:{redis}/0"}}})
    with open(tmp_path / "shop/tasks.py", "a", encoding="utf-8") as file:
        file.write("from celery import current_app\n"
                   "current_app.conf.beat_schedule = {'often': {'task': 'shop.tasks.label', 'schedule': 0.2, 'args': (1,)}}\n")
    with open(tmp_path / "log", "wb") as log:
        argv = service.command("celery", "beat", "--loglevel", "info")
        beat = subprocess.Popen(argv, cwd=tmp_path, stdout=log, stderr=log, env=service.environ)
    try:
        eventually(lambda: "Sending due task often" in (tmp_path / "log").read_text(), 30)
    finally:
        beat.send_signal(signal.SIGTERM)
        beat.wait(30)


@pytest.mark.parametrize("name,conf,text", [
    ("celery", None, "envoxy-celery: envoxy.json is not in this directory; name it with --conf PATH\n"),
    ("celery", "{}", "envoxy-celery: celery needs amqp_servers, which is not configured\n"),
    ("celery", "{", "envoxy.json:1:1: "),
    ("alembic", '{"modules": ["gone.py"]}', "modules[0]: no such file: gone.py"),
])
def test_what_is_missing_is_named(tmp_path, name, conf, text):
    service = Service(tmp_path, {})
    (tmp_path / "envoxy.json").unlink()
    if conf is not None:
        (tmp_path / "envoxy.json").write_text(conf)
    done = service.run(*service.command(name, "upgrade" if name == "alembic" else "worker", "head"))
    assert done.returncode == 2 and text in done.stderr and "Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize("name", ["alembic", "celery"])
def test_an_environment_without_the_packages_of_services_is_told_of(tmp_path, name):
    done = Service(tmp_path, {}).run(sys.executable, "-S", BINARY.parent / f"envoxy-{name}")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert f"envoxy-{name}: No module named 'flask'; install what services need for " in done.stderr
