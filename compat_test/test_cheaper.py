"""Numbers of workers that follow the load (--cheaper), and none at all (--cheap, --idle): no request notices."""
import json
import os
import socket

import pytest
from apps import versioned
from http_client import eventually
from load import Load

# A few milliseconds a request, so that two clients keep a worker busy.
SLOW = versioned(1).replace("return answer", "time.sleep(0.003)\n    return answer")

# Policies with settings that let them grow and shrink within seconds; backlog goes by a queue that no test can fill reliably.
POLICIES = {
    "spare": ["--cheaper-overload", "1"],
    "spare2": ["--cheaper-idle", "1"],
    "busyness": ["--cheaper-overload", "1", "--cheaper-busyness-multiplier", "1", "--cheaper-busyness-verbose"],
}


def stats(running):
    running.wait_log("Stats server enabled")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(running.dir / "stats.sock"))
        return json.load(client.makefile())


def crew(running):
    """Pids of the workers that are there to stay, by number."""
    return {w["id"]: w["pid"] for w in stats(running)["workers"] if w["pid"] and w["accepting"]}


def command(running, text):
    fifo = os.open(running.dir / "fifo", os.O_WRONLY | os.O_NONBLOCK)
    try:
        os.write(fifo, text.encode())
    finally:
        os.close(fifo)


def master(*options, processes=4):
    return ["--master", "--processes", str(processes), "--stats", "stats.sock", "--master-fifo", "fifo", "--disable-logging",
            *options]


@pytest.mark.parametrize("policy", POLICIES)
def test_grows_under_load_and_shrinks_after_it(server, transport, policy):
    running = server(transport, master("--cheaper", "1", "--cheaper-algo", policy, *POLICIES[policy]), app=SLOW)
    eventually(lambda: len(crew(running)) == 1)
    for _ in range(2):
        with Load(transport, clients=8) as load:
            eventually(lambda: len(crew(running)) >= 3, 20)
            load.wait_for(200)
        assert load.failures() == []
        eventually(lambda: len(crew(running)) == 1, 20)
    eventually(lambda: running.log().count(" cheaped.") >= 4)


def test_plus_and_minus_all_the_time_fail_no_request(server, transport):
    running = server(transport, master("--cheaper", "1", "--cheaper-algo", "manual", "--threads", "2"), app=versioned(1))
    with Load(transport) as load:
        for _ in range(6):
            for sign, count in (("+", 4), ("-", 1)):
                # Only an idle worker goes: under load a minus may find none.
                eventually(lambda: command(running, sign) or len(crew(running)) == count, 20, 0.05)
            load.wait_for(50)
    assert load.failures() == []
    eventually(lambda: running.log().count(" cheaped.") >= 12)


@pytest.mark.parametrize("how", ["r", "c", "w"])
def test_reload_with_cheap_workers(server, transport, how):
    """Those that are there are replaced, the cheap ones stay away, and can still be had afterwards."""
    running = server(transport, master("--cheaper", "1", "--cheaper-initial", "2", "--cheaper-algo", "manual", "--lazy-apps"),
                     app=versioned(1))
    before = eventually(lambda: (lambda c: c if len(c) == 2 else None)(crew(running)))
    running.write("app.py", versioned(2))
    with Load(transport) as load:
        command(running, how)
        eventually(lambda: any(text.startswith("2 ") for text in load.texts), 30)
        eventually(lambda: sorted(crew(running)) == [1, 2] and not set(crew(running).values()) & set(before.values()), 30)
        command(running, "+")
        eventually(lambda: sorted(crew(running)) == [1, 2, 3])
        load.wait_for(100)
    assert load.failures() == []


def test_worker_that_dies_is_replaced_and_a_cheap_one_is_not(server, transport):
    running = server(transport, master("--cheaper", "1", "--cheaper-initial", "2", "--cheaper-algo", "manual"), app=versioned(1))
    before = eventually(lambda: (lambda c: c if len(c) == 2 else None)(crew(running)))
    command(running, "-")
    left = eventually(lambda: (lambda c: c if len(c) == 1 else None)(crew(running)))
    (number, pid), = left.items()
    assert before[number] == pid
    running.signal_process(pid, 9)
    eventually(lambda: (lambda c: list(c) == [number] and c[number] != pid)(crew(running)))
    eventually(lambda: [w["status"] for w in stats(running)["workers"]].count("cheap") == 3)


