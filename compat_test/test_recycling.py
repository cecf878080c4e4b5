"""Workers that have served their share are replaced, and no request notices."""
import pytest
from apps import versioned
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
    assert load.failures() == []
    assert len(load.texts) >= 10, load.texts
    assert running.running()
