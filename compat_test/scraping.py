"""Metrics as Prometheus reads them: one scrape, many in a row that have to grow, and Debian's prometheus itself."""
import json
import shutil
import subprocess
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from http_client import Broken, Connection, eventually
from server import free_port


class Metrics(dict):
    """The samples of one scrape, by name and labels as they are written; types: counter, gauge or histogram by the family's name."""

    def __init__(self, text):
        super().__init__()
        self.text, self.types = text, {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, self.types[name] = line.split(" ")
            elif not line.startswith("#"):
                sample, value = line.rsplit(" ", 1)
                self[sample] = float(value)

    def growing(self):
        """The samples that must never go down."""
        for sample, value in self.items():
            name = sample.split("{")[0]
            family = next((name.removesuffix(end) for end in ("_bucket", "_count", "_sum") if name.removesuffix(end) in self.types), name)
            if name.startswith("envoxyd_") and self.types[family] in ("counter", "histogram"):
                yield sample, value


def scrape(where):
    """The metrics at a port of 127.0.0.1, or at a unix socket."""
    with Connection(where) as client:
        reply = client.get("/metrics")
    assert reply.status == 200 and reply.headers["content-type"].startswith("text/plain; version=0.0.4"), reply.headers
    return Metrics(reply.text)


class Scraper:
    """Scrapes again and again between enter and exit, over one connection that is opened anew where the server closes it."""

    def __init__(self, where):
        self.where, self.scrapes, self.failures, self._stop = where, [], [], threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        with Connection(self.where, keep=True) as client:
            while not self._stop.wait(0.02):
                try:
                    reply = self._get(client)
                    assert reply.status == 200, reply.status
                    self.scrapes.append(Metrics(reply.text))
                except (OSError, Broken, AssertionError) as error:
                    self.failures.append(error)
                    client.close()

    @staticmethod
    def _get(client):
        """As Prometheus' own client does it: where a kept connection has ended before any answer, another one is opened."""
        kept = client.socket is not None
        try:
            return client.get("/metrics")
        except (OSError, Broken):
            if not kept or client.unread:
                raise
            client.close()
            return client.get("/metrics")

    def latest(self, sample):
        """The value of the last scrape; None before the first one."""
        return self.scrapes[-1][sample] if self.scrapes else None

    def gone_back(self):
        """What was less than before: the sample, the value before, and the one after."""
        return [(sample, before[sample], value) for before, after in zip(self.scrapes, self.scrapes[1:])
                for sample, value in after.growing() if value < before.get(sample, 0)]


class Prometheus:
    """Debian's prometheus, which scrapes one target each second, with these labels; query() asks it."""

    def __init__(self, target, labels=None):
        self.port, self.dir = free_port(), Path(tempfile.mkdtemp(prefix="envoxyd-prometheus-"))
        (self.dir / "prometheus.yml").write_text(
            f"scrape_configs: [{{job_name: envoxyd, scrape_interval: 1s, static_configs: "
            f"[{{targets: ['127.0.0.1:{target}'], labels: {json.dumps(labels or {})}}}]}}]")
        with open(self.dir / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["prometheus", f"--config.file={self.dir}/prometheus.yml", f"--storage.tsdb.path={self.dir}/data",
                 f"--web.listen-address=127.0.0.1:{self.port}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.dir, start_new_session=True)

    def _ask(self, expression):
        url = f"http://127.0.0.1:{self.port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]["result"]

    def query(self, expression):
        """The values of an instant query, in the order of their labels."""
        return [float(one["value"][1]) for one in sorted(self._ask(expression), key=lambda one: sorted(one["metric"].items()))]

    def history(self, selector, seconds):
        """The values of the last seconds, by the labels of what was selected."""
        return {str(one["metric"]): [float(value) for _, value in one["values"]] for one in self._ask(f"{selector}[{seconds}s]")}

    def wait(self, expression, holds, timeout=30):
        """Until the values of a query are as they are to be."""
        def now():
            try:
                return holds(self.query(expression))
            except (OSError, urllib.error.URLError):
                return False
        return eventually(now, timeout)

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.dir, ignore_errors=True)
