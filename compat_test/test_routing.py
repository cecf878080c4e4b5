"""The internal routing, over all ways in: families, stages, conditions and actions, and what becomes of the connection."""
import base64
import gzip
import json
import re
import signal
import socket
import ssl
import sys
import threading
from pathlib import Path

import pytest
from certificates import Authority
from http_client import Connection, eventually, get
from load import Load
from protocols import rest_of, status
from server import Server, free_port
from transports import TRANSPORTS, Nginx

APP = """
import uwsgi, io

def application(environ, start_response):
    path, given = environ["PATH_INFO"], environ.get("QUERY_STRING")
    headers = [("Content-Type", "text/plain"), ("X-App", "1"), ("X-Scheme", environ["wsgi.url_scheme"])]
    headers.append(("X-User", environ.get("REMOTE_USER", "-")))
    code = path.rsplit("/", 1)[1] if path.startswith("/status/") else "200"
    if path.endswith("/sized"):
        headers.append(("Content-Length", "11"))
    start_response(code + " Chosen", headers)
    if path.endswith("/generator"):
        return (piece for piece in (b"gene", b"", b"rated"))
    if path.endswith("/file"):
        return environ["wsgi.file_wrapper"](open("there.txt", "rb"))
    if path.endswith("/vars"):
        return ["\\n".join(f"{k}={v}" for k, v in sorted(environ.items()) if k.isupper() and isinstance(v, str)).encode("latin-1")]
    if path.endswith("/sized"):
        return [b"app body: 11"[:11]]
    return [b"app ", path.encode("latin-1")]

uwsgi.register_rpc("hello", lambda *words: b"hello " + b"|".join(words))
uwsgi.register_rpc("next", lambda: b"\\0")
uwsgi.register_rpc("app", lambda: b"\\1")
uwsgi.register_rpc("close", lambda: b"\\2")
uwsgi.register_rpc("bad", lambda: 1 / 0)
uwsgi.register_signal(17, "worker", lambda number: print("signal", number, flush=True))
"""
FILES = {"there.txt": "content\n", "www/a.txt": "static a\n", "secret.txt": "secret\n", "users": "joe:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n",
         "cgi/x.sh": '#!/bin/sh\nprintf "Content-Type: text/x\\nX-Cgi: 1\\n\\ncgi $PATH_INFO"\n'}
EXECUTABLE = ("sh", "-c", 'chmod +x cgi/*.sh; exec "$@"', "sh")


def basic(user, password):
    return "Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Secure(Connection):
    def open(self):
        super().open()
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)


