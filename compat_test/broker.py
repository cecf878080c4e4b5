"""A private mosquitto that keeps its sessions on disk, and a publisher that loses nothing."""
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from http_client import eventually
from server import free_port


def find_mosquitto():
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    return found or pytest.skip("mosquitto is not installed")


class Broker:
    """mosquitto on a port of its own; stop and start keep the port and the sessions."""

    def __init__(self, *settings, verbose=True):
        self.binary, self.flags = find_mosquitto(), ["-v"] if verbose else []
        self.dir = Path(tempfile.mkdtemp(prefix="envoxyd-broker-"))
        self.port = free_port()
        lines = [f"listener {self.port} 127.0.0.1", "allow_anonymous true", "persistence true", f"persistence_location {self.dir}/",
                 "max_queued_messages 0", "user root", *settings]
        (self.dir / "conf").write_text("\n".join(lines) + "\n")
        self.process = None
        self.start()

    def start(self):
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen(
                [self.binary, *self.flags, "-c", self.dir / "conf"], cwd=self.dir, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def up():
            assert self.process.poll() is None, self.log()
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", self.port)) == 0
        eventually(up)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def restart(self):
        self.stop()
        self.start()

    def log(self):
        return (self.dir / "log").read_text("utf-8", "replace")

    def close(self):
        if self.process.poll() is None:
            self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


class Peer:
    """A foreign client (paho-mqtt) with a session of its own: publishes, and keeps what it has subscribed to."""

    def __init__(self, broker, *filters, qos=1, name="peer", in_flight=20):
        self.got, self.acknowledged = [], set()
        self.subscribed, connected = threading.Event(), threading.Event()
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=name, clean_session=False)
        self.client.max_inflight_messages_set(in_flight)  # mosquitto takes no more than 20 of QoS 2
        self.client.reconnect_delay_set(0.2, 1)
        self.client.on_message = lambda _client, _data, message: self.got.append((message.topic, message.payload))
        self.client.on_publish = lambda _client, _data, mid, _code, _properties: self.acknowledged.add(mid)
        self.client.on_subscribe = lambda *_: self.subscribed.set()

        def on_connect(client, *_):
            for one in filters:
                client.subscribe(one, qos)
            connected.set()

        self.client.on_connect = on_connect
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()
        assert connected.wait(10)  # what is published before that is sent in no order
        if filters:
            assert self.subscribed.wait(10)

    def publish(self, topic, payload, qos=1, retain=False):
        self.client.publish(topic, payload, qos, retain)

    def wait_published(self, timeout=60):
        """Until the broker has everything."""
        eventually(lambda: not self.client._out_messages, timeout)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()
