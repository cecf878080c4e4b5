"""What commands for a service read: its envoxy.json as the server sees it."""
import importlib.util
import json
import os
import shutil
import subprocess
import sys

from ..utils.config import Config
from ..utils.server import options

FILE = "envoxy.json"
_HOME = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 5))  # of lib/envoxyd/modules/envoxy/tools


class NoService(Exception):
    """There is no configuration, or the server would not take it. The text says why."""


def split(argv):
    """(file, the other arguments): the file that --conf names, else envoxy.json where that exists, else None."""
    argv, file = list(argv), None
    for index, argument in enumerate(argv):
        if argument == "--conf" and index + 1 < len(argv):
            file = argv[index + 1]
            del argv[index:index + 2]
            break
        if argument.startswith("--conf="):
            file = argument[len("--conf="):]
            del argv[index]
            break
    if file is None and os.path.exists(FILE):
        file = FILE
    return file, argv


def use(file):
    """Make the file the configuration of this process, in which nothing is served, and its directory one to import from."""
    options()["conf_content"] = _read(file)
    Config.set_file_path(None)
    for directory in (os.path.dirname(os.path.abspath(file)), os.getcwd()):
        if directory not in sys.path:
            sys.path.insert(0, directory)


def models():
    """The service's modules with models: `models` of its packages, and beside its modules, from where they are imported."""
    found = [f"{package}.models" for package in Config.get("packages") or [] if importlib.util.find_spec(f"{package}.models")]
    for file in Config.get("modules") or []:
        directory = os.path.dirname(os.path.abspath(file))
        if os.path.exists(os.path.join(directory, "models.py")):
            sys.path.insert(0, directory)
            found.append("models")
    return list(dict.fromkeys(found))


def _read(file):
    """The server knows what the environment adds, and both spellings of keys. Where it is not installed the file counts as it is."""
    program = _program()
    if program is None:
        try:
            with open(file, encoding="utf-8") as text:
                return json.load(text)
        except (OSError, ValueError) as error:
            raise NoService(f"{file}: {error}") from None
    done = subprocess.run([program, "service", file], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        raise NoService(done.stderr.decode(errors="replace").strip())
    sys.stderr.write(done.stderr.decode(errors="replace"))
    return json.loads(done.stdout)


def _program():
    beside = os.path.join(_HOME, "bin", "envoxyd")
    return beside if os.access(beside, os.X_OK) else shutil.which("envoxyd")
