"""Workers that have served their share are replaced, and no request notices."""
import pytest
from apps import NOTING, versioned
from http_client import eventually
from load import Load

LIMITS = {
    "one worker": ["--processes", "1", "--max-requests", "50"],
    "all the time": ["--processes", "1", "--max-requests", "3"],
    "workers": ["--processes", "3", "--max-requests", "50"],
    "threads": ["--processes", "2", "--threads", "2", "--max-requests", "50"],
    "lazy": ["--processes", "2", "--max-requests", "50", "--lazy-apps"],
    "memory": ["--processes", "2", "--reload-on-rss", "1"],
}


@pytest.mark.parametrize("limit", LIMITS)
def test_recycled_under_load(server, transport, limit):
    """A thousand requests over many workers, all of them answered."""
    options = ["--master", "--disable-logging", "--min-worker-lifetime", "0", "--forkbomb-delay", "0"]
    running = server(transport, [*options, *LIMITS[limit]], app=versioned(1))
    with Load(transport) as load:
        load.wait_for(1000, timeout=60)
        eventually(lambda: len(load.texts) >= (3 if limit == "lazy" else 10), 60)  # lazy ones go one after the other
    assert load.failures() == []
    assert running.running()


def test_workers_that_have_to_import_first_go_one_after_the_other(server, transport):
    """All reach their limit at the same time; one serves until the successor of the other is there."""
    app = "import time\ntime.sleep(1)\n" + NOTING
    args = ["--master", "--lazy-apps", "--processes", "2", "--max-requests", "20", "--min-worker-lifetime", "0", "--disable-logging"]
    running = server(transport, args, app=app)
    running.wait_log("spawned uWSGI master process")
    with Load(transport) as load:
        eventually(lambda: len(load.texts) >= 5, 60)
        load.wait_for(10)
    assert load.failures() == []
    slow = [request for request in load.requests if request.ended - request.sent > 0.7]
    assert slow == [], "nobody served while somebody imported"
    assert running.log().count("Seeya!") >= 3
