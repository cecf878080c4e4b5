"""The bundled package by itself: its names, assertions, encoders, clocks and small parts."""

import datetime
import decimal
import importlib
import json
import socket
import uuid
from pathlib import Path

import envoxy
import pytest
from envoxy import asserts
from envoxy.exceptions import ValidationException
from envoxy.unavailable import Unavailable
from envoxy.utils import encoders
from envoxy.utils.cache import LRUCache
from envoxy.utils.config import Config
from envoxy.utils.datetime import Format, Now, api_format, coerce_datetime
from envoxy.utils.logs import Log
from envoxy.utils.profiling import profile_func, profiled_decorator
from envoxy.utils.singleton import Singleton, SingletonPerThread
from envoxy.utils.throttle import throttle
from envoxy.utils.watchdog import Watchdog, notify

NAMES = [line.split() for line in (Path(__file__).parent / "testdata" / "names.txt").read_text().splitlines()]
ID = "6f1c5b1e-6ad4-4f3c-9c7f-4d2a3b1c0d9e"


@pytest.mark.parametrize("module,name", NAMES)
def test_every_name_that_services_import_is_there(module, name):
    found = importlib.import_module(module)
    for part in name.split("."):
        if isinstance(found, Unavailable):
            pytest.skip(f"{found} is not there yet")
        assert hasattr(found, part)
        found = getattr(found, part)


@pytest.mark.parametrize("use", [lambda: envoxy.mqttc.publish("b", "t", {}), lambda: envoxy.zmqc.get("b", "/x")])
def test_events_need_a_server(use):
    with pytest.raises(Exception, match="no event gateway|not configured"):
        use()


GOOD = [
    ("string", "x"),
    ("string", ""),
    ("integer", 5),
    ("integer", True),
    ("float", 1.5),
    ("boolean", False),
    ("array", [1]),
    ("array_even_empty", []),
    ("dict", {"a": 1}),
    ("json", '{"a":1}'),
    ("complex", [1]),
    ("complex", {"a": 1}),
    ("complex", "[1]"),
    ("uuid", ID),
    ("utf8", "é"),
    ("ascii", "e"),
    ("hash", "a" * 45),
    ("token", "a" * 128),
    ("email", "a@b.c"),
    ("url", "http://x/y?z"),
    ("phone", "123456"),
    ("uri", "/a/b"),
    ("location", {"latitude": 1, "longitude": 2.5}),
    ("location", [1, 2]),
    ("timestamp", "2024-01-02T03:04:05.678+0000"),
    ("timestamp", datetime.date(2024, 1, 2)),
]
BAD = [
    ("string", 5, "5"),
    ("integer", 0, "0"),
    ("integer", "x", "x"),
    ("float", 1, "1"),
    ("float", 0.0, "0.0"),
    ("boolean", 1, "1"),
    ("array", [], "[]"),
    ("array", "x", "x"),
    ("array_even_empty", {}, "{}"),
    ("dict", {}, "{}"),
    ("json", "{", "{"),
    ("json", 5.5, "5.5"),
    ("complex", [], "[]"),
    ("uuid", "x", "x"),
    ("uuid", 5, "5"),
    ("timestamp", "2024", "2024"),
    ("timestamp", 5, "5"),
]


@pytest.mark.parametrize("name,value", GOOD)
def test_assertions_hold_alone_and_by_key(name, value):
    check = getattr(asserts, f"assertz_{name}")
    assert check(value) is None and check({"k": value}, "k") is None and check(value, reply=True) is None


@pytest.mark.parametrize("name,value,shown", BAD)
def test_assertions_that_fail_raise_with_code_and_status(name, value, shown):
    check = getattr(asserts, f"assertz_{name}")
    with pytest.raises(ValidationException) as failure:
        check(value)
    assert (str(failure.value), failure.value.kwargs) == (f"Invalid value type: {shown}", {"code": 1202, "status": 412})
    assert check(value, _error_code=7, _status_code=400, reply=True)["payload"]["code"] == 7
    with pytest.raises(ValidationException):
        check({"other": value}, "k")


@pytest.mark.parametrize(
    "name,value",
    [
        ("hash", "a" * 44),
        ("token", "A" * 128),
        ("email", "a@b"),
        ("url", "x"),
        ("phone", "1"),
        ("location", [1]),
        ("location", {"latitude": 1}),
        ("ascii", "é"),
        ("utf8", 5),
    ],
)
def test_formats_name_themselves(name, value):
    with pytest.raises(ValidationException, match="Invalid"):
        getattr(asserts, f"assertz_{name}")(value)


def test_integer_by_key_may_be_zero_and_none_is_never_checked():
    assert asserts.assertz_integer({"n": 0}, "n") is None
    assert asserts.assertz_string(None) is None and asserts.assertz_email(None) is None