# One table of rules, and of requests: path, header lines, and what comes back. A value of headers may be None: it is not there.
RULES = r"""
route-run = addheader:X-All: ${REQUEST_METHOD}
route = ^/family/path$ addheader:X-Hit: path
route-host = ^fam\.host addheader:X-Hit: host
route-uri = \?uri addheader:X-Hit: uri
route-qs = ^q=(\w+)$ addheader:X-Hit: qs $1 ${qs[q]}
route-remote-addr = ^127\. addheader:X-Addr: ${REMOTE_ADDR}
route-user-agent = ^Agent addheader:X-Hit: agent
route-referer = ^http://from addheader:X-Hit: referer
route-method = ^DELETE$ addheader:X-Hit: method
route-if = equal:${HTTP_X_IF};yes addheader:X-Hit: if
route-if-not = empty:${HTTP_X_IFNOT} addheader:X-Hit: ifnot
route = ^/cookie addheader:X-Hit: ${cookie[k]}
route = ^/order addvar:V=1
route = ^/order addvar:V=${V}2
route = ^/order addheader:X-Hit: ${V}
route = ^/goto goto:there
route-if = startswith:${PATH_INFO};/goto addheader:X-Wrong: 1
route-label = there
route = ^/goto addheader:X-Hit: there
route = ^/last last:
route = ^/last addheader:X-Wrong: 1
route = ^/break$ break:403 Forbidden
route = ^/break/number break:404
route = ^/return/(\d+) return:$1
route = ^/redirect/(.*) redirect:/to/$1
route = ^/permanent redirect-permanent:http://h/p
route = ^/close break:
route = ^/rewrite/(.*) rewrite:/vars?new=$1
route = ^/setters addvar:HTTP_X_NEW=new
route = ^/setters setscheme:https
route = ^/setters setuser:ann
route = ^/setters seturi:/uri
route = ^/setters setmethod:PUT
route = ^/setters setremoteaddr:9.9.9.9
route = ^/setters setpathinfo:/vars
route = ^/into/static rewrite:/static/a.txt
route = ^/del delheader:X-App
route = ^/basic basicauth:Re"alm,joe:secret
route = ^/users basicauth:Users,DIR/users
route = ^/two basicauth-next:One,ann:pw
route = ^/two basicauth:Two,joe:secret
route = ^/nobody basicauth:Nobody,
route = ^/files/static static:DIR/there.txt
route = ^/files/none static:DIR/none.txt
route = ^/files/next static-next:DIR/none.txt
route = ^/files/file file:filename=DIR/there.txt,status=404 Gone,content_type=text/y
route = ^/files/under/(.*) static:DIR/www/$1
route = ^/files/host/(.*) sendfile:filename=DIR/www/${QUERY_STRING}
route = ^/isfile addvar:R=1
route-if = isfile:DIR/there.txt addvar:IS=file
route-if = isdir:DIR addvar:IS=${IS} dir
route-if = exists:DIR/none addvar:IS=${IS} none
route = ^/isfile addheader:X-Hit: ${IS}
route-if = ipv4in:${REMOTE_ADDR};127.0.0.0/8 addvar:NET=local
route-if = >:${qs[n]};10 addheader:X-Hit: more
route-if = contains:${QUERY_STRING};sub addheader:X-Hit: contains
route-if = endswith:${PATH_INFO};.end addheader:X-Hit: end
route-if = regexp:${HTTP_X_RE};^(\d+)-(\d+)$ addheader:X-Hit: $2.$1
route = ^/math addvar:N=20
route = ^/math +:N,5
route = ^/math addheader:X-Hit: ${N} ${math[N*2]} ${upper[REQUEST_METHOD]} ${hex[REQUEST_METHOD]} ${base64[REQUEST_METHOD]}
route = ^/hash hash:key=k,items=a;b;c;d,var=ITEM
route = ^/hash addheader:X-Hit: ${ITEM}
route = (?s)^/inject/(.*) addheader:X-Hit: $1
route = (?s)^/inject/(.*) redirect:/to/$1
route = ^/gzip gzip:
route = ^/fixcl fixcl:
route = ^/forcecl forcecl:
route = ^/chunked chunked:
route = ^/flush flush:
route = ^/send send-crnl:HTTP/1.0 299 Raw
route = ^/send send-crnl:
route = ^/send send:raw ${PATH_INFO}
route = ^/send break:
route = ^/cached cache:key=${PATH_INFO},name=c,content_type=text/z
route = ^/cached cachestore:key=${PATH_INFO},name=c
route = ^/cset cacheset:key=set,name=c,value=${qs[v]}
route = ^/cset cachevar:key=set,name=c,var=FROM
route = ^/cset addheader:X-Hit: ${FROM}
route = ^/cinc cacheinc:key=count,name=n
route = ^/metric metricinc:m,3
route = ^/metric addheader:X-Hit: ${metric[m]}
route = ^/rpc/hello rpc:hello ${REQUEST_METHOD} b
route = ^/rpc/var rpcvar:SAID hello x
route = ^/rpc/var addheader:X-Hit: ${SAID} ${rpc[hello y]}
route = ^/rpc/next rpcret:next
route = ^/rpc/next addheader:X-Hit: next
route = ^/rpc/app rpcret:app
route = ^/rpc/app addheader:X-Wrong: 1
route = ^/rpc/close rpcret:close
route = ^/rpc/bad rpc:bad
route = ^/signal signal:17
route = ^/log log:said ${PATH_INFO} ${uwsgi[wid]}
route = ^/logvar logvar:lv=${PATH_INFO}
route = ^/quiet donotlog:
route = ^/cgi/ setmodifier1:9
error-route-status = 404 addheader:X-Error: ${uwsgi[status]}
error-route-status = 418 break:503 Tea
error-route-status = 451 redirect:/law
response-route-status = 499 return:500 Gone
response-route-run = addheader:X-Late: ${uwsgi[status]} ${uwsgi[wid]}
response-route = ^/rdel delheader:X-App
response-route = ^/rclear clearheaders:202 Cleared
final-route = ^/final log:final ${uwsgi[status]} ${uwsgi[rsize]}
"""
APPED = {"x-app": "1", "x-all": "GET", "x-late": "200 1"}
TABLE = [
    ("/", [], 200, "app /", {**APPED, "x-hit": None, "x-addr": "127.0.0.1", "x-wrong": None, "x-error": None}),
    ("/family/path", [], 200, "app /family/path", {"x-hit": "path"}),
    ("/family", ["Host: fam.host"], 200, None, {"x-hit": "host"}),
    ("/?uri", [], 200, None, {"x-hit": "uri"}),
    ("/?q=word", [], 200, None, {"x-hit": "qs word word"}),
    ("/", ["User-Agent: Agent 1"], 200, None, {"x-hit": "agent"}),
    ("/", ["Referer: http://from/here"], 200, None, {"x-hit": "referer"}),
    ("/", ["X-If: yes"], 200, None, {"x-hit": "if"}),
    ("/", ["X-IfNot: y"], 200, None, {"x-hit": "ifnot"}),
    ("/cookie", ["Cookie: a=b; k=v"], 200, None, {"x-hit": "v"}),
    ("/order", [], 200, None, {"x-hit": "12"}),
    ("/goto", [], 200, None, {"x-hit": "there", "x-wrong": None}),
    ("/last", [], 200, "app /last", {"x-wrong": None}),
    ("/break", [], 403, "", {"x-app": None, "x-all": "GET", "x-late": "403 1", "connection": "close"}),
    ("/break/number", [], 404, "", {"x-error": "404"}),
    ("/return/410", [], 410, "Gone", {"content-length": "4"}),
    ("/return/204", [], 204, "", {"content-length": None}),
    ("/return/304", [], 304, "", {"content-length": None}),
    ("/return/999", [], 999, "Unknown", {}),
    ("/redirect/a%20b", [], 302, "Moved", {"location": "/to/a b", "content-length": "5"}),
    ("/permanent", [], 301, "Moved Permanently", {"location": "http://h/p"}),
    ("/rewrite/abc?old", [], 200, r"(?s).*PATH_INFO=/vars\nQUERY_STRING=new=abc&old\n.*REQUEST_URI=/rewrite/abc\?old\n.*", {}),
    ("/setters", [], 200,
     r"(?s).*HTTP_X_NEW=new\n.*PATH_INFO=/vars\n.*REMOTE_ADDR=9.9.9.9\n.*REMOTE_USER=ann\n.*REQUEST_METHOD=PUT\n.*REQUEST_URI=/uri\n.*",
     {"x-scheme": "https", "x-user": "ann"}),
    ("/into/static", [], 200, "static a\n", {"x-app": None, "x-all": "GET", "x-late": "200 1", "content-type": "text/plain"}),
    ("/static/a.txt", [], 200, "static a\n", {"x-all": "GET"}),
    ("/static/none.txt", [], 200, "app /static/none.txt", {}),
    ("/del", [], 200, None, {"x-app": None}),
    ("/basic", [], 401, "Unauthorized", {"www-authenticate": 'Basic realm="Re\\"alm"'}),
    ("/basic", [basic("joe", "no")], 401, "Unauthorized", {}),
    ("/basic", [basic("joe", "secret")], 200, "app /basic", {"x-user": "joe"}),
    ("/users", [basic("joe", "secret")], 200, "app /users", {"x-user": "joe"}),
    ("/users", [basic("joe", "secre")], 401, None, {}),
    ("/two", [basic("ann", "pw")], 200, None, {"x-user": "ann"}),
    ("/two", [basic("joe", "secret")], 200, None, {"x-user": "joe"}),
    ("/two", [basic("joe", "pw")], 401, None, {}),
    ("/nobody", [basic("joe", "secret")], 401, None, {}),
    ("/files/static", [], 200, "content\n", {"x-app": None, "content-length": "8"}),
    ("/files/static", ["Range: bytes=0-2"], 206, "con", {}),
    ("/files/none", [], 404, "Not Found", {"x-error": "404"}),
    ("/files/next", [], 200, "app /files/next", {}),
    ("/files/file", [], 404, "content\n", {"content-type": "text/y", "x-error": "404"}),
    ("/files/under/a.txt", [], 200, "static a\n", {}),
    ("/files/under/%2e%2e/secret.txt", [], (404, 200), r"Not Found|app /files/secret\.txt", {}),
    ("/files/host/?a.txt", [], 200, "static a\n", {"content-type": "text/html"}),
    ("/files/host/?../secret.txt", [], 404, "Not Found", {}),
    ("/files/host/?/../../etc/passwd", [], 404, "Not Found", {}),
    ("/isfile", [], 200, None, {"x-hit": "file dir"}),
    ("/?n=11", [], 200, None, {"x-hit": "more"}),
    ("/?n=9", [], 200, None, {"x-hit": None}),
    ("/?xsuby", [], 200, None, {"x-hit": "contains"}),
    ("/x.end", [], 200, None, {"x-hit": "end"}),
    ("/", ["X-Re: 12-34"], 200, None, {"x-hit": "34.12"}),
    ("/math", [], 200, None, {"x-hit": "25 50 GET 474554 R0VU"}),
    ("/hash", [], 200, None, {"x-hit": "[abcd]"}),
    ("/inject/a%0d%0aX-Evil:%201", [], 302, "Moved", {"x-evil": None, "x-hit": "a", "location": "/to/a%0D%0AX-Evil: 1"}),
    ("/gzip/list", ["Accept-Encoding: gzip"], 200, "app /gzip/list", {"content-encoding": "gzip"}),
    ("/gzip/generator", [], 200, "generated", {"content-encoding": "gzip"}),
    ("/gzip/file", [], 200, "content\n", {"content-encoding": "gzip"}),
    ("/fixcl/list", [], 200, "app /fixcl/list", {"content-length": "15"}),
    ("/fixcl/generator", [], 200, "generated", {"content-length": "9"}),
    ("/fixcl/file", [], 200, "content\n", {"content-length": "8"}),
    ("/forcecl/sized", [], 200, "app body: 1", {"content-length": "11"}),
    ("/flush", [], 200, "app /flush", {}),
    ("/cached/1", [], 200, "app /cached/1", {"x-app": "1"}),
    ("/cached/1", [], 200, "app /cached/1", {"x-app": None, "content-type": "text/z", "content-length": "13"}),
    ("/cset?v=one", [], 200, None, {"x-hit": "one"}),
    ("/cset?v=two", [], 200, None, {"x-hit": "one"}),
    ("/rpc/hello", [], 200, "hello GET|b", {}),
    ("/rpc/var", [], 200, "app /rpc/var", {"x-hit": "hello x hello y"}),
    ("/rpc/next", [], 200, "app /rpc/next", {"x-hit": "next"}),
    ("/rpc/app", [], 200, "app /rpc/app", {"x-wrong": None}),
    ("/rpc/bad", [], 500, "Internal Server Error", {}),
    ("/cgi/x.sh/a", [], 200, "cgi /a", {"x-cgi": "1", "x-all": "GET", "x-late": "200 1"}),
    ("/status/404", [], 404, "app /status/404", {"x-error": "404", "x-late": "404 1", "x-app": "1"}),
    ("/status/418", [], 503, "", {"x-app": None, "x-late": "503 1"}),
    ("/status/451", [], 302, "Moved", {"location": "/law", "x-app": None}),
    ("/status/499", [], 500, "Gone", {"x-app": None}),
    ("/rdel", [], 200, None, {"x-app": None, "x-late": "200 1"}),
    ("/rclear", [], 202, "app /rclear", {"x-app": None, "content-type": None}),
]
OPTIONS = ["--master", "--processes", "1", "--static-map", "/static=www", "--honour-range", "--cgi", "/cgi=cgi",
           "--cache2", "name=c,items=20",
           "--cache2", "name=n,items=20", "--metric", "name=m"]


