"""Envoxy services for tests, and the server that runs one."""
import json
import os
import re
import subprocess
import sys
import sysconfig

from http_client import Broken, eventually, get
from server import Server, free_port

# note(...) appends one JSON line to the file "sink" in the server's directory, in one write.
NOTE = '''
import json, os, time
from envoxy import View, Response, on, log, log_event, mqttc, zmqc, every
def note(**record):
    fd = os.open(os.path.join({dir!r}, "sink"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(fd, (json.dumps(dict(record, pid=os.getpid())) + "\\n").encode())
    finally:
        os.close(fd)
'''


class Service(Server):
    """A server of one module's views; conf adds to envoxy.json."""

    def __init__(self, module, conf=None, args=(), env=None, **rest):
        self.port = free_port()
        venv = {"PATH": sysconfig.get_path("scripts") + ":" + os.environ["PATH"], "VIRTUAL_ENV": sys.prefix}
        super().__init__(["--http", f"127.0.0.1:{self.port}", "--set", "conf=envoxy.json", *args], env={**venv, **(env or {})}, **rest)
        self.module, self.conf = module, {"log": {"level": 6}, "boot": [{"name": "tested"}], "modules": ["service.py"], **(conf or {})}
        self.put()

    def put(self):
        self.write("service.py", NOTE.format(dir=str(self.dir)) + self.module)
        self.write("envoxy.json", json.dumps(self.conf))

    def start(self):
        super().start()
        self.wait_port(self.port)
        eventually(self.healthy, 20)
        return self

    def healthy(self):
        """Whether it answers. A connection that breaks is a failure: of a server that ends, its log is told."""
        try:
            return get(self.port, "/_health").status == 200
        except (OSError, Broken):
            try:
                self.process.wait(2)
            except subprocess.TimeoutExpired:
                pass
            self.assert_running()
            raise

    def sink(self):
        try:
            return [json.loads(line) for line in (self.dir / "sink").read_text().splitlines()]
        except FileNotFoundError:
            return []

    def workers(self):
        """Pids of the workers that the log has told of and that run."""
        told = [int(pid) for pid in re.findall(r"uWSGI worker \d+ \((?:new )?pid: (\d+)", self.log())]
        running = set(self.processes())
        return [pid for pid in told if pid in running]

    def connected(self, timeout=20):
        """Until the service's broker has its subscriptions."""
        return self.wait_log(r"\[MQTT\] \w+: connected, [1-9]", timeout)
