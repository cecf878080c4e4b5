"""A worker that is killed takes nothing with it but the requests that it was serving."""
import os
import signal

from apps import NOTING
from http_client import eventually
from load import Load
from server import alive


def test_twenty_killed_workers_under_load(server, transport):
    """The master stays, each worker is replaced, and no request of another worker fails."""
    running = server(transport, ["--master", "--processes", "3", "--disable-logging"], app=NOTING)
    killed = []
    with Load(transport) as load:
        for _ in range(20):
            victim = eventually(lambda: next((pid for pid in map(int, list(load.texts)) if alive(pid)), None))
            os.kill(victim, signal.SIGKILL)
            killed.append(victim)
            eventually(lambda known=set(load.texts): set(load.texts) - known, 20)
        load.wait_for(100)
    assert running.running()
    served_by = dict(line.split() for line in (running.dir / "entered").read_text().splitlines())
    strangers = [request for request in load.failures() if int(served_by.get(str(request.number), killed[0])) not in killed]
    assert strangers == []
    assert len(load.failures()) <= 3 * len(killed), "every client lost a request with every worker"
    assert len(set(map(int, load.texts)) - set(killed)) >= 1


def test_a_killed_worker_is_replaced_without_a_request(server, transport):
    """The replacement does not wait for somebody to ask."""
    app = "import os\nopen(f'pid-{os.getpid()}', 'w').close()\n" + NOTING
    running = server(transport, ["--master", "--processes", "1", "--lazy-apps"], app=app)
    first = eventually(lambda: workers(running))
    os.kill(first.pop(), signal.SIGKILL)
    eventually(lambda: len(workers(running)) == 2 and [pid for pid in workers(running) if alive(pid)])


def workers(server):
    """Pids of every worker that has ever imported the application."""
    return {int(path.name[4:]) for path in server.dir.glob("pid-*")}
