"""screenshot.py PNG [SECONDS]: a shop under load for some minutes, and its status page as Chromium shows it.

It wants what the black-box tests want, chromium, and Pillow for a small file. `make screenshot` runs it.
"""
import json
import random
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "compat_test"))
from chromium import Browser  # noqa: E402
from PIL import Image  # noqa: E402
from server import free_port  # noqa: E402
from services import Service  # noqa: E402

SHOP = """
import random

@on(endpoint="/v1/orders", protocols=["http"])
class Orders(View):
    def get(self, request, **rest):
        time.sleep(random.lognormvariate(-5.6, 0.7))
        return Response({"orders": []})

@on(endpoint="/v1/report", protocols=["http"])
class Report(View):
    def get(self, request, **rest):
        time.sleep(20)
        return Response({})

@on(endpoint="/v1/stock", protocols=["http"])
class Stock(View):
    def get(self, request, **rest):
        raise RuntimeError("no stock")

__loader__ = [Orders, Report, Stock]
"""


def ask(port, path):
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60).read()
    except (urllib.error.URLError, OSError):
        pass


def visit(port, over):
    """A client that comes and goes."""
    began = time.monotonic()
    while not over.is_set():
        ask(port, "/v1/orders?customer=%d" % random.randrange(1000) if random.random() > 0.002 else "/v1/stock")
        time.sleep(random.expovariate(60 + 40 * ((time.monotonic() - began) % 120) / 120))


def main():
    target, seconds = sys.argv[1], float(sys.argv[2] if len(sys.argv) > 2 else 300)
    port, broker, gone = free_port(), free_port(), free_port()
    shop = Service(SHOP, {
        "boot": [{"name": "shop"}], "log": {"level": 0},
        "mqtt_servers": {"broker": {"bind": f"mqtt://127.0.0.1:{broker}", "embedded": True}},
        "redis_servers": {"cache": {"bind": f"127.0.0.1:{gone}"}},
    }, args=["--status-page", str(port), "--processes", "4", "--harakiri", "30", "--disable-logging"])
    over = threading.Event()
    try:
        shop.start()
        clients = [threading.Thread(target=visit, args=(shop.port, over), daemon=True) for _ in range(3)]
        for one in clients:
            one.start()
        time.sleep(seconds * 0.4)
        shop.signal(signal.SIGHUP)
        time.sleep(seconds * 0.3)
        shop.module += "import warehouse\n"
        shop.put()
        shop.signal(signal.SIGHUP)
        time.sleep(seconds * 0.3)
        threading.Thread(target=ask, args=(shop.port, "/v1/report?month=2026-10"), daemon=True).start()
        time.sleep(7)
        with Browser(1200, 1000) as browser:
            browser.open(f"http://127.0.0.1:{port}/")
            browser.until("document.documentElement.dataset.ready === 'yes'")
            browser.until("document.querySelectorAll('#workers tbody tr').length === 4")
            browser.size(1200, browser.value("document.documentElement.scrollHeight"))
            browser.until("new Promise(done => setTimeout(() => done(true), 1200))")
            browser.screenshot(target)
            if browser.problems:
                sys.exit(json.dumps(browser.problems))
    finally:
        over.set()
        shop.close()
    Image.open(target).convert("RGB").quantize(128).save(target, optimize=True)
    print(f"{target}: {Path(target).stat().st_size} bytes")


if __name__ == "__main__":
    main()
