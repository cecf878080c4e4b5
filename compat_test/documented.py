"""What a page of the documentation shows: its blocks in order, and a directory in which they can be tried as they are written."""
import re
import shutil
import tempfile
from pathlib import Path

from certificates import Authority
from server import ROOT, free_port

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`([\w./@-]+\.(?:py|ini|json))`[^`]*$")  # named right before a block: that is its content
SYSTEM = re.compile(r"(?<![\w.%~/])/(srv|run|etc|var|usr/lib)(?![\w-])")
PORTS = re.compile(r"(?<![\d.\w])(8080|9000|9100|3031|1883)(?!\w)")

APP = """def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello\\n"]


app = application
"""
ASGI = """async def application(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"Hello\\n"})


app = application
"""
INI = "[uwsgi]\nhttp-socket = 127.0.0.1:8080\nmodule = app:application\nmaster = true\n"


class Block:
    """One block of a page: its language, its text, where it is, and the file that the sentence before it says it is."""

    def __init__(self, page, match):
        before = page[:match.start()]
        self.language, self.text = match.group(1), match.group(2)
        self.line = before.count("\n") + 1
        named = FILE.search(before.rstrip().rsplit("\n\n", 1)[-1])
        self.file = named.group(1) if named else None


def blocks(path):
    """The blocks of a page."""
    page = path.read_text(encoding="utf-8")
    return [Block(page, match) for match in BLOCK.finditer(page)]


def commands(text):
    """[(command, what the page shows as its output)] of a console block; a here-document belongs to its command."""
    found, end = [], None
    for line in text.splitlines():
        if end is not None:
            found[-1][0] += "\n" + line
            end = None if line == end else end
        elif line.startswith("$ "):
            found.append([line[2:], ""])
            here = re.search(r"<<(\w+)$", line)
            end = here.group(1) if here else None
        else:
            found[-1][1] += line + "\n"
    return [(command, output) for command, output in found]


class Machine:
    """A directory that stands for the machine of a page: /srv, /run and /etc are in it, its ports are free ones."""

    def __init__(self, files=None):
        self.root = Path(tempfile.mkdtemp(prefix="d", dir="/tmp"))  # short: sockets are in it
        self.root.chmod(0o755)
        self.ports, self.pair = {}, None
        self.home = self.root / "srv/shop"
        self.write("/srv/shop/app.py", APP)
        self.write("/srv/shop/asgi_app.py", ASGI)
        self.write("/srv/shop/shop/__init__.py", APP)
        self.write("/srv/shop/shop/wsgi.py", APP)
        self.write("/srv/shop/shop/web.py", ASGI)
        for name, text in (files or {}).items():
            self.write(f"/srv/shop/{name}", text)

    def local(self, text):
        """The text as it is true here."""
        text = SYSTEM.sub(lambda found: f"{self.root}/{found.group(1)}", text)
        text = text.replace("uid=shop", "uid=nobody")
        return PORTS.sub(lambda found: str(self.ports.setdefault(found.group(1), free_port())), text)

    def shown(self, text):
        """The other way round: what is printed here, as a page shows it."""
        text = text.replace(f"{self.root}/", "/")
        for port, here in self.ports.items():
            text = re.sub(rf"(?<!\d){here}(?!\d)", port, text)
        return text

    def write(self, name, text):
        path = self.root / name.lstrip("/") if name.startswith("/") else self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = self.local(text)
        path.write_text(text, encoding="utf-8")
        self.provide(text)

    def provide(self, text):
        """Makes what a text that is true here refers to and pages take for granted: directories, certificates, virtual environments."""
        for name in re.findall(rf"{self.root}/[\w./@-]+", text):
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                continue
            if path.suffix in (".crt", ".key"):
                self.pair = self.pair or Authority(self.root).issue("localhost")
                shutil.copy(self.pair[path.suffix == ".key"], path)
            elif path.name == "venv":
                path.symlink_to(ROOT / ".venv")
            elif path.name == "users" or path.suffix == ".cgi":
                path.write_text("")
            elif path.suffix == ".ini":
                path.write_text("[uwsgi]\n")
            elif not path.suffix:
                path.mkdir()

    def remove(self):
        shutil.rmtree(self.root)
