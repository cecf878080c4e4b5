"""What is known of connectors, and how old it is."""
import time

import pytest
from envoxyd_service import health


class Note:
    def __init__(self, connectors):
        self.connectors = connectors

    def health(self):
        return {"connectors": {name: dict(condition) for name, condition in self.connectors.items()}}


@pytest.mark.parametrize("step", [0, 86400, -86400])
def test_the_age_of_a_condition_does_not_change_with_the_time_of_day(monkeypatch, step):
    connectors = {
        "new": {"status": "up", "checked": time.monotonic() - 2, "since": 1.0},
        "old": {"status": "up", "checked": time.monotonic() - 60, "since": 1.0},
    }
    monkeypatch.setattr(health.gateway, "current", lambda: Note(connectors))
    now = time.time() + step
    monkeypatch.setattr(health.time, "time", lambda: now)
    found, _ = health.seen(35)
    assert {name: condition["status"] for name, condition in found.items()} == {"new": "up", "old": "unknown"}
    assert 2 <= found["new"]["age"] < 30