class Front:
    """One server with the rules, on a socket of each kind."""

    def __init__(self, directory, rules=RULES, options=OPTIONS):
        cert, key = Authority(directory).issue("localhost")
        self.ports = {name: free_port() for name in ("http-socket", "http", "https", "uwsgi")}
        at = {name: f"127.0.0.1:{port}" for name, port in self.ports.items()}
        one = self.server = Server([
            "--http-socket", at["http-socket"], "--http", at["http"], "--http-keepalive=30", "--http-auto-chunked", "--socket", at["uwsgi"],
            "--https-socket", f"{at['https']},{cert},{key}", *options, "--ini", "rules.ini", "--wsgi-file", "app.py"],
            files={**FILES, "app.py": APP}, wrapper=EXECUTABLE)
        one.write("rules.ini", "[uwsgi]\n" + rules.replace("DIR", str(one.dir)))
        self.nginx = Nginx(at["uwsgi"])
        self.ports["nginx"] = self.nginx.port
        one.start().wait_port(self.ports["http-socket"])

    def connect(self, way, keep=True):
        return (Secure if way == "https" else Connection)(self.ports[way], keep=keep)

    def close(self):
        self.nginx.close()
        self.server.close()


WAYS = ["http-socket", "http", "https", "nginx"]


@pytest.fixture(scope="module")
def fronts(tmp_path_factory):
    one = Front(tmp_path_factory.mktemp("routing"))
    yield one
    print(one.server.log()[-6000:])
    one.close()


