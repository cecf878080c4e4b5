"""What services have beside HTTP and MQTT: ZeroMQ in both directions, events without a broker, timers, health."""
import json
import os
import signal
import socket
import threading
import time

import zmq
from http_client import Connection, eventually, get
from load import Several
from server import free_port

VIEWS = '''
@on(endpoint="/things/{n:int}", protocols=["http", "zmq"])
class Things(View):
    def get(self, request, n, **kw):
        nap = float(request.args.get("nap", 0))
        if nap >= 1:
            note(naps=n)
        time.sleep(nap)
        return Response({"n": n, "pid": os.getpid(), "args": dict(request.args), "cid": request.headers.get("X-Cid")})
    def post(self, request, n, **kw):
        return Response({"payload": {"got": request.get_json()}, "status": 201, "headers": {"X-Made": "yes"}})
@on(endpoint="/inside", protocols=["zmq"])
class Inside(View):
    def get(self, request, **kw):
        return Response({"inside": True})
@on(endpoint="/ask/{n:int}", protocols=["http"])
class Ask(View):
    def get(self, request, n, **kw):
        return Response(zmqc.get(request.args["server"], f"/things/{n}"))
__loader__ = [Things, Inside, Ask]
'''


class Req:
    """A libzmq REQ peer that speaks as envoxy's does."""

    def __init__(self, port):
        self.socket = zmq.Context.instance().socket(zmq.REQ)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVTIMEO, 20000)
        self.socket.connect(f"tcp://127.0.0.1:{port}")

    def ask(self, performative, resource, payload=None, params=None):
        self.send(performative, resource, payload, params)
        return self.receive()

    def send(self, performative, resource, payload=None, params=None):
        message = {"performative": performative, "resource": resource, "headers": {"X-Cid": "c-1"}, "params": params, "payload": payload}
        self.socket.send_multipart([b"", json.dumps(message).encode()])

    def receive(self):
        frames = self.socket.recv_multipart()
        assert frames[0] == b"" and len(frames) == 2
        return json.loads(frames[1])


def zmq_conf(port):
    return {"boot": [{"name": "tested", "zmq": {"bind": f"tcp://127.0.0.1:{port}"}}]}


def test_a_view_answers_libzmq_peers_as_it_answers_http(service):
    port = free_port()
    running = service(VIEWS, zmq_conf(port), args=["--processes", "2"])
    peer = Req(port)
    reply = peer.ask(0, "/things/5", params={"a": ["1"]})
    assert (reply["status"], reply["performative"], reply["resource"], reply["headers"]["X-Cid"]) == (200, 7, "/things/5", "c-1")
    assert (reply["payload"]["n"], reply["payload"]["args"], reply["payload"]["cid"]) == (5, {"a": "1"}, "c-1")
    reply = peer.ask(2, "/things/5", payload={"x": [1, "é"]})
    assert (reply["status"], reply["payload"], reply["headers"]["X-Made"]) == (201, {"got": {"x": [1, "é"]}}, "yes")
    assert peer.ask(0, "/inside")["payload"] == {"inside": True}
    assert get(running.port, "/inside").status == 404  # it is not for HTTP
    assert peer.ask(0, "/nowhere")["status"] == 404
    assert peer.ask(1, "/things/5")["status"] == 405
    assert peer.ask(99, "/things/5")["status"] == 400
    assert peer.ask(0, "/things/5?long=" + "x" * 20000)["status"] == 431


def test_many_peers_are_served_by_all_workers_through_reloads(service):
    port = free_port()
    running = service(VIEWS, zmq_conf(port), args=["--processes", "2"])
    pids = set()

    def ask(peer, index):
        reply = peer.ask(0, f"/things/{index}", params={"nap": "0.01"})
        pids.add(reply["payload"]["pid"])
        assert reply["payload"]["n"] == index
        assert peer.ask(2, f"/things/{index}", payload=index)["payload"] == {"got": index}  # never sent twice

    with Several(6, lambda: Req(port), ask) as asking:
        eventually(lambda: len(pids) >= 2)
        running.signal(signal.SIGHUP)
        eventually(lambda: len(pids) >= 4 or asking.failures, 20)
    assert asking.failures == []


