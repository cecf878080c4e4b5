"""Events, envoxyd against the usual Python client of each protocol, in one run on this machine.

    bench/events.py mqtt   messages handled per second and latency: envoxyd with two workers, paho-mqtt in one process
    bench/events.py zmq    round trips of one peer and of four: an envoxyd view, a pyzmq REP loop with the same handler

Needs mosquitto, paho-mqtt, pyzmq and flask (the test requirements), and a built server.
"""
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "compat_test"))
from broker import Broker  # noqa: E402
from http_client import eventually  # noqa: E402
from server import free_port  # noqa: E402
from services import Service  # noqa: E402

# What both handlers do with a message: decode it, and leave a mark and its age in a file.
HANDLE = '''
import json, os, struct, time
SINK = os.open({sink!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def handle(payload):
    message = json.loads(payload)
    os.write(SINK, struct.pack("d", time.time() - message["sent"]))
'''

SERVICE = '''
{handle}
@on(endpoint="/bench/#", protocols=["mqtt"], server="broker", qos={qos})
class Bench(View):
    def on_event(self, client, userdata, message):
        handle(message.payload)
__loader__ = [Bench]
'''

PAHO = '''
import sys
import paho.mqtt.client as paho
{handle}
client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="bench", clean_session=False)
client.message_callback_add("/bench/#", lambda client, userdata, message: handle(message.payload))  # as envoxy itself does
client.on_connect = lambda client, *_: client.subscribe("/bench/#", {qos})
client.on_subscribe = lambda *_: print("ready", flush=True)
client.connect("127.0.0.1", {port})
client.loop_forever()
'''


