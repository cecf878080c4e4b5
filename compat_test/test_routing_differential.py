"""What made-up rules of the internal routing do to requests is what they do in uWSGI.

uWSGI as it is built here has no PCRE, and so no routing: the reference is pyuwsgi, which is uWSGI 2.0.30 with PCRE, built by its authors
and installed once from PyPI into .cache. ROUTES_SEED chooses other rules than usual; a failure names the seed of its case.
"""
import difflib
import fcntl
import os
import re
import socket
import subprocess
import sys

import pytest
from routes import Routes
from server import BINARY, ROOT, Server, free_port

REFERENCE = "2.0.30.post1"  # of pyuwsgi
CASES = 60
SEED = int(os.environ.get("ROUTES_SEED", "1502"))

APP = """
def application(environ, start_response):
    path = environ["PATH_INFO"]
    status = path[8:] + " Chosen" if path.startswith("/status/") and path[8:].isdigit() else "200 OK"
    start_response(status, [("Content-Type", "text/plain"), ("X-App", "1")])
    names = ["PATH_INFO", "QUERY_STRING", "REQUEST_URI", "REQUEST_METHOD", "REMOTE_USER",
             "HTTP_HOST", "REMOTE_ADDR", "DOCUMENT_ROOT", "V0", "V1", "V2"]
    return [("|".join(f"{name}={environ[name]}" for name in names if name in environ) + "|" + environ["wsgi.url_scheme"]).encode()]
"""


