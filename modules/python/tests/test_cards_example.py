"""The service in examples/cards answers what its README says."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def cards(build, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    conf = json.loads((ROOT / "examples/cards/envoxy.json").read_text())
    conf["modules"] = [str(ROOT / path) for path in conf["modules"]]
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


def test_health_and_cors(cards):
    reply = cards.get("/health", headers={"Origin": "http://o"})
    assert (reply.json, reply.headers["Access-Control-Allow-Origin"]) == ({"status": "healthy", "service": "cards"}, "http://o")
