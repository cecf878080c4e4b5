"""celeryc: what the sections say of the broker, results, the schedule, tasks and their queue."""

import sys

import pytest

pytest.importorskip("celery")

from envoxy import celeryc  # noqa: E402

SERVER = {"user": "u@x", "passwd": "p/w", "host": "mq", "port": "5673", "vhost": "shop"}


@pytest.fixture
def initialize(opt, tmp_path, monkeypatch):
    """A factory: the application for a configuration, in a directory with the given files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def start(conf, files=None, **kwargs):
        for name, text in (files or {}).items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        opt["conf_content"] = conf
        celeryc.initialize(**kwargs)
        return celeryc.app

    yield start
    celeryc.app = None
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize(
    "server,broker",
    [
        (SERVER, "amqps://u%40x:p%2Fw@mq:5673/shop"),
        ({**SERVER, "cert_path": "/ca.pem"}, "amqps://u%40x:p%2Fw@mq:5673/shop"),
        ({**SERVER, "cert_path": "false"}, "amqp://u%40x:p%2Fw@mq:5673/shop"),
        ({**SERVER, "cert_path": ""}, "amqp://u%40x:p%2Fw@mq:5673/shop"),
        ({**SERVER, "cert_path": False, "vhost": "/"}, "amqp://u%40x:p%2Fw@mq:5673/%2F"),
        ({"cert_path": None}, "amqp://127.0.0.1:5672/%2F"),
        ({"user": "u"}, "amqps://u:@127.0.0.1:5671/%2F"),
        ({"bind": "redis://127.0.0.1:6379/0", "user": "u"}, "redis://127.0.0.1:6379/0"),
    ],
)
def test_a_section_names_the_broker(initialize, server, broker):
    app = initialize({"amqp_servers": {"main": server}})
    assert (app.main, app.conf.broker_url) == ("envoxy", broker)
    assert (app.conf.broker_use_ssl or {}).get("ca_certs") == ("/ca.pem" if server.get("cert_path") == "/ca.pem" else None)


def test_the_first_server_is_the_default_one(initialize):
    servers = {"a": {"host": "first"}, "b": {"host": "second"}}
    assert "first" in initialize({"amqp_servers": servers}).conf.broker_url
    assert "second" in initialize({"amqp_servers": servers}, server_key="b").conf.broker_url
    with pytest.raises(KeyError, match="no server 'c'"):
        initialize({"amqp_servers": servers}, server_key="c")
    with pytest.raises(ValueError, match="amqp_servers"):
        initialize({})


@pytest.mark.parametrize(
    "redis,url",
    [
        ({"bind": "r:6379", "db": "3"}, "redis://r:6379/3"),
        ({"host": "r", "passwd": "p@"}, "redis://:p%40@r:6379/1"),
        ({"bind": "rediss://r:1/2"}, "rediss://r:1/2"),
        ({"bind": "r:1", "cert_path": "/ca"}, "rediss://r:1/1?ssl_cert_reqs=required&ssl_ca_certs=%2Fca"),
    ],
)
def test_results_are_kept_in_the_redis_of_that_name(initialize, redis, url):
    assert initialize({"amqp_servers": {"a": {}}, "redis_servers": {"celery": redis}}).conf.result_backend == url
    assert initialize({"amqp_servers": {"a": {}}, "redis_servers": {"other": redis}}).conf.result_backend is None


def test_the_schedule_is_kept_in_mongodb(initialize):
    mongo = {"user": "u", "passwd": "p", "host": "m", "port": 27018, "db": "beat"}
    conf = initialize({"amqp_servers": {"a": {}}, "mongodb_servers": {"celery": mongo}}).conf
    assert (conf["mongodb_scheduler_db"], conf["mongodb_scheduler_url"]) == ("beat", "mongodb://u:p@m:27018/beat")


TASK = "from celery import shared_task\n@shared_task\ndef double(n):\n    return 2 * n\n"


@pytest.mark.parametrize(
    "conf,files,task,routes",
    [
        (
            {"packages": ["shelf"]}, {"shelf/__init__.py": "", "shelf/tasks.py": TASK}, "shelf.tasks.double",
            {"shelf.*": {"queue": "q"}, "shelf.tasks.*": {"queue": "q"}},
        ),
        ({"packages": ["bare"], "task_modules": ["jobs"]}, {"bare/__init__.py": TASK}, "bare.double", {"bare.*": {"queue": "q"}}),
        ({"task_modules": ["jobs"]}, {"jobs.py": TASK}, "jobs.double", {"jobs.*": {"queue": "q"}}),
    ],
)
def test_tasks_are_found_routed_and_run(initialize, conf, files, task, routes):
    app = initialize({"amqp_servers": {"a": {}}, "default_task_queue": "q", **conf}, files)
    app.conf.update(broker_url="memory://", task_always_eager=True, task_eager_propagates=True)
    app.loader.import_default_modules()
    assert app.conf.task_routes == routes
    assert app.tasks[task].delay(21).get() == 42
    app.conf.task_always_eager = False
    app.tasks[task].delay(1)
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue("q")
        assert queue.get(timeout=5).headers["task"] == task
        queue.close()


def test_without_a_queue_nothing_is_routed(initialize):
    assert not initialize({"amqp_servers": {"a": {}}, "task_modules": ["jobs"]}).conf.task_routes


def test_a_service_with_a_broker_has_its_application_before_its_views(build):
    build({"amqp_servers": {"a": {}}, "modules": ["a.py"]}, {"a.py": "from envoxy import celeryc\nassert celeryc.app.main == 'envoxy'\n"})
    celeryc.app = None


def test_a_missing_package_is_named(python):
    out = python("""
import sys
sys.modules["celery"] = None
import envoxy
try:
    envoxy.celeryc.initialize()
except ImportError as error:
    print(error)
""")
    assert out == "amqp_servers is configured, but the Python package celery is missing: pip install celery"