@pytest.fixture(scope="session")
def pyuwsgi():
    venv = ROOT / ".cache" / f"pyuwsgi-{REFERENCE}-{sys.version_info[0]}.{sys.version_info[1]}"
    binary = venv / "bin/pyuwsgi"
    venv.parent.mkdir(exist_ok=True)
    with open(f"{venv}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests may run in several processes
        if not binary.exists():
            for command in ([sys.executable, "-m", "venv", venv],
                            [venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check",
                             "--only-binary=:all:", f"pyuwsgi=={REFERENCE}"]):
                done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
                if done.returncode:
                    pytest.skip(f"pyuwsgi {REFERENCE} cannot be installed here: {(done.stderr or done.stdout).strip().splitlines()[-1:]}")
    return binary


def exchange(port, request):
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        s.sendall(request)
        return b"".join(iter(lambda: s.recv(65536), b"")).decode("latin-1")


LEFT_OUT = re.compile(r"(connection|date|server|content-length|transfer-encoding|last-modified|content-type):", re.I)  # of no rule's making


def told(raw):
    """What of a response is a rule's or the application's."""
    if not raw:
        return "closed"
    head, _, body = raw.partition("\r\n\r\n")
    status, *headers = head.split("\r\n")
    return [status.split(" ", 1)[1], *[line for line in headers if not LEFT_OUT.match(line)], body]


def play(binary, routes, directory):
    """What is answered to each request, and what rules have logged."""
    port = free_port()
    args = ["--http-socket", f"127.0.0.1:{port}", "--need-app", "--wsgi-file", "app.py",
            *(word.replace("DIR", str(directory)) for word in routes.args)]
    one = Server(args, files={"app.py": APP, "there.txt": "content\n"}, binary=binary).start()
    try:
        one.wait_port(port)
        replies = [told(exchange(port, request)) for request in routes.requests]
        lines = [line for line in one.log().splitlines() if line.startswith("R: ")]  # rules log before they answer
    except OSError as e:
        raise AssertionError(f"ROUTES_SEED={routes.seed}: {e}\n{one.log()[-3000:]}") from None
    finally:
        one.close()
    return replies, lines


@pytest.mark.timeout(600)
def test_made_up_rules_do_what_they_do_in_uwsgi(pyuwsgi, tmp_path):
    print(f"seed {SEED}, {CASES} cases")
    (tmp_path / "there.txt").write_text("content\n")
    different, ended, changed = [], 0, 0
    for seed in range(SEED, SEED + CASES):
        routes = Routes(seed)
        theirs = play(pyuwsgi, routes, tmp_path)
        ours = play(BINARY, routes, tmp_path)
        ended += sum(not reply[0].startswith("200 OK") for reply in theirs[0])
        changed += sum(any(line.startswith("X-") for line in reply[1:-1]) for reply in theirs[0])
        if theirs != ours:
            different.append((seed, routes, theirs, ours))
    for seed, routes, theirs, ours in different[:5]:
        print(f"--- ROUTES_SEED={seed}", *map(" = ".join, zip(routes.args[::2], routes.args[1::2])), sep="\n")
        for request, their, our in zip(routes.requests, theirs[0], ours[0]):
            if their != our:
                print(request.decode().replace("\r\n", " | "),
                      *difflib.unified_diff(list(their), list(our), "uWSGI", "envoxyd", n=0, lineterm=""), sep="\n")
        print(*difflib.unified_diff(theirs[1], ours[1], "uWSGI's log", "envoxyd's log", n=0, lineterm=""), sep="\n")
    failed = bool(different)
    assert not failed, f"{len(different)} of {CASES} differ, first with ROUTES_SEED={different[0][0]}"
    assert ended > CASES and changed > CASES * 3  # the made-up rules are such that much of it has an effect


# Why envoxyd does something else, the rules, the request line, and what envoxyd tells.
ECHO = "PATH_INFO={}|QUERY_STRING={}|REQUEST_URI={}|REQUEST_METHOD=GET|REMOTE_ADDR=127.0.0.1"
INTENDED = {
    "header-injection": (
        "uWSGI lets a client add headers to its own response, or to that of whoever it sends a link to",
        ["--route-run", "addheader:X-P: ${PATH_INFO}"], "/a%0d%0aX-Evil:%201", ["200 OK", "X-App: 1", "X-P: /a"]),
    "redirect-injection": (
        "and so in redirects, where the control bytes are encoded again",
        ["--route", "(?s)^/r(.*) redirect:/to$1"], "/r/%0d%0aX-Evil:%201", ["302 Found", "Location: /to/%0D%0AX-Evil: 1", "Moved"]),
    "path-that-is-read-twice": (
        "uWSGI reads percent signs of a rewritten path again, takes what was an encoded question mark for one, and leaves the .. of it",
        ["--route", "^/old(/.*) rewrite:$1"], "/old/%252e%252e/a%3Fb",
        ["200 OK", "X-App: 1", ECHO.format("/%2e%2e/a?b", "", "/old/%252e%252e/a%3Fb") + "|http"]),
    "variable-that-addvar-changes": (
        "uWSGI's route-host and kin look at what came, whatever addvar has said; its ${…} do not",
        ["--route-run", "addvar:QUERY_STRING=b", "--route-qs", "^b addheader:X-B: 1"], "/?a",
        ["200 OK", "X-App: 1", "X-B: 1", ECHO.format("/", "b", "/?a") + "|http"]),
    "reason-of-return": (
        "uWSGI puts its own reason behind the given one",
        ["--route-run", "return:404 Not Here"], "/", ["404 Not Here", "Not Here"]),
    "absent-file": (
        "uWSGI closes the connection",
        ["--route-run", "static:/absent"], "/", ["404 Not Found", "Not Found"]),
    "goto-that-leads-nowhere": (
        "uWSGI closes the connection; a label that the rule itself names is refused at the start",
        ["--route-qs", "(.*) goto:$1"], "/?nowhere", ["500 Internal Server Error", "Internal Server Error"]),
    "division": (
        "uWSGI multiplies",
        ["--route-run", "addvar:V0=20", "--route-run", "/:V0,3", "--route-run", "addheader:X-V: ${V0}"], "/",
        ["200 OK", "X-App: 1", "X-V: 6"]),
    "arithmetic-of-what-is-not-there": (
        "uWSGI closes the connection",
        ["--route-run", "+:V0,3", "--route-run", "addheader:X-V: ${V0}"], "/", ["200 OK", "X-App: 1", "X-V: 3"]),
    "dollar-at-the-end": (
        "uWSGI loses it where the expression has groups",
        ["--route", "^(/) addheader:X-V: a$"], "/", ["200 OK", "X-App: 1", "X-V: a$"]),
    "captures-where-there-are-none": (
        "uWSGI crashes",
        ["--route-run", "addheader:X-V: [$0]"], "/", ["200 OK", "X-App: 1", "X-V: []"]),
    "status-with-a-variable": (
        "uWSGI sends the name of the variable, though its documentation has an example with one",
        ["--route-run", "break:403 Not ${REQUEST_METHOD}"], "/", ["403 Not GET", ""]),
    "quotes-in-a-realm": (
        "uWSGI sends them as they are, which ends the realm",
        ["--route-run", 'basicauth:a "b",u:p'], "/",
        ["401 Authorization Required", 'WWW-Authenticate: Basic realm="a \\"b\\""', "Unauthorized"]),
}


@pytest.mark.parametrize("name", INTENDED)
def test_intended_differences(pyuwsgi, tmp_path, name):
    _, args, path, wanted = INTENDED[name]

    class Case:
        seed, requests = 0, [f"GET {path} HTTP/1.0\r\n\r\n".encode()]

    Case.args = args
    try:
        theirs = play(pyuwsgi, Case, tmp_path)[0][0]
    except AssertionError:
        theirs = "crashed"
    ours = play(BINARY, Case, tmp_path)[0][0]
    assert ours[:len(wanted)] == wanted
    assert theirs != ours and not any(line.startswith("X-Evil") for line in ours)
