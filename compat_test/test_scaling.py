"""One service on several machines: each message of a shared subscription is handled by one instance, also when instances die."""
import os
import signal
from collections import Counter

import pytest
from broker import Broker, Peer
from http_client import eventually

HANDLERS = '''
@on(endpoint="/in/#", protocols=["mqtt"], server="broker", qos=1)
class In(View):
    def on_event(self, client, userdata, message):
        if os.path.exists("hang"):
            note(began=1)
            while os.path.exists("hang"):
                time.sleep(0.05)
        note(n=int(message.payload), dup=message.dup)

@on(endpoint="/in/1", protocols=["mqtt"], server="broker", qos=1, shared=False)
class Each(View):
    def on_event(self, client, userdata, message):
        note(each=int(message.payload))
__loader__ = [In, Each]
'''


@pytest.fixture
def broker():
    made = Broker("max_inflight_messages 100", verbose=False)
    yield made
    made.close()


@pytest.fixture
def sender(broker):
    made = Peer(broker, name="sender")
    yield made
    made.close()


@pytest.fixture
def instance(service, broker):
    """Starts one more instance of the service."""
    def start(**rest):
        conf = {"mqtt_servers": {"broker": {"bind": f"mqtt://127.0.0.1:{broker.port}", "shared": True}}}
        running = service(rest.pop("module", HANDLERS), conf, args=["--processes", "2", "--worker-reload-mercy", "3"], **rest)
        running.wait_log(r"\[MQTT\] broker \(shared\): connected, [1-9]")
        return running

    return start


def kill(running):
    """The machine is gone: nobody says goodbye."""
    for pid in [running.process.pid, *running.processes()]:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    running.process.wait(10)


def freeze(running, how=signal.SIGSTOP):
    """The machine does not answer, and nobody hears of its end."""
    for pid in {running.process.pid, *running.processes()}:
        os.kill(pid, how)


def lose(running, how):
    """The instance ends, or seems to: each in its own way."""
    if how == "kill":
        kill(running)
    elif how == "freeze":
        freeze(running)
    elif how == "kill of the master":
        running.signal(signal.SIGKILL)
    else:
        running.signal(signal.SIGTERM)
        running.wait_exit(20)


def handled(*instances, key="n"):
    return Counter(line[key] for one in instances for line in one.sink() if key in line)


def test_each_message_is_handled_by_one_instance_or_by_each(instance, sender):
    three = [instance() for _ in range(3)]
    for n in range(300):
        sender.publish(f"/in/{n % 5}", n)
    eventually(lambda: len(handled(*three)) == 300, 20)
    assert set(handled(*three).values()) == {1}
    assert all(len(handled(one)) > 50 for one in three)
    eventually(lambda: [len(handled(one, key="each")) for one in three] == [60] * 3)
    assert set(handled(*three, key="each").values()) == {3}


@pytest.mark.parametrize("how", ["kill", "kill of the master", "stop", "freeze"])
def test_what_a_lost_instance_had_is_handled_by_another(instance, sender, how):
    lost, other = instance(), instance()
    lost.write("hang", "")
    for n in range(100):
        sender.publish(f"/in/{n}", n)
    sender.wait_published()
    eventually(lambda: len(handled(other)) >= 40 and handled(lost, key="began") == {1: 2}, 20)
    lose(lost, how)
    eventually(lambda: len(handled(other)) == 100, 30)
    assert set(handled(other).values()) == {1}
    if how == "freeze":
        freeze(lost, signal.SIGCONT)
        os.unlink(lost.dir / "hang")
        for n in range(100, 140):
            sender.publish(f"/in/{n}", n)
        eventually(lambda: len(handled(lost, other)) == 140 and len(handled(lost)) > 5, 30)  # it is one of them again


def test_what_came_while_none_was_there_is_handled_at_the_next_start(instance, sender):
    first = instance()
    first.signal(signal.SIGTERM)
    first.wait_exit(20)
    for n in range(50):
        sender.publish("/in/2", n)
    sender.wait_published()
    second = instance()
    eventually(lambda: len(handled(second)) == 50, 20)
    assert set(handled(second).values()) == {1}
    eventually(lambda: "is gone" in second.log())


TIMERS = '''
from envoxy.timers import cron, every
@every(0.5, once=True)
def tick():
    note(at=time.time())

@every(0.5)
def each():
    note(each=time.time())
'''


@pytest.fixture(params=["postgres", "redis"])
def store(request):
    """Where instances agree, as envoxy.json has it."""
    one = request.getfixturevalue(request.param)
    if request.param == "redis":
        return {"redis_servers": {"main": {"bind": f"127.0.0.1:{one}"}}}
    return {"psql_servers": {"main": {"host": "127.0.0.1", "port": one.port, "db": "shop", "user": "shop", "passwd": "shop"}}}


