"""The service in examples/cards answers what its README says."""

import io
import json
import sys
from pathlib import Path

import envoxy  # noqa: F401 - mqtt_events is imported by it
import pytest
from envoxyd_service import mqtt_events
from envoxyd_worker import gateway, layouts

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def cards(build, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(mqtt_events, "handlers", [])
    monkeypatch.setattr(mqtt_events, "_matching", {})
    conf = json.loads((ROOT / "examples/cards/envoxy.json").read_text())
    conf["modules"] = [str(ROOT / "examples/cards" / path) for path in conf["modules"]]
    conf["log"]["level"] = 6
    yield build(conf).test_client()
    for name in ("models", "tasks", "views"):
        del sys.modules[name]


def test_a_card_from_its_making_to_its_end(cards):
    made = cards.post("/v1/cards", json={"title": "Go"})
    assert (made.status_code, made.json["title"], made.json["tags"]) == (201, "Go", [])
    place = made.headers["Location"]
    assert cards.get(place).json == made.json
    assert cards.patch(place, json={"tags": ["new"]}).json == {**made.json, "tags": ["new"]}
    assert cards.put(place, json={"title": "Gopher"}).json == {**made.json, "title": "Gopher"}
    assert [card["title"] for card in cards.get("/v1/cards").json["elements"]] == ["Envoxy", "Gopher"]
    assert cards.get("/v1/cards?tag=services").json["size"] == 1
    assert cards.get("/v1/stats").json == {"cards": 2, "tags": {"services": 1}}
    assert cards.delete(place).status_code == 204
    assert [cards.get(place).status_code, cards.delete(place).status_code, cards.get(place).headers["X-Error"]] == [404, 404, "1404"]


@pytest.mark.parametrize(
    "body,status,code",
    [
        ({"tags": []}, 412, 1200),
        ({"title": 1}, 412, 1202),
        ({"title": "x", "tags": [1]}, 412, 1202),
        ({"title": "x", "colour": 1}, 412, 1203),
        ([], 412, 1203),
        ({"title": "x" * 2**20}, 409, 1409),
    ],
)
def test_a_card_that_cannot_be_made(cards, body, status, code):
    reply = cards.post("/v1/cards", json=body)
    assert (reply.status_code, reply.json["code"]) == (status, code)
    assert cards.get("/v1/cards").json["size"] == 1


def deliver(topic, payload):
    """What a worker answers to a message of the gateway's; the output is one mark."""
    data = layouts.MESSAGE_HEAD.pack(len(payload), len(topic), 1, 1, 0) + topic.encode() + payload
    environ = {"ENVOXYD_EVENT": "mqtt", "ENVOXYD_SERVER": "broker", "wsgi.input": io.BytesIO(data)}
    return b"".join(mqtt_events.application(environ, lambda status, headers: None))


def test_a_card_arrives_as_a_message(cards):
    asked = gateway.current().asked
    assert ("broker", "/v1/arrivals", 1, False) in asked
    reply = cards.post("/v1/arrivals", json={"title": "By MQTT"})
    assert (reply.status_code, reply.json) == (202, {"published": "/v1/arrivals"})
    assert cards.get("/v1/cards").json["size"] == 1  # nobody has delivered it yet
    op, payload, head = asked[-1]
    assert (op, head) == ("publish", {"server": "broker", "topic": "/v1/arrivals", "qos": 1, "retain": False})
    assert deliver(head["topic"], payload) == layouts.HANDLED
    assert [(card["title"], card["tags"]) for card in cards.get("/v1/cards").json["elements"][1:]] == [("By MQTT", [])]


@pytest.mark.parametrize("payload", [b"no JSON", b"[]", b'{"tags": []}', b'{"title": "x", "colour": 1}'])
def test_a_message_that_is_no_card_is_logged(cards, records, payload):
    records()
    assert deliver("/v1/arrivals", payload) == layouts.FAILED
    assert cards.get("/v1/cards").json["size"] == 1
    errors = [record["short_message"] for record in records() if isinstance(record, dict) and record["level"] == 3]
    assert len(errors) == 1 and "/v1/arrivals" in errors[0]


def test_what_is_no_card_is_not_published(cards):
    asked = list(gateway.current().asked)
    reply = cards.post("/v1/arrivals", json={"tags": []})
    assert (reply.status_code, reply.json["code"], gateway.current().asked) == (412, 1200, asked)


def test_health_and_cors(cards):
    reply = cards.get("/health", headers={"Origin": "http://o"})
    assert (reply.json, reply.headers["Access-Control-Allow-Origin"]) == ({"status": "healthy", "service": "cards"}, "http://o")
