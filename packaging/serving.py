#!/usr/bin/env python3
"""serving.py [--user USER] --programs PROGRAM,... EXAMPLES COMMAND...: whether installed programs serve, and go on while they are replaced.

Copies of EXAMPLES/cards and EXAMPLES/django and a Flask application are served and reloaded. COMMAND then puts another version in place,
and each server is told to take it: by HUP, as `systemctl reload` does, or by USR2. Clients ask all the time; no request may fail.
"""
import argparse
import http.client
import itertools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

FLASK = "from flask import Flask\n\napp = Flask(__name__)\napp.add_url_rule('/', view_func=lambda: 'served')\n"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def eventually(what, check, timeout=90.0):
    deadline = time.monotonic() + timeout
    while not check():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout:.0f} seconds")
        time.sleep(0.05)


def runs(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def mapped(pid):
    """The files whose code that process executes."""
    try:
        return [os.readlink(f"/proc/{pid}/exe"), *(line.split(None, 5)[-1].strip() for line in open(f"/proc/{pid}/maps"))]
    except OSError:  # it has ended
        return []


class App:
    """An application in a directory of its own, its server, and a client that asks without a pause."""

    def __init__(self, name, directory, path, *args):
        self.name, self.directory, self.path, self.args = name, directory, path, args
        self.port, self.answers, self.failures, self.over = free_port(), 0, [], threading.Event()

    def start(self, program, user):
        who = ["--uid", user, "--gid", user] if user else []
        for path in [self.directory, *self.directory.rglob("*")] if user else ():
            shutil.chown(path, user, user)
        self.log = open(self.directory / "server.log", "w+", encoding="utf-8")
        common = ["--master", "--processes", "2", "--http-socket", f"127.0.0.1:{self.port}", "--pidfile", "server.pid", "--disable-logging"]
        self.process = subprocess.Popen(
            [program, *common, *who, *self.args], cwd=self.directory, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        eventually(f"{self.name} serves", lambda: self.process.poll() is not None or self.ask() is None)
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name}: {program} has ended with status {self.process.returncode}")
        self.client = threading.Thread(target=self._ask_on)
        self.client.start()

    def ask(self):
        """One request on a connection of its own; what was wrong with it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", self.path)
            answer = connection.getresponse()
            answer.read()
            return None if answer.status == 200 else f"status {answer.status}"
        except (OSError, http.client.HTTPException) as error:
            return repr(error)
        finally:
            connection.close()

    def _ask_on(self):
        while not self.over.wait(0.005):
            wrong = self.ask()
            if wrong:
                self.failures.append(wrong)
            self.answers += 1

    def master(self):
        """Its pid; 0 while the pidfile is not there."""
        path = self.directory / "server.pid"
        return int((path.read_text() if path.exists() else "").strip() or 0)

    def text(self):
        return (self.directory / "server.log").read_text("utf-8", "replace")

    def reload(self):
        count = self.text().count("gracefully (RE)spawned")
        os.kill(self.master(), signal.SIGHUP)
        eventually(f"{self.name} reloads", lambda: self.text().count("gracefully (RE)spawned") > count)

    def upgrade(self, number):
        old = self.master()
        os.kill(old, number)
        eventually(f"{self.name}: another master after signal {number}",
                   lambda: self.process.poll() is not None and not runs(old) and self.master() not in (0, old))
        eventually(f"{self.name}: only new programs run", lambda: not self.deleted())

    def deleted(self):
        """What processes in this directory still run of the files that were replaced."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.path.samefile(entry / "cwd", self.directory):
                    found += [file for file in mapped(entry.name) if "envoxyd" in file and file[0] == "/" and file.endswith(" (deleted)")]
            except OSError:
                pass
        return [file for file in found if not file.startswith(("/dev/", "/memfd:"))]

    def more(self, count):
        goal = self.answers + count
        eventually(f"{self.name}: {count} more answers", lambda: self.answers >= goal)

    def stop(self):
        self.over.set()
        self.client.join()
        pid = self.master()
        os.kill(pid, signal.SIGTERM)
        eventually(f"{self.name} stops", lambda: self.process.poll() is not None and not runs(pid))


    def give_up(self):
        """Shows the log, and ends what still runs."""
        self.over.set()
        if not hasattr(self, "process"):
            return
        print(f"--- log of {self.name}\n{self.text()[-6000:]}", file=sys.stderr)
        self.process.poll()
        for pid in {self.process.pid, self.master()}:
            if pid and runs(pid):
                os.kill(pid, signal.SIGKILL)


def apps(examples, work):
    cards, flask, django = work / "cards", work / "flask", work / "django"
    shutil.copytree(examples / "cards", cards)
    conf = (cards / "envoxy.json").read_text()
    assert "1883" in conf
    (cards / "envoxy.json").write_text(conf.replace("1883", str(free_port())))
    flask.mkdir()
    (flask / "app.py").write_text(FLASK)
    shutil.copytree(examples / "django", django)
    (django / "spool").mkdir()
    subprocess.run([sys.executable, "manage.py", "migrate"], cwd=django, check=True, stdout=subprocess.DEVNULL)
    return [App("cards", cards, "/v1/cards", "--set", "conf=envoxy.json"), App("Flask", flask, "/", "--module", "app:app"),
            App("Django", django, "/", "--module", "shop.wsgi:application", "--spooler", "spool")]


def check(served, programs, user, command):
    for app, program in zip(served, itertools.cycle(programs)):
        app.start(program, user)
    for app in served:
        app.more(20)
        app.reload()
        app.more(20)
    before = subprocess.check_output([programs[0], "--version"], text=True).strip()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = subprocess.check_output([programs[0], "--version"], text=True).strip()
    assert before != after, f"{command} has not replaced {before}"
    for app, number in zip(served, itertools.cycle([signal.SIGHUP, signal.SIGUSR2])):
        app.more(20)  # with the files of both versions in use
        app.upgrade(number)
        app.more(20)
        app.reload()
    for app in served:
        app.stop()
        assert not app.failures, f"{app.name}: {len(app.failures)} of {app.answers} requests have failed: {app.failures[:3]}"
    count = sum(app.answers for app in served)
    print(f"{', '.join(app.name for app in served)}: {count} requests over reloads and the change from {before} to {after}, none failed")


def main():
    line = argparse.ArgumentParser(description=__doc__)
    line.add_argument("--user", default="")
    line.add_argument("--programs", required=True, type=lambda text: text.split(","))
    line.add_argument("examples", type=Path)
    line.add_argument("command", nargs=argparse.REMAINDER)
    asked = line.parse_args()
    with tempfile.TemporaryDirectory() as work:
        os.chmod(work, 0o755)
        served = apps(asked.examples, Path(work))
        try:
            check(served, asked.programs, asked.user, asked.command)
        except BaseException:
            for app in served:
                app.give_up()
            raise


if __name__ == "__main__":
    main()
