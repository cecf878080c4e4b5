"""The internal routing, over all ways in: families, stages, conditions and actions, and what becomes of the connection."""
import base64
import gzip
import re
import ssl

import pytest
from certificates import Authority
from http_client import Connection, get
from protocols import rest_of, status
from routed_app import APP, EXECUTABLE, FILES, request, told
from server import Server, free_port
from transports import Nginx


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