def request(path, lines, method="GET", end=False):
    host = [] if any(line.startswith("Host:") for line in lines) else ["Host: h"]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *host, *lines, *(["Connection: close"] if end else []), "", ""]).encode()


def told(client, path, lines, method="GET"):
    """One exchange, on the connection if that is still there."""
    if not client.socket:
        client.open()
    client.socket.sendall(request(path, lines, method))
    return client.receive()


@pytest.mark.parametrize("way", WAYS)
def test_the_table(fronts, way):
    wrong = []
    with fronts.connect(way) as client:
        told(client, "/cset?v=one", [])
        for number, (path, lines, code, body, headers) in enumerate(TABLE):
            path = path.replace("/cached/1", f"/cached/{WAYS.index(way) + 1}")
            body = body and body.replace("/cached/1", f"/cached/{WAYS.index(way) + 1}")
            reply = told(client, path, lines)
            text = gzip.decompress(reply.body).decode() if reply.headers.get("content-encoding") == "gzip" else reply.text
            codes = code if isinstance(code, tuple) else (code,)
            found = [name for name, value in headers.items() if not agrees(way, name, reply.headers.get(name), value)]
            if reply.status not in codes or body is not None and text != body and not re.fullmatch(body, text) or found:
                wrong.append(f"{number}: {path} {lines}: {reply.status} {text!r} {found} {reply.headers}")
        assert client.opened < len(TABLE)
    assert not wrong, "\n".join(wrong)


