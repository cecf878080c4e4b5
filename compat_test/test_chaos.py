"""Everything at once, at random: processes are killed and stopped, code breaks and is mended, commands come in, the executable is
replaced. Only requests inside a worker that was killed fail, and in the end the server is as if it had just been started.

CHAOS_SECONDS is how long each variant lasts; CHAOS_SEED, which is printed, chooses the course (no two are equal: time has its part).
"""
import json
import os
import random
import re
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from apps import ANSWER
from broker import Broker, Peer
from http_client import Broken, eventually, get
from load import Load
from server import alive
from services import NOTE
from test_upgrade import Upgraded, installed  # noqa: F401 (a fixture)
from transports import nginx

SECONDS = float(os.environ.get("CHAOS_SECONDS", "45"))
SEED = int(os.environ.get("CHAOS_SEED", "0")) or random.randrange(1, 1 << 32)
KEEP = os.environ.get("CHAOS_KEEP")  # a directory for the logs
THREADS, WORKERS = 2, 4
MEGABYTES = 6  # by which the memory of two masters may differ: Go's collector frees when it likes
FILES = ["touched", "touched-workers", "chained"]
ARGS = ["--master", "--processes", WORKERS, "--threads", THREADS, "--disable-logging", "--log-date", "--pidfile", "server.pid",
        "--stats", "stats.sock", "--master-fifo", "fifo", "--touch-reload", FILES[0], "--touch-workers-reload", FILES[1],
        "--touch-chain-reload", FILES[2]]

