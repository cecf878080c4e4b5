"""What images have to do. A check returns what it has verified, in words, or raises Failure."""
import copy
import re
import signal
from contextlib import contextmanager

from builder import Image
from container import Container, Failure, until
from recipes import write_version

OWN = "10001:10001 /home/envoxyd"  # who serves when nothing else is asked for
ANY = "12345:0"


def expect(found, wanted, what):
    if found != wanted:
        raise Failure(f"{what}: {found!r}, not {wanted!r}")


class Checks:
    def __init__(self, name, image, work):
        """name: what the lines begin with."""
        self.name, self.image, self.work, self.passed = name, image, work, 0

    def say(self, what):
        self.passed += 1
        print(f"{self.name}: {what}", flush=True)

    @contextmanager
    def container(self, ready="", **options):
        """One that serves the path ready; "": it need not."""
        with Container(self.image, self.work / "log", **options) as container:
            if ready:
                until(lambda: answers(container, ready), f"{ready} answers 200")
            yield container

    def stops(self, container):
        expect(container.stop(), 0, "status after TERM")

    def drains(self, container, path, log):
        """A request in progress when TERM comes is answered, and then the status is 0."""
        since = len(container.log())
        answer = container.request(path)
        container.wait_log(log, since)
        container.kill(signal.SIGTERM)
        expect(answer(), (200, "slow has ended"), "a request in progress at TERM")
        expect(container.wait(), 0, "status after TERM")


def answers(container, path):
    if container.process.poll() is not None:
        raise Failure(f"it has ended with status {container.process.returncode}")
    try:
        return container.request(path)()[0] == 200
    except OSError:
        return False


def healthy(container):
    status, output = container.health()
    expect(status, 0, f"health check ({output.strip()})")


def unhealthy(container, why):
    status, output = container.health()
    if status != 1 or not re.search(why, output):
        raise Failure(f"health check: status {status}, {output.strip()!r}, not 1 and {why!r}")


def with_config(image, **changed):
    config = copy.deepcopy(image.config)
    for name, value in changed.items():
        setattr(config, name, value)
    return Image(image.root, config)


def check_wsgi(checks, health_url):
    """An image of the WSGI recipe; health_url is that of the compose file."""
    with checks.container(ready="/version") as container:
        expect(container.get("/who"), OWN, "the user of the application")
        checks.say(f"serves as {OWN}")
        container.get("/home")
        checks.say("the home exists and can be written to")
        healthy(container)
        checks.say("healthy by a TCP connection")
        container.env = {"HEALTH_URL": health_url}
        healthy(container)
        checks.say(f"healthy by {health_url} of the compose file")
        container.env = {"HEALTH_URL": "http://127.0.0.1:8080/broken"}
        unhealthy(container, "status 500")
        checks.say("unhealthy by a path that answers 500")
        reaps(checks, container)
        reloads(checks, container)
        checks.drains(container, "/slow", "slow has begun")
        checks.say("TERM: a request in progress is answered, then status 0; print() is in the log at once")
    with checks.container(entrypoint=["sleep", "60"], cmd=[]) as container:
        unhealthy(container, "refused")
        checks.say("unhealthy where nothing listens")
    with checks.container(ready="/version", user=ANY) as container:
        expect(container.get("/who"), f"{ANY} /home/envoxyd", "the user of the application")
        container.get("/home")
        checks.say(f"--user {ANY}: the home can be written to")
    everywhere(checks, "/version", lambda container: expect(container.get("/body", b"x" * 9_000_000), "9000000", "a body of 9 MB"))