def test_pause_freezes_the_number(server, transport):
    running = server(transport, master("--cheaper", "1", "--cheaper-initial", "3", "--cheaper-overload", "1"), app=versioned(1))
    eventually(lambda: crew(running))
    command(running, "p")
    running.wait_log(r"worker \d suspended")
    number = len(crew(running))
    command(running, "+")
    eventually(lambda: len(crew(running)) == number + 1 or number == 4)
    eventually(lambda: {w["status"] for w in stats(running)["workers"] if w["pid"]} == {"pause"})
    command(running, "p")
    with Load(transport) as load:
        load.wait_for(50)
    assert load.failures() == []


def test_broken_worker_that_was_added_leaves_the_others_serving(server, transport):
    running = server(transport, master("--cheaper", "1", "--cheaper-algo", "manual", "--lazy-apps"), app=versioned(1))
    eventually(lambda: len(crew(running)) == 1)
    running.write("app.py", "import no_such_module")
    with Load(transport) as load:
        command(running, "+")
        running.wait_log(r"failed loading app in worker 2")
        load.wait_for(50)
    assert load.failures() == []
    assert list(crew(running)) == [1]


def asleep(running):
    """Has all workers go, and waits until that is so."""
    command(running, "C")
    eventually(lambda: {w["status"] for w in stats(running)["workers"]} == {"cheap"}, 20)


def test_sleeping_workers_wake_for_the_first_connection_and_sleep_through_a_reload(server, transport):
    running = server(transport, master("--cheap", processes=2), app=versioned(1))
    running.wait_log("cheap mode enabled: waiting for socket connection")
    with Load(transport) as load:
        load.wait_for(20)
    for version in (2, 3):
        asleep(running)
        running.write("app.py", versioned(version))
        command(running, "r")
        eventually(lambda: running.log().count("gracefully (RE)spawned") == version - 1)
        assert crew(running) == {}
        with Load(transport) as load:
            load.wait_for(20)
        assert load.failures() == []
        assert {text[0] for text in load.texts} == {str(version)}
        eventually(lambda: len(crew(running)) == 2)
    asleep(running)
    running.signal(15)
    assert running.wait_exit() == 0


def test_idle_workers_leave_until_the_next_connection(server, transport):
    running = server(transport, master("--idle", "1", processes=2), app=versioned(1))
    for number in (1, 2):
        with Load(transport) as load:
            load.wait_for(20)
        assert load.failures() == []
        eventually(lambda: running.log().count("workers have been inactive for more than 1 seconds") == number)
        eventually(lambda: {w["status"] for w in stats(running)["workers"]} == {"cheap"}, 20)


def test_going_to_sleep_again_and_again_fails_no_request(server, transport):
    running = server(transport, master("--cheap", processes=2), app=versioned(1))
    with Load(transport, clients=3) as load:
        for _ in range(5):
            command(running, "C")
            load.wait_for(40)
    assert load.failures() == []


def test_die_on_no_workers(server, transport):
    running = server(transport, master("--die-on-no-workers", processes=1), app=versioned(1))
    (_, pid), = eventually(lambda: crew(running)).items()
    running.signal_process(pid, 9)
    assert running.wait_exit() == 1


@pytest.mark.parametrize("options, word", [
    (["--cheaper", "4"], "must be lower than processes"),
    (["--cheaper", "1", "--cheaper-rss-limit-soft", "200", "--cheaper-rss-limit-hard", "100"], "cheaper-rss-limit-hard"),
])
def test_numbers_that_contradict_each_other_are_refused(server, options, word):
    running = server(None, ["--http-socket", "127.0.0.1:0", *master(*options)], app=versioned(1))
    assert running.wait_exit() == 1
    assert word in running.log()