# Notes in `entered` which request is in which process, then takes up to 20 ms, and now and then 300.
BODY = """
import os, random, time
notes = os.open("entered", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def work(number):
    os.write(notes, f"{number} {os.getpid()}\\n".encode())
    time.sleep(0.3 if random.random() < 0.02 else random.random() / 50)
    return f"VERSION {os.getpid()}"
with open("zygote.new", "w") as file:
    file.write(str(os.getpid()))
os.replace("zygote.new", "zygote")
"""
WSGI = BODY + ANSWER + """
def application(environ, start_response):
    return answer(start_response, work(environ["PATH_INFO"][3:]))
"""
VIEWS = NOTE.format(dir="") + BODY + """
@on(endpoint="/w/{number:str}", protocols=["http"])
class Work(View):
    def get(self, request, number, **kwargs):
        return Response(work(number))

@on(endpoint="/in/#", protocols=["mqtt"], server="broker", qos=1)
class In(View):
    def on_event(self, client, userdata, message):
        note(n=int(message.payload))

__loader__ = [Work, In]
"""
BROKEN = ["raise RuntimeError('no such luck')", "def application(:", "import os; os._exit(7)", "raise SystemExit(3)",
          "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "import a_module_that_is_not_there"]


def children(pid):
    """Pids of the children, zombies too."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []


def kind(pid):
    """master, python, gateway or something else."""
    try:
        return os.readlink(f"/proc/{pid}/exe").rpartition("/")[2]
    except OSError:
        return "gone"


def descriptors(pid):
    """How many descriptors of each kind a process has."""
    kinds = Counter()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            kinds[re.sub(r"\d+", "N", os.readlink(entry).rpartition("/")[2])] += 1
        except OSError:
            pass
    return kinds


def megabytes(pid):
    """Memory of its own: pages of the program come as they are used, which is no leak."""
    return int(re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


class Instance:
    """A server behind a real nginx."""

    def __init__(self, server, args, binary, conf):
        self.file, self.text = ("service.py", VIEWS) if conf else ("app.py", WSGI)
        self.transport, self.version = nginx(), 1
        files = {self.file: self.code(), **{name: "" for name in FILES}}
        if conf:
            args = [*args, "--set", "conf=envoxy.json"]
            files["envoxy.json"] = json.dumps(
                {"log": {"level": 6}, "boot": [{"name": "tested"}], "modules": ["service.py"], **conf})
        else:
            args = [*args, "--wsgi-file", "app.py"]
        self.running = server(self.transport, [*ARGS, *args], files=files, binary=binary)
        self.upgraded = Upgraded(self.running)
        eventually(self.serves, 20)
        self.running.wait_log("spawned uWSGI master process")  # the last line of a start: all workers are there

    def code(self):
        return self.text.replace("VERSION", str(self.version))

    def put(self):
        """Good code of another version."""
        self.version += 1
        self.running.write(self.file, self.code())

    def master(self):
        return self.upgraded.pid()

    def children(self):
        return [pid for pid in children(self.master()) if alive(pid)]

    def zygote(self):
        try:
            return int((self.running.dir / "zygote").read_text())
        except (OSError, ValueError):
            return 0

    def of_kind(self, name):
        return [pid for pid in self.children() if name in kind(pid) and pid != self.zygote()]

    def serves(self):
        """Whether the newest code does."""
        try:
            return get(self.transport.port, "/w/0", 30).text.strip('"').startswith(f"{self.version} ")
        except (OSError, Broken):
            return False

    def counted(self):
        return Counter(kind(pid) for pid in self.running.processes())

    def settle(self, processes):
        """A last good reload, until there are so many processes of each kind; without one, as many as serve a second."""
        eventually(lambda: self.counted()["envoxyd"] == 1, 90)  # an upgrade may be under way
        self.put()
        os.kill(self.master(), signal.SIGHUP)
        eventually(self.serves, 60)
        try:
            eventually(lambda: self.counted() == processes, 40, 0.2)
        except AssertionError:
            raise AssertionError(f"{self.counted()} processes, not {processes}") from None
        eventually(lambda: all(map(alive, children(self.master()))))
        # The processes of the generation before are gone a moment earlier than what the master holds for it.
        eventually(lambda: descriptors(self.master())["memfd:envoxyd-scoreboard (deleted)"] == 1)

    def close(self):
        self.transport.close()


class Chaos:
    """What happens to an instance; log tells it, killed has the time at which each process was killed."""

    def __init__(self, instance, seed, upgrades, load, messages):
        self.instance, self.random, self.load, self.messages = instance, random.Random(seed), load, messages
        self.log, self.killed, self.stopped = [], {}, {}
        self.brutal = []  # when all workers were killed by command
        self.started, self.broken_since = time.monotonic(), 0
        self.deeds = {
            self.kill_worker: 6, self.kill_zygote: 3, self.kill_any: 2, self.kill_gateway: 2, self.stop_any: 5, self.stop_zygote: 2,
            self.reload_good: 5, self.reload_broken: 3, self.touch: 4, self.command: 8, self.swing: 3, self.upgrade: 2 * upgrades,
            self.storm: 1}

    def run(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            deed = self.random.choices(list(self.deeds), self.deeds.values())[0]
            deed()
            self.messages.send()
            self.wait(self.random.choice([0, 0.01, 0.1, 0.3, 1]) * self.random.random())
        for pid in list(self.stopped):
            self.proceed(pid)

    def wait(self, seconds):
        """The pause before the next deed; what was stopped or broken is not so for ever."""
        end = time.monotonic() + seconds
        while True:
            now = time.monotonic()
            for pid, until in list(self.stopped.items()):
                if until < now:
                    self.proceed(pid)
            if self.broken_since and now - self.broken_since > 4:
                self.reload_good()
            if now >= end:
                return
            time.sleep(min(0.05, end - now))

    def tell(self, *what):
        self.log.append(f"{time.monotonic():.3f} {time.strftime('%H:%M:%S')} " + " ".join(map(str, what)))

    def signal(self, pid, number, what):
        if not pid or pid == self.instance.master() or pid not in self.instance.running.processes():
            return
        self.tell(signal.Signals(number).name, pid, what)
        if number == signal.SIGKILL:
            self.killed[pid] = time.monotonic()
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    def one(self, pids):
        return self.random.choice(sorted(pids)) if pids else 0

    def kill_worker(self):
        self.signal(self.one(self.instance.of_kind("python")), signal.SIGKILL, "worker")

    def kill_zygote(self):
        self.signal(self.instance.zygote(), signal.SIGKILL, "zygote")

    def kill_gateway(self):
        self.signal(self.one(self.instance.of_kind("gateway")), signal.SIGKILL, "gateway")

    def kill_any(self):
        self.signal(self.one(self.instance.children()), signal.SIGKILL, "child")

    def stop(self, pid, what):
        self.stopped[pid] = time.monotonic() + 1.5 * self.random.random()
        self.signal(pid, signal.SIGSTOP, what)

    def stop_any(self):
        self.stop(self.one(self.instance.children()), "child")

    def stop_zygote(self):
        self.stop(self.instance.zygote(), "zygote")

    def proceed(self, pid):
        del self.stopped[pid]
        self.signal(pid, signal.SIGCONT, "")

    def hup(self):
        os.kill(self.instance.master(), signal.SIGHUP)

    def reload_good(self):
        self.instance.put()
        self.broken_since = 0
        self.tell("HUP, good code", self.instance.version)
        self.hup()

    def reload_broken(self):
        text = self.random.choice(BROKEN)
        self.tell("HUP,", text)
        self.instance.running.write(self.instance.file, text)
        self.broken_since = self.broken_since or time.monotonic()
        self.hup()

    def storm(self):
        self.tell("HUP 20 times")
        for _ in range(20):
            self.hup()

    def touch(self):
        name = self.random.choice(FILES)
        self.tell("touch", name)
        os.utime(self.instance.running.dir / name)

    def command(self):
        text = self.random.choices(["r", "w", "c", "pp", "+", "-", "l", "P", "R", "W"], [4, 4, 4, 2, 2, 2, 1, 1, 0.5, 0.5])[0]
        try:
            fifo = os.open(self.instance.running.dir / "fifo", os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            self.tell("fifo:", error)  # between two masters
            return
        self.tell("fifo", text)
        if text in "RW":
            self.brutal.append(time.monotonic())
        with os.fdopen(fifo, "w") as file:
            file.write(text)

    def swing(self):
        self.load.pause = self.random.choice([0, 0, 0.05, 0.5])
        self.tell("load: pause of", self.load.pause)

    def upgrade(self):
        self.tell("USR2")
        os.kill(self.instance.master(), signal.SIGUSR2)


class Clients(Load):
    """Clients that may be slowed down, and wait long: what a stopped worker has is late, not lost."""

    def __init__(self, transport):
        self.pause = 0
        super().__init__(transport, clients=6, path="/w/{number}", timeout=40)

    def between(self):
        if self.pause:
            time.sleep(self.pause)


def unexcused(requests, entered, chaos):
    """The failed requests that no kill explains: those were in a killed process, or a kill struck while they were on their way."""
    left = []
    for request in requests:
        inside = entered.get(request.number)
        moments = [chaos.killed[inside]] if inside in chaos.killed else list(chaos.killed.values()) if inside is None else []
        # A brutal reload kills when the new generation serves, which may be a while after the command.
        if any(request.sent <= moment + 0.01 and request.ended < moment + 1 for moment in moments):
            continue
        if any(moment < request.ended < moment + 15 for moment in chaos.brutal):
            continue
        left.append((request, f"entered {inside}, killed {chaos.killed.get(inside)}"))
    return left


def entered(running):
    lines = (running.dir / "entered").read_text().splitlines()
    return {int(number): int(pid) for number, pid in map(str.split, lines)}


class State:
    """What a master holds."""

    def __init__(self, instance):
        master = instance.master()
        self.descriptors, self.rss = descriptors(master), megabytes(master)

    def __repr__(self):
        return f"{self.rss:.1f} MB, {sum(self.descriptors.values())} descriptors: {dict(self.descriptors)}"

    def more(self, before):
        """The descriptors that there were not before, or no longer are."""
        return {name: self.descriptors[name] - before.descriptors[name] for name in {*self.descriptors, *before.descriptors}
                if self.descriptors[name] != before.descriptors[name]}


class Messages:
    """Numbered messages to a service, each of which must be handled."""

    def __init__(self, broker):
        self.peer, self.sent = broker and Peer(broker), 0

    def send(self):
        for _ in range(10 if self.peer else 0):
            self.peer.publish(f"/in/{self.sent % 7}", str(self.sent))
            self.sent += 1

    def missing(self, running):
        """Numbers of those that have not been handled."""
        sink = running.dir / "sink"
        handled = {json.loads(line)["n"] for line in sink.read_text().splitlines()} if sink.exists() else set()
        return set(range(self.sent)) - handled

    def close(self):
        if self.peer:
            self.peer.close()


VARIANTS = {
    "fixed": [],
    "cheaper": ["--cheaper", "1", "--cheaper-overload", "1", "--cheaper-algo", "spare"],
    "upgrades": ["--vacuum"],
    "service": [],
}


@pytest.fixture
def broker():
    made = Broker(verbose=False)
    yield made
    made.close()


@pytest.fixture
def instance(server):
    made = []

    def start(*args):
        made.append(Instance(server, *args))
        return made[-1]

    yield start
    for one in made:
        one.close()


@pytest.mark.parametrize("variant", VARIANTS)
def test_chaos(instance, request, variant):
    print(f"CHAOS_SEED={SEED}")
    binary = request.getfixturevalue("installed") if variant == "upgrades" else None
    broker = request.getfixturevalue("broker") if variant == "service" else None
    tested = instance(VARIANTS[variant], binary, broker and {"mqtt_servers": {"broker": {"bind": f"mqtt://127.0.0.1:{broker.port}"}}})
    messages = Messages(broker)
    processes = tested.counted()
    tested.settle(processes)
    before = State(tested)
    with Clients(tested.transport) as load:
        load.wait_for(50)
        chaos = Chaos(tested, SEED, variant == "upgrades", load, messages)
        try:
            chaos.run(SECONDS)
            load.pause = 0.5  # so little that cheap workers go
            tested.settle(processes)
        finally:
            print(*chaos.log, sep="\n")
            if KEEP:
                shutil.copy(tested.running.log_path, f"{KEEP}/{variant}-{SEED}.server.log")
                Path(f"{KEEP}/{variant}-{SEED}.deeds").write_text("\n".join(chaos.log))
                Path(f"{KEEP}/{variant}-{SEED}.ps").write_text(os.popen("ps -eo pid,ppid,stat,wchan:20,etimes,args --forest").read())
    failures = load.failures()
    print(f"{len(load.requests)} requests, {len(failures)} failed; {len(chaos.log)} deeds, {len(chaos.killed)} killed; "
          f"longest {max(r.ended - r.sent for r in load.requests):.1f} s")
    if left := unexcused(failures, entered(tested.running), chaos):
        pytest.fail("\n".join(map(str, left)))
    eventually(lambda: messages.missing(tested.running) == set(), 30)
    messages.close()
    # The descriptors of what is under way for a moment go again.
    end = time.monotonic() + 10
    while (after := State(tested)).more(before) and time.monotonic() < end:
        time.sleep(0.2)
    print(before, after, sep="\n")
    assert after.more(before) == {}
    assert after.rss < before.rss + MEGABYTES
    assert "panic" not in tested.running.log()