def check_forgotten(checks):
    """The same without USER, as root."""
    checks.image = with_config(checks.image, user="")
    with checks.container(ready="/version") as container:
        expect(container.get("/who"), OWN, "the user of the application")
        _, pid1 = container.execute("cat", "/proc/1/status")
        expect(re.search(r"Uid:\s+(.*)", pid1)[1].split(), ["10001"] * 4, "the user of process 1")
        checks.stops(container)
        checks.say(f"without USER: process 1 and the application give up root's rights ({OWN})")
    with checks.container(ready="/version", cmd=[*checks.image.config.cmd, "--uid", "www-data", "--gid", "www-data"]) as container:
        expect(container.get("/who").split()[0], "33:33", "the user of the application")
        checks.say("without USER: uid and gid of the application's own configuration are taken")


def check_service(checks, path):
    """An image of an Envoxy service, whose /health answers."""
    with checks.container(ready=path) as container:
        healthy(container)
        checks.say(f"serves {path}, healthy by /health")
        stopped(container)
        unhealthy(container, "timed out")
        checks.say("unhealthy when it hangs")
        stopped(container, signal.SIGCONT)
        since = len(container.log())
        container.kill(signal.SIGHUP)
        container.wait_log("gracefully (RE)spawned", since)
        container.get(path)
        checks.say("HUP reloads")
        checks.stops(container)
        checks.say("TERM: status 0")
    everywhere(checks, path)


def check_plain(checks, who):
    with checks.container(ready="/version") as container:
        expect(container.get("/who"), who, "the user of the application")
        checks.stops(container)
        checks.say(f"serves as {who}, stops")


def check_version(checks, commit):
    with checks.container(entrypoint=["sleep", "60"], cmd=[]) as container:
        status, version = container.execute("envoxyd", "--version")
        if status or commit not in version:
            raise Failure(f"--version tells no {commit}: {version}")
        checks.say(f"--version tells {commit}")


def everywhere(checks, path, more=lambda container: None):
    """With any user, with a read-only root, with and without a /tmp, and with all of that."""
    tmp = {"read_only": True, "tmpfs": ["/tmp"]}
    for words, options in (
        (f"--user {ANY}", {"user": ANY}),
        ("--read-only --tmpfs /tmp", tmp),
        ("--read-only", {"read_only": True}),
        (f"--read-only --user {ANY}", {"read_only": True, "user": ANY}),
        ("--cap-drop ALL --security-opt no-new-privileges --read-only --tmpfs /tmp", {"locked": True, **tmp}),
    ):
        with checks.container(ready=path, **options) as container:
            if options.get("read_only"):
                expect(writable(container, "/srv", "/tmp"), ["/tmp"] if "tmpfs" in options else [], "where it can write")
            more(container)
            healthy(container)
            checks.stops(container)
        checks.say(f"{words}: serves, is healthy, stops")


def writable(container, *places):
    return [place for place in places if "Read-only" not in container.execute("touch", f"{place}/written")[1]]


def reaps(checks, container):
    orphan = container.get("/orphan")
    status, stat = container.execute("cat", f"/proc/{orphan}/stat")
    if status:
        raise Failure("the orphan has ended before it could be looked at")
    expect(stat.split()[3], "1", "the parent of an orphan")
    until(lambda: container.execute("test", "-e", f"/proc/{orphan}")[0], "process 1 collects the orphan")
    checks.say("process 1 collects an orphan")


def reloads(checks, container):
    expect(container.get("/version"), "1", "the version before the reload")
    write_version(checks.image.root / "srv/shop/wsgi.py", "2, reloaded")
    container.kill(signal.SIGHUP)
    until(lambda: container.get("/version") == "2, reloaded", "HUP loads the new code")
    write_version(checks.image.root / "srv/shop/wsgi.py", "1")
    checks.say("HUP loads new code")


def stopped(container, number=signal.SIGSTOP):
    """Stops all processes, as if the machine had no time for them."""
    _, listed = container.execute("sh", "-c", "for p in /proc/[0-9]*; do echo ${p#/proc/}; done")
    container.execute("sh", "-c", f"kill -{number.name[3:]} {' '.join(pid for pid in listed.split() if pid != '1')}; :")
    container.kill(number)
