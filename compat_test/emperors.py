"""Emperors under test: their vassals listen on unix sockets of their own, and answer with what the configuration says."""
import json
import socket

from http_client import Broken, eventually, get

APP = """
import os
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.environ.get('VERSION')} {os.getuid()} {os.getgid()} {os.getppid()}".encode()]
"""
BROKEN = "[uwsgi]\nwsgi-file = missing.py\nneed-app = true\nmaster = true\nsocket = broken.sock\n"


def ini(name, version=1, *more):
    """The text of a configuration that serves on NAME.sock."""
    lines = [f"http-socket = {name}.sock", "wsgi-file = app.py", "master = true", f"env = VERSION={version}", *more]
    return "\n".join(["[uwsgi]", *lines, ""])


class Address:
    """A vassal as Load wants it."""

    keeps, context = True, None

    def __init__(self, path):
        self.port = path


class Emperor:
    """One emperor over the directory `vassals` of its server's directory."""

    def __init__(self, server, *args, vassals=None, source="vassals", files=None, **rest):
        given = {"vassals/app.py": APP, **{f"vassals/{name}": text for name, text in (vassals or {}).items()}, **(files or {})}
        sources = ["--emperor", source] if source else []
        self.server = server(args=[*sources, "--emperor-freq", 1, "--emperor-stats", "stats.sock", *args], files=given, **rest)
        self.dir = self.server.dir / "vassals"

    def address(self, name):
        return self.dir / f"{name}.sock"

    def write(self, name, text):
        return self.server.write(f"vassals/{name}", text)

    def version(self, name):
        """What a vassal says that its version is; None: nobody answers."""
        try:
            reply = get(self.address(name))
        except (OSError, Broken):
            return None
        return reply.text.split()[0] if reply.status == 200 else None

    def wait(self, name, version=1, timeout=20.0):
        """Until a vassal answers with that version (None: until nobody answers)."""
        expected = None if version is None else str(version)
        eventually(lambda: self.version(name) == expected, timeout)

    def identity(self, name):
        """A vassal's (uid, gid)."""
        return tuple(map(int, get(self.address(name)).text.split()[1:3]))

    def stats(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            eventually((self.server.dir / "stats.sock").exists)
            s.connect(str(self.server.dir / "stats.sock"))
            return json.loads(b"".join(iter(lambda: s.recv(65536), b"")))

    def vassal(self, name):
        """The line of a vassal in the statistics; None: there is none."""
        return next((one for one in self.stats()["vassals"] if one["id"] == name), None)

    def listed(self, name):
        """The line of a vassal on the list of those that have failed."""
        return next((one for one in self.stats()["blacklist"] if one["id"] == name), None)

    def loyal(self, name):
        """A vassal's line, once its application is loaded."""
        return eventually(lambda: (found := self.vassal(name)) and found["accepting"] and found, 20)
