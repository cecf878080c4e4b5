"""The recipes of docs/deployment.md, and applications for them."""
import re
import shutil
from pathlib import Path

from dockerfile import Error

ROOT = Path(__file__).resolve().parent.parent.parent
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

APPLICATION = '''"""What the checks ask of a WSGI application; it needs a package that the recipe has to install."""
import os
import tempfile
import time
from pathlib import Path

import flask

application = flask.Flask(__name__)


@application.get("/version")
def version():
    return "VERSION"


@application.get("/who")
def who():
    return f"{os.getuid()}:{os.getgid()} {os.environ['HOME']}"


@application.get("/home")
def home():
    os.close(tempfile.mkstemp(dir=Path.home())[0])
    return "written"


@application.get("/slow")
def slow():
    print("slow has begun")
    time.sleep(2)
    return "slow has ended"


@application.post("/body")
def body():
    return str(len(flask.request.get_data()))


@application.get("/orphan")
def orphan():
    """A child's child that outlives its parent: process 1 inherits it. The answer is its number."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        grandchild = os.fork()
        if not grandchild:
            time.sleep(1)
            os._exit(0)
        os.write(write, str(grandchild).encode())
        os._exit(0)
    os.waitpid(child, 0)
    return os.read(read, 20).decode()


@application.get("/broken")
def broken():
    flask.abort(500)
'''


def blocks(page, heading):
    """The code blocks below a heading of the second level: pairs of the language and the text."""
    _, found, rest = page.partition(f"\n## {heading}\n")
    if not found:
        raise Error(f"there is no heading {heading}")
    return BLOCK.findall(rest.partition("\n## ")[0])


class Recipes:
    """Those of the section about containers, known by the image that each is made FROM, and the one of README.md."""

    def __init__(self):
        found = blocks((ROOT / "docs/deployment.md").read_text(), "Containers")
        by_base = {base(text): text for language, text in found if language == "dockerfile"}
        self.wsgi, self.envoxy = by_base.pop("envoxyd"), by_base.pop("envoxyd:envoxy")
        (self.python, self.own), = by_base.items()
        compose, = [text for language, text in found if language == "yaml"]
        self.health_url = re.search(r"HEALTH_URL: (\S+)", compose)[1]
        self.ini, = [text for language, text in found if language == "ini"]
        self.readme, = [text for language, text in blocks((ROOT / "README.md").read_text(), "Install") if language == "dockerfile"]


def base(text):
    return re.search(r"^FROM (\S+)", text, re.MULTILINE)[1]


def wsgi_context(directory, ini):
    """The files of the WSGI recipe: requirements.txt, shop.ini of the page, the package shop."""
    (directory / "shop").mkdir(parents=True)
    (directory / "requirements.txt").write_text("flask>=2.2\n")
    (directory / "shop.ini").write_text(ini)
    (directory / "shop/__init__.py").write_text("")
    write_version(directory / "shop/wsgi.py", "1")
    return directory


def write_version(file, version):
    file.write_text(APPLICATION.replace("VERSION", version))


def envoxy_context(directory):
    shutil.copytree(ROOT / "examples/cards", directory, ignore=shutil.ignore_patterns("__pycache__"))
    return directory
