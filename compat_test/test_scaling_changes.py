"""What instances of a service share, over reloads, upgrades and stops: nothing is lost, and no tick is called twice."""
# ruff: noqa: F811 - fixtures of another file
import os
import shutil
import signal

import pytest
from http_client import eventually
from test_scaling import HANDLERS, TIMERS, broker, handled, instance, sender, ticks  # noqa: F401 - fixtures


def shared(running, on):
    running.conf["mqtt_servers"]["broker"]["shared"] = on
    running.put()


def test_instances_that_stop_at_the_same_time_lose_nothing(instance, sender):
    three = [instance() for _ in range(3)]
    for one in three:
        one.signal(signal.SIGTERM)
    for n in range(50):
        sender.publish("/in/2", n)
    sender.wait_published()
    for one in three:
        one.wait_exit(20)
    last = instance()
    eventually(lambda: len(handled(last, *three)) == 50, 30)


@pytest.mark.parametrize("on", [True, False])
def test_a_reload_that_changes_what_is_shared_loses_nothing(instance, sender, on):
    running = instance()
    if on:
        shared(running, False)
        running.signal(signal.SIGHUP)
        running.wait_log("gracefully .RE.spawned")
    running.write("hang", "")
    for n in range(150):
        sender.publish(f"/in/{n % 7 + 2}", n)
    sender.wait_published()
    eventually(lambda: handled(running, key="began")[1] == 2)
    shared(running, on)
    done = running.log().count("gracefully (RE)spawned")
    running.signal(signal.SIGHUP)
    os.unlink(running.dir / "hang")
    eventually(lambda: running.log().count("gracefully (RE)spawned") > done, 20)
    eventually(lambda: len(handled(running)) == 150, 30)


def test_an_upgrade_leaves_others_what_its_code_does_not_handle(instance, sender):
    upgraded, other = instance(), instance()
    upgraded.module = HANDLERS.replace("/in/#", "/other/#")
    upgraded.put()
    connected = upgraded.log().count("(shared): connected")
    upgraded.signal(signal.SIGUSR2)
    eventually(lambda: upgraded.log().count("(shared): connected") > connected, 20)
    sender.publish("/other/1", 1000)
    eventually(lambda: handled(upgraded), 20)  # it has told the broker what it wants, and soon what it does not
    eventually(lambda: sender.publish("/in/2", 0) or len(handled(other)) and len(other.sink()) > 20, 30)
    seen = len(other.sink())
    for n in range(1, 51):
        sender.publish("/in/2", n)
    eventually(lambda: len(other.sink()) == seen + 50 or set(range(1, 51)) <= set(handled(other)), 20)


@pytest.mark.skipif(shutil.which("pgbouncer") is None, reason="pgbouncer is not installed (Debian: pgbouncer)")
def test_a_pool_of_transactions_elects_nobody(service, postgres):
    with postgres.pooler() as port:
        conf = {"psql_servers": {"main": {"host": "127.0.0.1", "port": port, "db": "shop", "user": "shop", "passwd": "shop"}}}
        two = [service(TIMERS, conf) for _ in range(2)]
        for one in two:
            one.wait_log("is shared with others")
        each = sum(len(one.sink()) for one in two)
        eventually(lambda: sum(len(one.sink()) for one in two) > each + 10, 20)  # time for ten ticks
        assert not ticks(*two)


def test_a_service_without_a_name_shares_nothing(service, broker):
    conf = {"boot": [{}], "mqtt_servers": {"broker": {"bind": f"mqtt://127.0.0.1:{broker.port}", "shared": True}}}
    with pytest.raises(AssertionError, match=r"need boot\[0\].name"):
        service(HANDLERS, conf)