def agrees(way, name, value, expected):
    if name == "connection" and way == "nginx" or name == "location" and way == "nginx" and value and value.endswith(expected):
        return True
    if name == "content-length" and way == "nginx" and expected is None:
        return True
    return value == expected or bool(expected and value and re.fullmatch(expected, value))


@pytest.mark.parametrize("way", WAYS)
def test_closing_and_raw_answers(fronts, way):
    for path, raw in (("/close", b""), ("/rpc/close", b""), ("/send/x", b"HTTP/1.0 299 Raw\r\n\r\nraw /send/x")):
        with fronts.connect(way) as client:
            client.open()
            client.socket.sendall(request(path, [], end=True))
            answer = rest_of_either(client.socket)
        if way == "nginx":
            assert status(answer) == (299 if raw else 502), path
        else:
            assert answer == raw, path


def rest_of_either(client):
    try:
        return rest_of(client)
    except ssl.SSLEOFError:
        return b""


@pytest.mark.parametrize("way", WAYS)
def test_head_requests_have_no_body(fronts, way):
    """Behind each the connection is as it should be: the next answer is at its place."""
    for path in ("/", "/redirect/x", "/return/410", "/files/static", "/files/file", "/gzip/list", "/fixcl/list", "/chunked/list",
                 "/cached/head", "/cached/head",
                 "/rpc/hello", "/status/404", "/status/451", "/cgi/x.sh", "/basic"):
        with fronts.connect(way) as client:
            client.open()
            client.socket.sendall(request(path, [], "HEAD") + request("/last", [], end=True))
            answer = rest_of_either(client.socket)
        head, _, rest = answer.partition(b"\r\n\r\n")
        if rest:
            assert rest.startswith(b"HTTP/1.1 200 ") and rest.endswith((b"app /last", b"0\r\n\r\n")), (path, answer)
        else:
            assert b"onnection: close" in head, (path, answer)