def test_a_request_that_ends_its_worker_is_answered_all_the_same(service):
    port = free_port()
    module = VIEWS.replace("__loader__", '''
@on(endpoint="/die", protocols=["zmq"])
class Die(View):
    def get(self, request, **kw):
        mark = os.path.join(os.environ["COMPAT_TEST_SERVER"], "died")
        if not os.path.exists(mark):
            open(mark, "w").close()
            os.kill(os.getpid(), 9)
        return Response({"alive": True})
    def post(self, request, **kw):
        os.kill(os.getpid(), 9)
__loader__''').replace("[Things,", "[Die, Things,")
    service(module, zmq_conf(port), args=["--processes", "2"])
    peer = Req(port)
    assert peer.ask(0, "/die")["payload"] == {"alive": True}  # what may be done twice is asked of another worker
    assert peer.ask(2, "/die", payload={})["status"] == 502


def test_a_worker_that_has_ended_costs_no_request(service):
    port = free_port()
    service(VIEWS, zmq_conf(port), args=["--processes", "2"])
    peer = Req(port)
    for _ in range(4):  # the last one asked is asked again, unless it is no more
        os.kill(peer.ask(0, "/things/1")["payload"]["pid"], signal.SIGKILL)
        assert peer.ask(2, "/things/1", payload={"n": 1})["status"] == 201


def test_a_worker_that_is_busy_with_http_holds_no_request_up(service):
    port = free_port()
    running = service(VIEWS, zmq_conf(port), args=["--processes", "2", "--http-keepalive=60"])
    peer, second = Req(port), Req(port)
    first, other = Connection(running.port, keep=True), Connection(running.port, keep=True)
    naps = len(running.sink())
    first.send("/things/2?nap=1")
    eventually(lambda: len(running.sink()) > naps)
    of_other = json.loads(other.get("/things/2?nap=0").body)["pid"]  # the worker that is idle meanwhile
    connections = {json.loads(first.receive().body)["pid"]: first, of_other: other}
    assert len(connections) == 2
    for _ in range(5):
        for each, nap in ((peer, "0.1"), (second, "0.02")):  # each by another worker: the one that ends last is asked next
            each.send(0, "/things/1", params={"nap": nap})
        second.receive()
        busy = peer.receive()["payload"]["pid"]
        naps = len(running.sink())
        connections[busy].send("/things/2?nap=1")
        eventually(lambda seen=naps: len(running.sink()) > seen)
        began = time.monotonic()
        assert peer.ask(0, "/things/3")["payload"]["pid"] != busy
        assert time.monotonic() - began < 0.5
        assert json.loads(connections[busy].receive().body)["pid"] == busy


def test_a_child_of_the_application_does_not_hide_that_its_worker_has_ended(service):
    port = free_port()
    module = VIEWS.replace("__loader__", '''
@on(endpoint="/fork", protocols=["http", "zmq"])
class Fork(View):
    def get(self, request, **kw):
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        return Response({"pid": os.getpid()})
__loader__''').replace("[Things,", "[Fork, Things,")
    running = service(module, zmq_conf(port), args=["--processes", "2"])
    peer = Req(port)
    for ask in (lambda: peer.ask(0, "/fork")["payload"], lambda: json.loads(get(running.port, "/fork").body)):
        for _ in range(4):  # by each worker, with and without a request of the gateway's in hand
            peer.ask(0, "/things/1")
            pid = ask()["pid"]
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        assert peer.ask(2, "/things/1", payload={"n": 1})["status"] == 201
        assert time.monotonic() - began < 5


def test_one_service_asks_another_and_itself(service):
    port = free_port()
    one = service(VIEWS, zmq_conf(port), args=["--processes", "1"])
    other = service(VIEWS, {"zmq_servers": {"one": {"host": "127.0.0.1", "port": str(port), "timeout": 2}}}, args=["--processes", "1"])
    assert json.loads(get(other.port, "/ask/7?server=one").text)["n"] == 7
    assert json.loads(get(other.port, "/ask/8?server=self").text)["n"] == 8
    one.close()
    began = time.monotonic()
    assert get(other.port, "/ask/7?server=one").status == 500
    assert time.monotonic() - began < 10  # not for ever, as upstream


