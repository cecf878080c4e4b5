"""Deliveries of the event gateway: marks, and which handlers get which message."""
import io
import itertools
import types

import envoxy  # noqa: F401 - mqtt_events is imported by it
import pytest
from envoxyd_service import mqtt_events
from envoxyd_worker import layouts


@pytest.fixture(autouse=True)
def nothing_else(monkeypatch):
    for name, value in {"handlers": [], "own": [], "_matching": {}, "_named": {}, "_progress": bytearray(64)}.items():
        monkeypatch.setattr(mqtt_events, name, value)


def deliver(*messages, **more):
    """The marks for (topic, payload) pairs."""
    data = b"".join(layouts.MESSAGE_HEAD.pack(len(payload), len(topic), n, 1, 0) + topic.encode() + payload
                    for n, (topic, payload) in enumerate(messages, 1))
    environ = {"ENVOXYD_EVENT": "mqtt", "ENVOXYD_SERVER": "b", "ENVOXYD_SLOT": "2", "wsgi.input": io.BytesIO(data), **more}
    return b"".join(mqtt_events.application(environ, lambda status, headers: None))


def listen(wanted, callback, shared=False):
    mqtt_events.handlers.append((("b", shared), wanted, callback))


def test_each_message_gets_a_mark_and_its_handlers_in_order():
    seen = []
    listen("/a/#", lambda client, userdata, message: seen.append((message.topic, message.payload, message.mid, message.qos)))
    listen("/a/1", lambda client, userdata, message: 1 / (message.payload != b"bad"))
    assert deliver(("/a/1", b"x"), ("/a/1", b"bad"), ("/a/2", b"y"), ("/other", b"z")) == b".E.."
    assert seen == [("/a/1", b"x", 1, 1), ("/a/1", b"bad", 2, 1), ("/a/2", b"y", 3, 1)]
    assert mqtt_events._progress[8] == 4


def test_what_takes_too_long_goes_back(monkeypatch):
    listen("/a", lambda *given: None)
    ticks = itertools.count(0, 0.04)
    monkeypatch.setattr(mqtt_events.time, "monotonic", lambda: next(ticks))
    marks = deliver(*[("/a", b"x")] * 9)
    assert marks == b"." * (len(marks) - 1) + layouts.LATER and 2 < len(marks) < 6


def test_a_handler_of_this_process_alone_may_end_itself(monkeypatch):
    seen = []

    def once(client, userdata, message):
        seen.append(message.payload)
        mqtt_events.own.clear()

    mqtt_events.own.append((("b", False), "/a", once))
    monkeypatch.setattr(mqtt_events.os, "getpid", lambda: 7)
    assert deliver(("/a", b"1"), ("/a", b"2"), ENVOXYD_OWNER="7") == b".."
    assert seen == [b"1"]


def test_a_named_handler_that_is_gone_is_reported_for_each_message(monkeypatch):
    reported = []
    monkeypatch.setattr(mqtt_events, "report", reported.append)
    assert deliver(("/a", b"1"), ("/a", b"2"), ENVOXYD_CALLBACKS='[["/a", "no.such.module:f"]]') == b"EE"
    assert reported == ["/a", "/a"]


def test_what_instances_share_and_what_each_gets_are_apart():
    seen = []
    listen("/a/#", lambda client, userdata, message: seen.append("shared"), shared=True)
    listen("/a/1", lambda client, userdata, message: seen.append("each"))
    assert deliver(("/a/1", b"x")) == b"." and seen == ["each"]
    assert deliver(("/a/1", b"x"), ENVOXYD_SHARED="1") == b"." and seen == ["each", "shared"]


@pytest.mark.parametrize("said, configured, shared", [
    (None, None, False), (None, True, True), (None, "true", True), (None, "false", False), (False, True, False), (True, None, True),
])
def test_a_subscription_is_shared_as_it_says_or_as_the_configuration_does(monkeypatch, said, configured, shared):
    server = {} if configured is None else {"shared": configured}
    monkeypatch.setitem(mqtt_events.sys.modules, "uwsgi", types.SimpleNamespace(opt={"conf_content": {"mqtt_servers": {"b": server}}}))
    assert mqtt_events.is_shared("b", said) is shared
    assert mqtt_events.is_shared("local", None) is False


def test_the_wrong_process_sends_all_back():
    assert deliver(("/a", b"1"), ("/a", b"2"), ENVOXYD_OWNER="1") == layouts.ELSEWHERE
