"""One service on several machines: each message of a shared subscription is handled by one instance, also when instances die."""
import json
import os
import random
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
            time.sleep(600)
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


@pytest.mark.parametrize("how", ["kill", "kill of the master", "stop"])
def test_what_a_lost_instance_had_is_handled_by_another(instance, sender, how):
    lost, other = instance(), instance()
    lost.write("hang", "")
    for n in range(100):
        sender.publish(f"/in/{n}", n)
    sender.wait_published()
    eventually(lambda: len(handled(other)) >= 40 and handled(lost, key="began") == {1: 2}, 20)
    if how == "stop":
        lost.signal(signal.SIGTERM)
    elif how == "kill":
        kill(lost)
    else:
        lost.signal(signal.SIGKILL)
    eventually(lambda: len(handled(other)) == 100, 30)
    assert set(handled(other).values()) == {1}


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
