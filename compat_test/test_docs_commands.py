"""The commands and configurations of the documentation, read from the pages and carried out."""
import os
import re
import shlex
import shutil
import signal
import subprocess

import pytest
from documented import APP, INI, Block, Machine, blocks, commands
from http_client import eventually
from server import BINARY, ROOT

PAGES = ["README.md", "docs/README.md", "CONTRIBUTING.md", "examples/cards/README.md", "examples/django/README.md",
         *(str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs").glob("*.md")) if page.name != "README.md")]

# Commands of pages that are not carried out here, and why.
ELSEWHERE = {
    "sudo": "changes the machine",
    "systemctl": "needs systemd",
    "journalctl": "needs systemd",
    "nginx": "changes the machine; test_examples.py has one of its own",
    "chown": "changes users of the machine",
    "pip": "loads packages; the tests have theirs",
    "uwsgi": "the other server; test_show_config_differential.py and others compare",
    "envoxy-alembic": "needs PostgreSQL: test_commands.py",
    "envoxy-celery": "needs redis: test_commands.py",
    "docker": "needs a container engine; packaging/test-image does what the page says without one",
    "helm": "needs a cluster; test_kubernetes.py renders the chart",
    "kubectl": "needs a cluster",
    "make": "runs all tests, or builds packages: CI does",
}
SHELL = {"cd", "mkdir", "touch", "echo", "cat", "cp", "export", ".venv/bin/python3", "python3"}
ASKS = {"--check", "--show-config", "--no-server", "--version", "--help", "--stop", "--reload", "--upgrade"}
WORDS = {"init", "options", "service", "completion"}

# Files that a page does not show, under the names that its commands use.
FILES = {
    "docs/check.md": {
        "site.ini": "[uwsgi]\nmaster = true\nvaccum = true\nstrict = true\nhttp-socket = 127.0.0.1:99999\nmanage-script-name = true\n"
                    "pidfile = /nope/x.pid\nprocesses = 4 ; four\nwsgi-file = admin.py\nmodule = shop.wsgi\nvirtualenv = /srv/venv\n",
        "admin.py": "application = print\n", "shop/__init__.py": "", "shop/wsgi.py": "import shop.models\n",
    },
    "docs/deployment.md": {"wsgi.py": APP},  # shop.wsgi, seen from /srv
    "docs/envoxy.md": {"envoxy.json": '{"boot": [{"name": "shop"}], "modules": ["views.py"]}', "views.py": "__loader__ = []\n"},
    "docs/migrating.md": {
        "shop.ini": "[uwsgi]\nchdir = /srv/shop\nvirtualenv = /srv/shop/venv\nmodule = app:application\nsocket = 127.0.0.1:3031\n"
                    "master = true\nprocesses = 4\npidfile = /run/shop.pid\nvaccum = true\nharakiri = 60 ; s\nlua-shell = true\n",
    },
}
# Many blocks are parts of a configuration; this makes them whole.
WHOLE = "http-socket = 127.0.0.1:0\nmodule = app:application\n"
NAMES_APPLICATION = re.compile(r"^(module|wsgi-file|asgi|mount|emperor|http-to|http-subscription-server|fastrouter) *=", re.MULTILINE)
# How much the pages that somebody follows step by step have at least.
LEAST = {"README.md": 4, "docs/getting-started.md": 15, "docs/deployment.md": 3, "examples/django/README.md": 7}
UNITS = ("[Unit]", "[Service]", "[Socket]")


class Session:
    """Somebody who follows a page at a terminal."""

    def __init__(self, page, tmp_path):
        self.page, self.cwd, self.servers, self.tmp = page, None, [], tmp_path
        self.machine = Machine({"site.ini": INI, "shop.ini": INI, **FILES.get(page, {})})
        self.cwd = self.machine.home if not page.startswith("examples/") else self.machine.root
        shutil.copytree(ROOT / "examples", self.cwd / "examples", ignore=shutil.ignore_patterns("__pycache__"))
        service = self.cwd / "examples/cards/envoxy.json"
        service.write_text(self.machine.local(service.read_text()))
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("UWSGI_")}
        self.env.update(VIRTUAL_ENV=str(ROOT / ".venv"), PYTHONDONTWRITEBYTECODE="1",
                        PATH=f"{BINARY.parent}:{ROOT}/.venv/bin:{os.environ['PATH']}")
        self.ran = 0

    def close(self):
        for process, _ in self.servers:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)
        self.machine.remove()

    def follow(self, block):
        """Carries out a block: a file is written, commands are run."""
        if block.file and block.language in ("python", "ini", "json"):
            name = block.file if not block.file.startswith("/") else self.machine.local(block.file)[len(str(self.machine.root)):]
            self.machine.write(name, block.text)
        if block.language == "ini":
            self.check(block)
        elif block.language == "json":
            self.check_service(block)
        elif block.language in ("console", "sh", "bash"):
            for command, output in commands(block.text):
                self.run(command, output)

    def check(self, block):
        """A configuration: nothing is wrong with it, and no name in it is unknown."""
        if block.text.startswith(UNITS):
            return
        text = block.text if "[uwsgi]" in block.text else "[uwsgi]\n" + block.text
        if not NAMES_APPLICATION.search(text):
            text += WHOLE
        self.machine.write("page.ini", text)
        self.machine.provide(self.machine.local(text))
        self.finished(self.execute("envoxyd --ini page.ini --check", self.machine.home), 0, block.text)

    def check_service(self, block):
        self.machine.write("page.json", block.text)
        secret = self.machine.root / "etc/shop/zmq.key"
        secret.parent.mkdir(parents=True, exist_ok=True)
        secret.write_text("JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6\n")
        self.finished(self.execute("envoxyd --set conf=page.json --http-socket 127.0.0.1:0 --check", self.machine.home), 0, block.text)

    def finished(self, done, status, what):
        text = done.stdout + done.stderr
        assert done.returncode == status, f"{what}\n{text}"
        assert "unknown option" not in text and "[WARNING]" not in text and "is nearly" not in text, f"{what}\n{text}"
        self.ran += 1
        return text

    def execute(self, command, cwd=None):
        return subprocess.run(["bash", "-c", command], cwd=cwd or self.cwd, env=self.env, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60)

    def run(self, command, output):
        command = self.machine.local(command)
        self.machine.provide(command)
        names = [name for name in (shlex.split(part, comments=True)[:1] for part in re.split(r"&&|\|", command.split("<<")[0])) if name]
        first = [name[0].rsplit("/", 1)[-1] if name[0].endswith("/pip") else name[0] for name in names]
        if command == "make run":
            recipe = re.search(r"^run:.*\n\t(bin/envoxyd .*)", (ROOT / "Makefile").read_text(), re.MULTILINE).group(1)
            values = {"BIND": "127.0.0.1", "PORT": self.machine.local("8080"), "VENV": ".venv"}
            broker = self.machine.local("--set conf.mqtt_servers.broker.bind=mqtt://127.0.0.1:1883")
            self.serve(re.sub(r"\$\((\w+)\)", lambda name: values[name.group(1)], recipe) + " " + broker, ROOT)
        elif "-m venv" in command:  # the tests' own has the packages
            (self.cwd / ".venv").symlink_to(ROOT / ".venv")
        elif any(name in ELSEWHERE for name in first):
            pass
        elif first[0] == "envoxyd":
            self.envoxyd(command, output)
        elif first[0] == "curl":
            self.curl(command, output)
        else:
            assert set(first) <= SHELL, f"{first}: a new kind of command: have it run, or say in ELSEWHERE why not"
            done = self.execute(f"set -e\n{command}\necho; pwd")
            assert done.returncode == 0, f"{command}\n{done.stderr}"
            self.cwd = type(self.cwd)(done.stdout.rsplit("\n", 2)[-2])
            for name, value in re.findall(r"^export (\w+)=(\w+)$", command):
                self.env[name] = value
            self.ran += 1

    def envoxyd(self, command, output):
        words = shlex.split(command, comments=True)[1:]
        if not ASKS & set(words) and words[0] not in WORDS:
            self.serve(command, self.cwd)
            return
        done = self.execute(command)
        if output:
            shown = self.machine.shown(done.stdout)
            assert normal(shown) == normal(output), f"{command}\n{done.stdout}{done.stderr}"
            self.ran += 1
        else:
            self.finished(done, 0, command)

    def serve(self, command, cwd):
        """Starts a server in place of the one before, and waits until it serves."""
        self.stop()
        log = self.tmp / f"{len(self.servers)}.log"
        with open(log, "wb") as out:
            process = subprocess.Popen(["bash", "-c", f"exec {command}"], cwd=cwd, env=self.env, stdin=subprocess.DEVNULL,
                                       stdout=out, stderr=out, start_new_session=True)
        self.servers.append((process, log))
        ready = re.compile(r"^spawned uWSGI worker 1 ", re.MULTILINE)
        eventually(lambda: process.poll() is not None or ready.search(log.read_text("utf-8", "replace")), 30)
        text = log.read_text("utf-8", "replace")
        assert process.poll() is None, f"{command}\n{text}"
        assert "unknown option" not in text and "unrecognized" not in text, f"{command}\n{text}"
        self.ran += 1

    def stop(self):
        """Ends the server that runs, as Control-C does."""
        if self.servers and self.servers[-1][0].poll() is None:
            self.servers[-1][0].send_signal(signal.SIGINT)
            assert self.servers[-1][0].wait(20) == 0, self.servers[-1][1].read_text("utf-8", "replace")

    def curl(self, command, output):
        """Asks the server that runs; what comes is what the page shows, but for times and numbers."""
        def answer():
            done = self.execute(command.replace("curl ", "curl -sS --fail-with-body ", 1) if "HTTP/1.1 " in output else f"{command} -sS")
            shown = self.machine.shown(done.stdout.replace("\r", ""))
            return done.returncode == 0 and (not output or normal(shown) == normal(output)) or shown + done.stderr
        last = None

        def right():
            nonlocal last
            last = answer()
            return last is True
        try:
            eventually(right, 10)
        except AssertionError:
            pytest.fail(f"{command}\n--- the page:\n{output}\n--- here:\n{last}")
        self.ran += 1