@pytest.mark.parametrize(
    "value,key,code,text",
    [
        ({}, "name", 1200, "Mandatory: name"),
        ({"name": None}, "name", 1200, "Mandatory: name"),
        (None, "name", 1200, "Mandatory: name"),
        ({}, None, 1200, "Mandatory: {}"),
        ({"a": 1}, "", 1201, "Key must not be empty"),
    ],
)
def test_mandatory(value, key, code, text):
    with pytest.raises(ValidationException) as failure:
        asserts.assertz_mandatory(value, key)
    assert (str(failure.value), failure.value.kwargs["code"]) == (text, code)
    assert asserts.assertz_mandatory_reply(value, key, code, 400)["payload"]["text"] == text
    assert asserts.assertz_mandatory({"name": ""}, "name") is None


def test_expressions_and_replies():
    assert asserts.assertz(True, "m", 1, 2) is None and asserts.assertz_intersects([1], [1, 2]) is None
    assert asserts.assertz_unauthorized_reply(False, "m", 3)["status"] == 401
    reply = asserts.assertz_reply(False, "m", 1, 418)
    assert (reply["status"], reply["payload"]["text"], reply["payload"]["code"]) == (418, "m", 1)
    assert "test_package.py" in reply["payload"]["assertion_failed"]


VALUES = [
    {"a": [1, 2.5, None, True, "é"], "n": {}},
    {"big": 2**64, "ok": 2**64 - 1, "deep": [-(2**63) - 1]},
    {"d": decimal.Decimal("1.5")},
    {
        "t": datetime.datetime(2024, 1, 2, 3, 4, 5, 6),
        "z": datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc),
        "d": datetime.date(2024, 1, 2),
    },
    {"u": uuid.UUID(ID), "tuple": (1, 2), "nan": float("nan")},
    [],
    "text",
    None,
]


@pytest.mark.parametrize("value", VALUES)
def test_json_is_the_same_with_and_without_orjson(value, monkeypatch):
    pytest.importorskip("orjson")
    fast = encoders.envoxy_json_dumps(value)
    monkeypatch.setattr(encoders, "orjson", None)
    assert encoders.envoxy_json_dumps(value) == fast
    assert encoders.envoxy_json_loads(fast) == json.loads(fast)


@pytest.mark.parametrize("value", [{1: 2}, {"s": {1}}, b"x", object()])
def test_what_json_cannot_hold_is_a_type_error(value):
    with pytest.raises(TypeError):
        encoders.envoxy_json_dumps(value)


def test_the_encoder_class_for_json_dumps():
    assert (
        json.dumps({"d": decimal.Decimal("1.5"), "t": datetime.date(2024, 1, 2)}, cls=encoders.EnvoxyJsonEncoder)
        == '{"d": 1.5, "t": "2024-01-02"}'
    )


MOMENT = datetime.datetime(2024, 2, 3, 4, 5, 6, 789012, tzinfo=datetime.timezone.utc)


@pytest.mark.parametrize(
    "got,want",
    [
        (Format.api_format(MOMENT), "2024-02-03T04:05:06.789+0000"),
        (Format.iso(MOMENT), "2024-02-03T04:05:06.789Z"),
        (Format.iso(MOMENT, 0), "2024-02-03T04:05:06Z"),
        (Format.rfc1123(MOMENT), "Sat, 03 Feb 2024 04:05:06 GMT"),
        (Format.unix(MOMENT), 1706933106),
        (Format.unix(MOMENT, ms=True), 1706933106789),
        (Format.custom(MOMENT), "2024-02-03 04:05:06"),
        (Format.iso("2024-02-03T04:05:06+02:00"), "2024-02-03T02:05:06.000Z"),
        (Format.iso("nonsense"), None),
        (Format.iso(datetime.date(2024, 2, 3)), "2024-02-03T00:00:00.000Z"),
        (api_format(MOMENT, style="unix"), 1706933106),
        (api_format(MOMENT, as_object=True), MOMENT),
        (coerce_datetime("2024-02-03 04:05:06.789012"), MOMENT),
        (coerce_datetime("2024-02-03T04:05:06.789012Z"), MOMENT),
        (coerce_datetime("2024-13-01"), None),
        (Now.to_datetime("2024-02-03T04:05:06.789+0000"), datetime.datetime(2024, 2, 3, 4, 5, 6, 789000)),
        (Now.to_datetime("x"), None),
        (Now.to_datetime(None), None),
    ],
)
def test_clocks_and_formats(got, want):
    assert got == want


def test_truncated_text_keeps_both_ends():
    text = "\n".join(map(str, range(10)))
    assert Log.truncate_text(text, 4) == "0\n1\n--- truncated ---\n8\n9"
    assert Log.truncate_text(text, 10) == text and Log.truncate_text(text) == text


def test_singletons_are_one_per_class_and_thread():
    class A(Singleton):
        pass

    class B(A):
        pass

    class C(SingletonPerThread):
        pass

    assert A.instance() is A.instance() and A.instance() is not B.instance() and C.instance() is C.instance()