def test_hostile_bytes_do_not_end_the_service(service):
    port = free_port()
    service(VIEWS, zmq_conf(port), args=["--processes", "1"])
    hello = b"\xff" + b"\0" * 8 + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" * 32
    for attack in (b"GET / HTTP/1.1\r\n\r\n" * 10, hello + b"\x04\x09\x05READY\x05AB", hello + b"\x02" + b"\x7f" + b"\xff" * 7):
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.sendall(attack)
            s.settimeout(12)
            try:
                while s.recv(4096):
                    pass
            except ConnectionResetError:  # it has not read all of it
                pass
    assert Req(port).ask(0, "/inside")["payload"] == {"inside": True}


TICKING = '''
@on(endpoint="/local/#", protocols=["mqtt"], server="local")
class Local(View):
    def on_event(self, client, userdata, message):
        note(local=message.topic, data=json.loads(message.payload))
@on(endpoint="/go", protocols=["http"])
class Go(View):
    def get(self, request, **kw):
        return Response({"done": mqttc.publish("local", "/local/1", {"a": 1}, no_envelope=True)})
@every(0.1)
def tick():
    note(tick=True)
__loader__ = [Local, Go]
mqttc.publish("local", "/local/import", {"at": "import"}, no_envelope=True)
'''


def test_events_without_a_broker_and_timers_are_handled_once_per_service(service):
    running = service(TICKING, args=["--processes", "4"])
    assert get(running.port, "/go").text == '{"done":true}'
    eventually(lambda: len([line for line in running.sink() if "local" in line]) == 2)
    assert [line["data"] for line in running.sink() if "local" in line] == [{"at": "import"}, {"a": 1}]
    began, before = time.monotonic(), len([line for line in running.sink() if "tick" in line])
    eventually(lambda: len([line for line in running.sink() if "tick" in line]) >= before + 10)
    assert time.monotonic() - began > 0.8  # ten ticks of a tenth, not of each worker its own


def test_health_is_answered_from_what_was_seen_last(service):
    """With a connector that is down, and one whose server takes connections but never answers."""
    silent = socket.create_server(("127.0.0.1", 0))
    down = free_port()
    conf = {"health": {"interval": 0.3, "timeout": 0.2}, "redis_servers": {"gone": {"bind": f"127.0.0.1:{down}"}},
            "couchdb_servers": {"silent": {"bind": f"http://admin:S3CRET@127.0.0.1:{silent.getsockname()[1]}", "passwd": "S3CRET"}}}
    running = service(TICKING, conf, args=["--processes", "1"])

    def connectors():
        return json.loads(get(running.port, "/health").text)["connectors"]

    eventually(lambda: {name: one["status"] for name, one in connectors().items()} == {"redis.gone": "down", "couchdb.silent": "down"})
    assert connectors()["couchdb.silent"]["error"] == "no answer in time"
    times = []
    for _ in range(50):
        began = time.perf_counter()
        reply = get(running.port, "/health")
        times.append(time.perf_counter() - began)
        assert reply.status == 200 and json.loads(reply.text)["status"] == "degraded"
    assert sorted(times)[25] < 0.1  # a probe takes twice that
    ages = [one["age"] for one in connectors().values()]
    assert all(age < 2 for age in ages)
    assert get(running.port, "/health/ready").status == 503
    assert get(running.port, "/health/live").status == 200
    assert "S3CRET" not in get(running.port, "/health").text + running.log()
    silent.close()


def test_a_stop_answers_the_request_in_hand_and_leaves_nothing_behind(service):
    port = free_port()
    running = service(VIEWS, zmq_conf(port), args=["--processes", "1"])
    answer = []
    asking = threading.Thread(target=lambda: answer.append(Req(port).ask(0, "/things/1", params={"nap": "1"})))
    asking.start()
    eventually(lambda: [line["naps"] for line in running.sink()] == [1])
    running.signal(signal.SIGTERM)
    asking.join()
    assert answer[0]["status"] == 200
    assert running.wait_exit(15) == 0
    running.wait_gone()


def test_no_gateway_is_started_for_a_service_that_needs_none(service):
    only_http = VIEWS.replace('"http", "zmq"', '"http"').replace('protocols=["zmq"]', 'protocols=["http"]')
    running = service(only_http, args=["--processes", "1"])
    assert get(running.port, "/things/1").status == 200
    assert "event gateway" not in running.log() and "ZeroMQ gateway" not in running.log()
    programs = {os.path.basename(os.readlink(f"/proc/{pid}/exe")) for pid in running.processes()}
    assert not programs & {"envoxyd-gateway", "envoxyd-zmq"}