def normal(text):
    """A text without what differs from one run to the next."""
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(\+\d{4})?", "TIME", text)
    text = re.sub(r"Python 3\.\d+\.\d+ \([^)]*\)", "PYTHON", text)
    text = re.sub(r"\b(\d+\.\d+|\d{5,})\b", "N", text)
    text = re.sub(r"Content-Length: \d+", "Content-Length: N", text)
    return [line.rstrip() for line in text.strip().splitlines()]


@pytest.fixture
def follow(tmp_path):
    sessions = []

    def start(page):
        sessions.append(Session(page, tmp_path))
        return sessions[-1]

    yield start
    for session in sessions:
        session.close()


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_works(page, follow):
    session = follow(page)
    for block in blocks(ROOT / page):
        session.follow(block)
    session.stop()
    assert session.ran >= LEAST.get(page, 0), "the page's blocks are not found any more"


@pytest.mark.parametrize("language, text", [
    ("console", "$ envoxyd --ini shop.ini --chekc\n"),
    ("console", "$ envoxyd --http 127.0.0.1:8080 --wsgi-fiel app.py\n"),
    ("console", "$ envoxyd intit\n"),
    ("console", "$ frobnicate --all\n"),
    ("console", "$ envoxyd --ini shop.ini\n$ curl http://127.0.0.1:8080/\nHallo\n"),
    ("console", "$ cd nowhere\n"),
    ("ini", "[uwsgi]\nprocesess = 4\n"),
    ("ini", "processes = 4 ; four\n"),
    ("json", '{"mqtt_servers": {"a": {"bind": "http://x"}}}\n'),
])
def test_what_is_wrong_is_found(language, text, follow):
    session = follow("a page")
    page = f"# A page\n\n```{language}\n{text}```\n"
    (session.tmp / "page.md").write_text(page)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        for block in blocks(session.tmp / "page.md"):
            assert isinstance(block, Block)
            session.follow(block)
            session.stop()


INLINE = re.compile(r"`(envoxyd(?: [^`]*)?)`")


def misspelt(text, known):
    """Of the commands within sentences and tables: options and commands that do not exist."""
    for command in INLINE.findall(re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)):
        words = command.split()[1:]
        for word in words:
            name = word.split("=")[0].lstrip("-")
            if word.startswith("--") and name and name not in known:
                yield command
        if words and re.fullmatch(r"[a-z]+", words[0]) and words[0] not in WORDS:
            yield command


@pytest.fixture(scope="module")
def known():
    done = subprocess.run([BINARY, "--help"], capture_output=True, text=True, check=True)
    return set(re.findall(r"--([a-z0-9][a-z0-9-]+)", done.stdout)) | {"help", "version"}


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_sentences_exist(page, known):
    assert list(misspelt((ROOT / page).read_text(encoding="utf-8"), known)) == []


def test_a_misspelt_command_in_a_sentence_is_found(known):
    text = "say `envoxyd --ini x.ini --chekc`, `envoxyd optoins word`, or `envoxyd --ini x.ini --check`"
    assert list(misspelt(text, known)) == ["envoxyd --ini x.ini --chekc", "envoxyd optoins word"]