@pytest.mark.parametrize("way", WAYS)
def test_requests_that_come_together(fronts, way):
    """Answers of rules, of the application and of others stand in the order of the requests, one write or many."""
    paths = ["/redirect/1", "/sized", "/return/410", "/files/static", "/redirect/2", "/fixcl/list", "/return/204", "/cgi/x.sh/p",
             "/status/451", "/sized"]
    if way in ("http-socket", "https"):
        paths.remove("/cgi/x.sh/p")  # its end is that of the connection
    with fronts.connect(way) as client:
        client.open()
        client.socket.sendall(b"".join(request(path, []) for path in paths))
        replies = [client.receive() for _ in paths]
        assert client.opened == 1
    other = {"/redirect/1": 302, "/redirect/2": 302, "/return/410": 410, "/return/204": 204, "/status/451": 302}
    assert [reply.status for reply in replies] == [other.get(path, 200) for path in paths]
    assert [reply.headers["location"] for reply in replies if reply.status == 302][0].endswith("/to/1")


@pytest.mark.parametrize("way", ["http-socket", "http", "https"])
def test_break_ends_the_connection_and_return_does_not(fronts, way):
    with fronts.connect(way) as client:
        client.open()
        client.socket.sendall(request("/return/410", []) + request("/break", []) + request("/", []))
        answer = rest_of_either(client.socket)
    assert [int(code) for code in re.findall(rb"HTTP/1.1 (\d+)", answer)] == [410, 403]


@pytest.mark.parametrize("way", WAYS)
def test_bodies_of_requests_that_rules_answer(fronts, way):
    """They are received, and what comes behind them is the next request."""
    for size in (10, 100_000, 900_000):
        with fronts.connect(way) as client:
            client.open()
            for path in ("/return/410", "/redirect/x", "/cset?v=1"):
                client.socket.sendall(request(path, [f"Content-Length: {size}"], "POST") + b"x" * size)
                assert client.receive().status == {"/ret": 410, "/red": 302, "/cse": 200}[path[:4]]
                if not client.socket:
                    client.open()


@pytest.mark.parametrize("kind,body", [("list", b"app /chunked/list"), ("generator", b"generated"), ("file", b"content\n"),
                                       ("sized", b"app body: 1")])
@pytest.mark.parametrize("way", ["http-socket", "http", "https"])
def test_chunked(fronts, way, kind, body):
    with fronts.connect(way) as client:
        for _ in range(2):
            reply = told(client, f"/chunked/{kind}", [])
            assert reply.body == body
            assert ("transfer-encoding" in reply.headers) == (kind != "sized")
        assert client.opened == 1


def test_what_stands_in_the_log(fronts):
    log, port = fronts.server, fronts.ports["http-socket"]
    get(port, "/log/x%0aforged")
    log.wait_log(r"^said /log/x\\x0aforged 1$")
    get(port, "/signal")
    log.wait_log("^signal 17$")
    get(port, "/quiet")
    get(port, "/final/x")
    log.wait_log("^final 200 12$")
    assert "GET /quiet " not in log.log()
    with Connection(port) as client:
        told(client, "/basic", [basic("joe", "secret")])
    log.wait_log(r"\] 127\.0\.0\.1 \(joe\) \{.*GET /basic => generated 10 bytes")
    get(port, "/redirect/logged")
    log.wait_log(r"app: -1\|req: -1/\d+\] .* GET /redirect/logged => generated 5 bytes in \d+ msecs \(HTTP/1.1 302\) \d+ headers")
    get(port, "/setters")
    log.wait_log(r"9\.9\.9\.9 \(ann\) .* PUT /uri => ")


def test_rules_number_what_they_count(fronts):
    def metric():
        return int(get(fronts.ports["http-socket"], "/metric").headers["x-hit"])
    assert metric() + 3 == metric()
    for _ in range(3):
        get(fronts.ports["http-socket"], "/cinc")


# What needs a server of its own.

@pytest.fixture
def routed(server):
    """routed(rules, ...) is (server, port): rules are lines of OPTION = VALUE."""
    def start(rules, *args, app=APP, files=None, **more):
        port = free_port()
        one = Server(["--master", "--processes", "1", "--http-socket", f"127.0.0.1:{port}", *args, "--ini", "rules.ini",
                      *(["--wsgi-file", "app.py"] if app else [])],
                     files={**FILES, **(files or {}), **({"app.py": app} if app else {})}, wrapper=EXECUTABLE, **more)
        one.write("rules.ini", "[uwsgi]\n" + rules.replace("DIR", str(one.dir)))
        servers.append(one)
        return one.start().wait_port(port), port
    servers = []
    yield start
    for one in servers:
        print(one.log()[-6000:])
        one.close()