class Publisher:
    """Writes PUBLISH packets straight to the broker, so that publishing costs next to nothing."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or its first messages wait 40 ms for an acknowledgement
        name = b"publisher"
        self.sock.sendall(self.packet(0x10, b"\0\4MQTT\4\2\0\0" + struct.pack(">H", len(name)) + name))
        self.sock.recv(4)
        threading.Thread(target=self.drain, daemon=True).start()

    @staticmethod
    def packet(kind, body):
        size, head = len(body), bytearray([kind])
        while True:
            size, digit = divmod(size, 128)
            head.append(digit | (128 if size else 0))
            if not size:
                return bytes(head) + body

    def drain(self):
        try:
            while self.sock.recv(65536):
                pass
        except OSError:
            pass

    def message(self, n, qos, topics):
        topic = b"/bench/%d" % (n % topics)
        payload = json.dumps({"n": n, "sent": time.time(), "value": 20.5, "unit": "C", "name": "sensor"}).encode()
        ident = struct.pack(">H", n % 65535 + 1) if qos else b""
        return self.packet(0x30 | qos << 1, struct.pack(">H", len(topic)) + topic + ident + payload)

    def send(self, data):
        self.sock.sendall(data)


def ages(sink):
    data = sink.read_bytes() if sink.exists() else b""
    return sorted(struct.unpack(f"{len(data) // 8}d", data[: len(data) // 8 * 8]))


def throughput(port, sink, qos, total, topics):
    """Messages handled per second, of so many published as fast as they are handled (at most 500 ahead)."""
    publisher, sent = Publisher(port), 0
    packets = [publisher.message(n, qos, topics) for n in range(total)]
    began = time.monotonic()
    start = sink.stat().st_size // 8 if sink.exists() else 0
    done = start
    while done - start < total:
        room = min(500 - (sent - (done - start)), total - sent)
        if room > 0:
            publisher.send(b"".join(packets[sent:sent + room]))
            sent += room
        else:
            time.sleep(0.001)
        done = sink.stat().st_size // 8 if sink.exists() else 0
        if time.monotonic() - began > 120:
            raise SystemExit(f"only {done - start} of {total} were handled")
    publisher.sock.close()
    return total / (time.monotonic() - began)


def latency(port, sink, qos, rate, seconds, topics):
    publisher = Publisher(port)
    sink.write_bytes(b"")
    for n in range(int(rate * seconds)):
        publisher.send(publisher.message(n, qos, topics))
        time.sleep(1 / rate)
    eventually(lambda: sink.stat().st_size // 8 >= int(rate * seconds), 10)
    publisher.sock.close()
    found = ages(sink)
    return [1e6 * found[int(len(found) * share)] for share in (0.5, 0.99)]


def mqtt(total=40000, topics=16):
    for qos in (0, 1):
        results = {}
        for name in ("paho-mqtt", "envoxyd"):
            broker = Broker("max_inflight_messages 100", verbose=False)
            sink = Path(tempfile.mkdtemp()) / "sink"
            handle = HANDLE.format(sink=str(sink))
            service = process = None
            try:
                if name == "envoxyd":
                    conf = {"mqtt_servers": {"broker": {"bind": f"mqtt://127.0.0.1:{broker.port}"}}}
                    service = Service(SERVICE.format(handle=handle, qos=qos), conf, args=["--processes", "2"]).start()
                    service.connected()
                else:
                    program = PAHO.format(handle=handle, qos=qos, port=broker.port)
                    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
                    process.stdout.readline()
                throughput(broker.port, sink, qos, 1000, topics)
                best = max(throughput(broker.port, sink, qos, total, topics) for _ in range(2))
                results[name] = (best, *latency(broker.port, sink, qos, 500, 4, topics))
            finally:
                if service:
                    service.close()
                if process:
                    process.kill()
                    process.wait()
                broker.close()
        for name, (rate, p50, p99) in results.items():
            print(f"mqtt QoS {qos}  {name:10} {rate:8.0f} messages/s   latency p50 {p50:6.0f} us  p99 {p99:6.0f} us")
        print(f"mqtt QoS {qos}  envoxyd / paho-mqtt: x{results['envoxyd'][0] / results['paho-mqtt'][0]:.2f}", flush=True)


ZMQ_SERVICE = '''
@on(endpoint="/bench/{n:int}", protocols=["zmq"])
class Bench(View):
    def get(self, request, n, **kwargs):
        return Response({"n": n, "agent": request.headers.get("User-Agent")})
__loader__ = [Bench]
'''

# The same view behind a REP socket: what a service with pyzmq would do for itself.
REP = '''
import json, sys, zmq
from flask import Flask, request
from werkzeug.test import EnvironBuilder
app = Flask("rep")
@app.get("/bench/<int:n>")
def view(n):
    return {"n": n, "agent": request.headers.get("User-Agent")}
socket = zmq.Context().socket(zmq.REP)
socket.bind("tcp://127.0.0.1:%d")
print("ready", flush=True)
while True:
    message = json.loads(socket.recv_multipart()[-1])
    environ = EnvironBuilder(message["resource"], method="GET", headers=message["headers"]).get_environ()
    answer = {}
    def start_response(status, headers, exc_info=None):
        answer.update(status=int(status[:3]), headers=dict(headers))
    body = b"".join(app.wsgi_app(environ, start_response))
    reply = {"performative": 7, "resource": message["resource"], "payload": json.loads(body), **answer}
    socket.send_multipart([b"", json.dumps(reply).encode()])
'''

PEER = '''
import json, sys, time, zmq
socket = zmq.Context().socket(zmq.REQ)
socket.connect("tcp://127.0.0.1:%d")
headers = {"User-Agent": "bench", "X-Cid": "c"}
request = json.dumps({"resource": "/bench/7", "headers": headers, "params": None, "payload": None, "performative": 0}).encode()
took = []
for n in range(200 + %d):
    began = time.perf_counter()
    socket.send_multipart([b"", request])
    socket.recv_multipart()
    if n >= 200:
        took.append(time.perf_counter() - began)
took.sort()
print(json.dumps([len(took) / sum(took), 1e6 * took[len(took) // 2], 1e6 * took[int(len(took) * 0.99)]]))
'''


def round_trips(port, peers, count=3000):
    running = [subprocess.Popen([sys.executable, "-c", PEER % (port, count)], stdout=subprocess.PIPE) for _ in range(peers)]
    found = [json.loads(process.communicate()[0]) for process in running]
    return sum(f[0] for f in found), sum(f[1] for f in found) / peers, max(f[2] for f in found)


def zmq():
    results = {}
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", REP % port], stdout=subprocess.PIPE)
    process.stdout.readline()
    try:
        results["pyzmq REP"] = [round_trips(port, peers) for peers in (1, 4)]
    finally:
        process.kill()
        process.wait()
    port = free_port()
    boot = [{"name": "bench", "zmq": {"bind": f"tcp://127.0.0.1:{port}"}}]
    service = Service(ZMQ_SERVICE, {"log": {"level": 3}, "boot": boot}, args=["--processes", "2"]).start()
    try:
        service.wait_port(port)
        results["envoxyd"] = [round_trips(port, peers) for peers in (1, 4)]
    finally:
        service.close()
    for index, peers in enumerate((1, 4)):
        for name, found in results.items():
            rate, p50, p99 = found[index]
            print(f"zmq {peers} peer(s)  {name:10} {rate:8.0f} round trips/s   p50 {p50:6.0f} us  p99 {p99:6.0f} us")


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    for name in sys.argv[1:] or ["mqtt", "zmq"]:
        {"mqtt": mqtt, "zmq": zmq}[name]()
