"""systemd's watchdog for services that drive it themselves; envoxyd's master does so by boot[0].keep_alive."""
import os
import socket
import threading
import urllib.error
import urllib.request

from .config import Config
from .logs import Log
from .singleton import Singleton

_TOLERATED = 3  # failed health checks in a row that still count as alive


def notify(msg):
    """Send a state to systemd (sd_notify(3)); False when no service manager listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(msg.encode(), address)
    except OSError as error:
        Log.error(f"systemd cannot be notified: {error}")
        return False
    return True


class Watchdog(Singleton):
    """Sends WATCHDOG=1 every interval - 1 seconds while the service's own /_health answers."""

    def __init__(self, interval):
        self.interval = interval
        self.thread = None

    def start(self):
        """Start the thread, once; it sends a first sign at once."""
        if self.thread is not None or not self.interval or self.interval <= 0:
            return
        self.thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
        self.thread.start()

    def _run(self):
        pause = threading.Event()
        failed = 0
        while failed <= _TOLERATED:
            notify("WATCHDOG=1")
            pause.wait(max(self.interval - 1, 0.1))
            failed = 0 if _is_healthy() else failed + 1
        Log.alert(f"The watchdog gives up: /_health failed {failed} times")


def _is_healthy():
    boot = Config.get("boot")
    bind = (boot[0].get("http") or {}).get("bind") if boot else None
    if not bind:
        return True
    url = bind if "://" in bind else "http://" + ("127.0.0.1" + bind if bind.startswith(":") else bind)
    try:
        with urllib.request.urlopen(url.rstrip("/") + "/_health", timeout=5) as reply:
            return reply.status == 200
    except (OSError, ValueError):
        return False