def test_answers_of_rules_are_no_requests_of_the_application(routed):
    one, port = routed("route = ^/r redirect:/\nroute = ^/s static:DIR/there.txt")
    for path in ("/r", "/s", "/r"):
        get(port, path)
    get(port, "/app")
    one.wait_log(r"app: 0\|req: 1/4\] .* GET /app =>")


def test_stats_count_answers_of_rules(routed):
    stats = free_port()
    _, port = routed("route = ^/r redirect:/\nroute = ^/s static:DIR/there.txt", "--stats", f"127.0.0.1:{stats}")
    for path in ("/r", "/s", "/app"):
        get(port, path)

    def counted():
        with socket.create_connection(("127.0.0.1", stats), 10) as client:
            core = json.loads(rest_of(client))["workers"][0]["cores"][0]
        return (core["requests"], core["routed_requests"]) == (3, 2)
    eventually(counted)


def test_variables_that_become_too_large(routed):
    one, port = routed("route-run = addvar:A=${HTTP_X}${HTTP_X}${HTTP_X}${HTTP_X}\n"
                       "route-run = addvar:B=${A}${A}${A}\nroute-run = addvar:C=${B}${B}")
    with Connection(port, keep=True) as client:
        assert told(client, "/grow", ["X: " + "x" * 3500]).status == 500
        assert told(client, "/grow", ["X: x"]).status == 200
    one.assert_running()


def test_disableheaders(routed):
    _, port = routed("route-run = disableheaders:")
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(request("/x", []))
        assert rest_of(client) == b"app /x"


def test_harakiri_of_a_rule(routed):
    app = "import time\ndef application(e, s):\n    s('200 OK', [])\n    if e['PATH_INFO'] == '/slow': time.sleep(20)\n    return [b'ok']\n"
    one, port = routed("route = ^/slow harakiri:1", app=app)
    with socket.create_connection(("127.0.0.1", port), 15) as client:
        client.sendall(request("/slow", []))
        assert rest_of(client) == b""
    one.wait_log("HARAKIRI")
    assert eventually(lambda: get(port, "/").text == "ok")


def test_alarms(routed):
    one, port = routed("alarm = a log:\nerror-route-status = 500 alarm:a failed ${REQUEST_URI}")
    get(port, "/status/500")
    one.wait_log(r"failed /status/500")


def test_names_of_processes(routed):
    one, port = routed("route = ^/name setprocname:named ${PATH_INFO}")
    get(port, "/name/x")
    eventually(lambda: any(Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"named /name/x") for pid in one.processes()))


def test_log_variables(routed):
    one, port = routed("route-run = logvar:lv=${PATH_INFO}\nresponse-route-run = logvar:late=${uwsgi[status]}\n"
                       "log-format = line %(lv) %(late)")
    get(port, "/x")
    one.wait_log(r"^line /x 200$")


ENGINES = {"threads": ["--threads", "4"], "gevent": ["--gevent", "4", f"--home={sys.prefix}"],
           "asyncio": ["--asyncio", "4", f"--home={sys.prefix}"],
           "asgi": ["--asgi-file", "asgi.py", f"--home={sys.prefix}"]}
ASGI = """
import uwsgi
async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    status = int(scope["path"][8:]) if scope["path"].startswith("/status/") else 200
    await send({"type": "http.response.start", "status": status, "headers": [(b"x-app", b"1")]})
    await send({"type": "http.response.body", "body": b"app ", "more_body": True})
    await send({"type": "http.response.body", "body": scope["path"].encode()})
uwsgi.register_rpc("hello", lambda *words: b"hello " + b"|".join(words))
"""
STAGES = """
route = ^/r$ redirect:/to
route = ^/rpc rpc:hello x
route = ^/gzip gzip:
route = ^/fixcl fixcl:
route = ^/c/ cache:key=${PATH_INFO},name=c
route = ^/c/ cachestore:key=${PATH_INFO},name=c
route-run = addvar:HTTP_X_RULE=seen
error-route-status = 404 redirect:/sorry
response-route-run = addheader:X-Late: ${uwsgi[status]} ${HTTP_X_RULE} ${rpc[hello y]}
response-route = ^/del delheader:X-App
final-route = ^/final log:final ${uwsgi[status]}
"""