def ticks(*instances):
    """How often each tick was called: a call belongs to the half second that it is in."""
    return Counter(int(line["at"] * 2) for one in instances for line in one.sink() if "at" in line)


def callers(*instances):
    return [one for one in instances if any("at" in line for line in one.sink())]


@pytest.mark.parametrize("how", ["kill", "stop", "freeze"])
def test_a_timer_is_called_by_one_instance(service, store, how):
    three = [service(TIMERS, store) for _ in range(3)]
    eventually(lambda: len(ticks(*three)) > 5, 20)
    leader, = callers(*three)
    assert all(any("each" in line for line in one.sink()) for one in three)
    leader.signal(signal.SIGHUP)
    leader.wait_log("gracefully .RE.spawned")
    before = len(ticks(*three))
    eventually(lambda: len(ticks(*three)) > before + 4, 20)
    assert callers(*three) == [leader]
    lose(leader, how)
    others = [one for one in three if one is not leader]
    eventually(lambda: len(ticks(*others)) > 5, 30)
    assert len(callers(*others)) == 1
    if how == "freeze":
        freeze(leader, signal.SIGCONT)
        leader.wait_log("this instance does not lead any more")
        before = len(ticks(*others))
        eventually(lambda: len(ticks(*others)) > before + 4, 20)
    found = ticks(*three)
    assert set(found.values()) == {1}, found
    missing = [n for n in range(min(found), max(found)) if n not in found]
    assert len(missing) <= {"stop": 4, "kill": 16, "freeze": 26}[how], found  # the seconds of a takeover
    print(f"{how}: {len(missing)} ticks of 0.5 s were left out")


def test_timers_that_one_calls_need_a_place_to_agree(service):
    with pytest.raises(AssertionError, match="need psql_servers or redis_servers"):
        service(TIMERS)


LOAD = '''
from envoxy.timers import every

@on(endpoint="/in/#", protocols=["mqtt"], server="broker", qos=1)
class In(View):
    def on_event(self, client, userdata, message):
        time.sleep(0.001)  # so that some are in hand whenever an instance dies
        note(n=int(message.payload), dup=message.dup)

@every(0.5, once=True)
def tick():
    note(at=time.time())

__loader__ = [In]
'''


@pytest.mark.timeout(240)
def test_nothing_is_lost_while_instances_die_and_reload(service, broker, sender, postgres):
    """20,000 messages of QoS 1 to three instances: two are killed with all their processes, one is stopped, all are reloaded."""
    conf = {"mqtt_servers": {"broker": {"bind": f"mqtt://127.0.0.1:{broker.port}", "shared": True}},
            "psql_servers": {"main": {"host": "127.0.0.1", "port": postgres.port, "db": "shop", "user": "shop", "passwd": "shop"}}}

    def start():
        return service(LOAD, conf, args=["--processes", "2", "--worker-reload-mercy", "5"])

    everyone = [start() for _ in range(3)]
    running, total = list(everyone), 20000
    eventually(lambda: callers(*everyone), 20)
    trouble = dict(zip(range(2000, total, 2000), ("reload", "kill", "reload", "stop", "reload", "kill", "reload", "reload", "reload")))
    excused = set()  # ticks of takeovers
    for n in range(total):
        sender.publish(f"/in/{n % 50}", n)
        what = trouble.get(n)
        if what is None:
            continue
        eventually(lambda n=n: len(handled(*everyone)) > n - 1500, 60)  # the sender does not run away
        if what == "reload":
            for one in running:
                one.signal(signal.SIGHUP)
            continue
        one = callers(*running)[0] if callers(*running) else running[0]
        running.remove(one)
        began = len(ticks(*everyone)) and max(ticks(*everyone))
        if what == "kill":
            kill(one)
        else:
            one.signal(signal.SIGTERM)
        eventually(lambda began=began: max(ticks(*everyone)) > began + 3, 30)
        after = min(n for n in ticks(*everyone) if n > began + 1)
        excused |= set(range(began, after + 16))
        everyone.append(start())
        running.append(everyone[-1])
    sender.wait_published()
    eventually(lambda: len(handled(*everyone)) == total, 60)
    counted = handled(*everyone)
    repeated = [line for one in everyone for line in one.sink() if "n" in line and counted[line["n"]] > 1]
    print(f"{sum(counted.values()) - total} of {total} were handled twice")
    # MQTT allows it for what was not acknowledged when an instance died, and marks the repetition. (mosquitto 2.0 sends more ahead of
    # acknowledgements than max_inflight_messages while it is busy: up to 1,300 were counted, also by a plain client.)
    assert {line["n"] for line in repeated} == {line["n"] for line in repeated if line["dup"]}
    found = ticks(*everyone)
    assert set(found.values()) == {1}, found
    assert [n for n in range(min(found), max(found)) if n not in found and n not in excused] == []