def test_throttle_and_lru_cache():
    calls = []
    once = throttle(3600, on_throttling=lambda: calls.append("late"))(lambda: calls.append("ran"))
    once()
    once()
    assert calls == ["ran", "late"]
    cache = LRUCache(2)
    for key in "aba":
        cache.set(key, key)
    cache.set("c", "c")
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == ("a", -1, "c")


def test_config_of_a_script_comes_from_a_file(tmp_path, monkeypatch):
    from envoxy.utils import server

    monkeypatch.setattr(server, "uwsgi", None)
    monkeypatch.setattr(Config, "file_path", None)
    assert Config.get("color") == {}
    (tmp_path / "c.json").write_text('{"color": {"name": "blue"}, "plugins": {"auth": "/p"}}')
    Config.set_file_path(str(tmp_path / "c.json"))
    assert Config.get("color") == {"name": "blue"} and Config.plugins() == {"auth": "/p"} and Config.get_credentials() == {}


@pytest.fixture
def service_manager(tmp_path, monkeypatch):
    """A stand-in for systemd: the socket that it reads states from."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield manager


def test_the_watchdog_notifies_until_the_health_check_has_failed_four_times(opt, service_manager, records):
    opt.update({"log-level": b"\x06", "conf_content": {"boot": [{"http": {"bind": "127.0.0.1:1"}}]}})
    dog = Watchdog(0.05)
    dog.start()
    dog.thread.join(20)
    assert [service_manager.recv(99) for _ in range(4)] == [b"WATCHDOG=1"] * 4
    assert "gives up" in records()[0]["short_message"]


def test_without_a_service_manager_nothing_is_sent(monkeypatch, opt):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert notify("READY=1") is False
    dog = Watchdog(0)
    dog.start()
    assert dog.thread is None


def test_a_profile_is_printed_and_the_result_kept(capsys):
    assert profile_func(sum, [1, 2], pf_top=3) == 3
    assert profiled_decorator(max)(1, 2) == 2
    assert capsys.readouterr().out.count("function calls") == 2


class Message:
    topic, payload = "/t", b'{"a": 1, "list": [{"Api_Key": "S3CRET"}]}'


def test_log_event_gives_the_view_its_decoded_message(opt, records):
    opt["log-level"] = b"\x09"

    class Handler:
        @envoxy.log_event
        def on_event(self, data, **kwargs):
            return self, data

    handler = Handler()
    assert handler.on_event(None, None, Message) == (handler, {"a": 1, "list": [{"Api_Key": "S3CRET"}]})
    assert handler.on_event.__name__ == "on_event"
    shown = '{"a": 1, "list": [{"Api_Key": "***"}]}'
    assert [r["short_message"] for r in records()] == ["< ON_EVENT [MQTT] /t", f"< ON_EVENT [MQTT] /t | Message{shown}"]


def test_cached_replies_are_kept_by_path_method_and_body(opt, serve, monkeypatch):
    kept = {}

    class Backend:
        def get(self, *place):
            return kept.get(repr(place))

        def set(self, *place_and_value, ttl):
            *place, value = place_and_value
            kept[repr(tuple(place))] = value

    monkeypatch.setattr(envoxy.Cache, "get_backend", lambda self: Backend())
    client = serve(
        """
import itertools
count = itertools.count()
@on(endpoint="/n", protocols=["http"])
class Numbers(View):
    @cache(ttl=5)
    def get(self, request, **kwargs):
        return Response({"n": next(count)}, status=200 if "bad" not in request.args else 404)
    @cache(ttl=5)
    def post(self, request, **kwargs):
        return Response({"n": next(count)})
__loader__ = [Numbers]
""".replace("import itertools", "import itertools\nfrom envoxy import cache")
    )
    assert [client.get("/n").json["n"], client.get("/n").json["n"], client.get("/n?x").json["n"]] == [0, 0, 1]
    assert [client.post("/n", json=body).json["n"] for body in ({"a": 1}, {"a": 1}, {"a": 2})] == [2, 2, 3]
    assert [client.get("/n?bad").status_code, client.get("/n?bad").json["n"]] == [404, 5]


def test_a_cache_needs_the_redis_backend(opt):
    opt["conf_content"] = {"cache": {"backend": "memory"}}
    with pytest.raises(NotImplementedError):
        envoxy.Cache().get_backend()


def test_parts_of_a_zeromq_reply_are_dropped_if_they_are_there(opt):
    opt["conf_content"] = {"zmq_servers": {"first": {}, "second": {}}}
    zmq = importlib.import_module("envoxy.zeromq.dispatcher").ZMQ()
    assert list(zmq._instances) == ["first", "second"]
    reply = {"a": 1, "b": 2, "headers": {"X-Cid": "1", "Date": "2"}}
    zmq.remove_header(reply, "X-Cid")
    zmq.remove_header(reply, "X-Cid")
    zmq.remove_header({}, "X-Cid")
    zmq.remove_keys(reply, ["a", "c"])
    assert reply == {"b": 2, "headers": {"Date": "2"}}