@pytest.mark.parametrize("engine", ENGINES)
def test_stages_in_every_engine(routed, engine):
    one, port = routed(STAGES, *ENGINES[engine], "--cache2", "name=c,items=9", app=None if engine == "asgi" else APP,
                       files={"asgi.py": ASGI})
    with Connection(port, keep=True) as client:
        for path, code, body, headers in (
            ("/r", 302, "Moved", {"location": "/to"}), ("/rpc", 200, "hello x", {}),
            ("/status/404", 302, "Moved", {"location": "/sorry", "x-app": None}),
            ("/gzip/list", 200, "app /gzip/list", {"content-encoding": "gzip"}),
            ("/fixcl/l", 200, "app /fixcl/l", {"content-length": "12"}),
            ("/c/1", 200, "app /c/1", {"x-app": "1"}), ("/c/1", 200, "app /c/1", {"x-app": None}),
            ("/del", 200, "app /del", {"x-app": None, "x-late": "200 seen hello y"}), ("/final", 200, "app /final", {}),
        ):
            reply = told(client, path, [])
            text = gzip.decompress(reply.body).decode() if reply.headers.get("content-encoding") == "gzip" else reply.text
            assert (reply.status, text, {name: reply.headers.get(name) for name in headers}) == (code, body, headers), path
        client.close()
        client.open()
        client.socket.sendall(request("/r", ["Content-Length: 300000"], "POST") + b"x" * 300_000)
        assert client.receive().status == 302
    one.wait_log("^final 200$")


def test_functions_of_rules_that_wait_in_a_loop(routed):
    """A function that would let other greenlets go on must not do so in the midst of a rule."""
    app = APP + "\nimport gevent\nuwsgi.register_rpc('wait', lambda: (gevent.sleep(0.05), b'waited')[1])\n"
    _, port = routed("route = ^/wait rpc:wait\nresponse-route = ^/late addheader:X-Late: ${rpc[wait]}", *ENGINES["gevent"], app=app)
    results = []

    def ask(path, expected):
        with Connection(port, keep=True) as client:
            for _ in range(5):
                reply = client.get(path)
                results.append((reply.text, reply.headers.get("x-late")) == expected)
    kinds = [("/wait", ("waited", None)), ("/late", ("app /late", "waited")), ("/", ("app /", None))]
    threads = [threading.Thread(target=ask, args=args) for args in kinds * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert results == [True] * 45


def test_threads_under_load_with_rules_that_ask_python(routed):
    rules = """
route = ^/hit cache:key=k,name=c
route-run = cacheinc:key=n,name=n
route-run = cachevar:key=k,name=c,var=V
response-route-run = addheader:X-Late: ${rpc[hello ${V}]}
final-route-run = metricinc:m
"""
    app = APP + "\nuwsgi.cache_set('k', b'value', 0, 'c')\n"
    one, port = routed(rules, "--threads", "4", "--cache2", "name=c,items=9", "--cache2", "name=n,items=9", "--metric", "name=m",
                       "--disable-logging", app=app)
    assert get(port, "/hit").text == "value"
    transport = TRANSPORTS["http-socket"]()
    transport.port = port
    with Load(transport, clients=8, path="/app?{number}") as load, Load(transport, clients=8, path="/hit?{number}") as hits:
        load.wait_for(1500)
        hits.wait_for(1500)
    assert load.failures() == hits.failures() == []
    one.assert_running()


def test_a_reload_keeps_serving_with_rules(routed):
    one, port = routed("route = ^/r return:410\nroute-run = addheader:X-Rule: 1", "--disable-logging")
    transport = TRANSPORTS["http-socket"]()
    transport.port = port
    with Load(transport, clients=4, path="/app?{number}") as load:
        load.wait_for(50)
        one.write("rules.ini", "[uwsgi]\nroute = ^/r return:404\n")
        one.signal(signal.SIGHUP)
        eventually(lambda: get(port, "/r").status == 404)
        load.wait_for(50)
    assert load.failures() == []
    assert "x-rule" not in get(port, "/").headers


def test_a_wrong_rule_leaves_the_old_ones_at_a_reload(routed):
    one, port = routed("route = ^/r return:410")
    one.write("rules.ini", "[uwsgi]\nroute = ^/r nonsense:1\n")
    one.signal(signal.SIGHUP)
    one.wait_log(r'rules\.ini:2.*unable to register route|unable to register route.*rules\.ini:2')
    assert get(port, "/r").status == 410
