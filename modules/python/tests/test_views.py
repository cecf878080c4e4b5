"""HTTP: routing, replies, errors, authorization, CORS and the request log."""

import re

import pytest

ECHO = """
@on(endpoint="/v1/%s", protocols=["http"])
class Echo(View):
    def get(self, request, **kwargs):
        return Response({k: str(v) for k, v in kwargs.items()})
__loader__ = [Echo]
"""

ROOM = """
@on(endpoint="/rooms/{name:str}", protocols=["http", "mqtt"])
class Room(View):
    def get(self, request, name, **kwargs):
        return Response({"name": name})
    def post(self, request, name, **kwargs):
        return Response({"body": request.get_data(as_text=True), "json": request.get_json(silent=True), "form": dict(request.form)})
    def on_event(self, data, **kwargs):
        return Response({})
__loader__ = [Room]
"""

SHAPES = """
import datetime, decimal
SHAPES = {
    "list": lambda: Response([1]), "text": lambda: Response("plain"), "bytes": lambda: Response(b"raw"), "nothing": lambda: Response(),
    "payload": lambda: Response({"payload": {"x": 1}, "status": 203}), "payload_list": lambda: Response({"payload": ["x"]}),
    "payload_text": lambda: Response({"payload": "just text", "status": 201}), "payload_none": lambda: Response({"payload": None}),
    "status_wins": lambda: Response({"status": 201, "a": 1}, status=418), "status_place": lambda: Response({"status": 201}, 418),
    "status_text": lambda: Response({"status": "ok"}), "status_bool": lambda: Response({"status": True}), "number": lambda: Response(5),
    "big": lambda: Response({"n": 2 ** 64 - 1, "over": 2 ** 64, "under": -2 ** 63 - 1}),
    "money": lambda: Response({"d": decimal.Decimal("1.50"), "u": "\\u2615"}),
    "when": lambda: Response({"t": datetime.datetime(2024, 2, 3, 4, 5, 6), "d": datetime.date(2024, 2, 3)}),
    "bare_list": lambda: ["bare"], "bare_tuple": lambda: ({"bare": 1}, 209, {"X-T": "1"}), "bare_text": lambda: "bare",
    "headers": lambda: Response({"payload": {}, "headers": {"X-A": "1", "Content-Type": "text/x", "Content-Length": "99", "Server": "x"},
                                 "cookies": [{"key": "sid", "value": "v"}]}),
    "none": lambda: None,
}
@on(endpoint="/{name:str}", protocols=["http"])
class Shape(View):
    def get(self, request, name, **kwargs):
        return SHAPES[name]()
__loader__ = [Shape]
"""

TROUBLE = """
from envoxy.exceptions import ValidationException
ERRORS = {
    "plain": lambda: RuntimeError("out of glue"), "refused": lambda: ValidationException("no", code=7, status=409),
    "digits": lambda: ValidationException("no", status="503"), "odd": lambda: ValidationException("no", status="soon"),
    "silent": lambda: ValidationException("two\\nlines", code=9, status=204), "silent_text": lambda: ValidationException("x", status="204"),
}
@on(endpoint="/{name:str}", protocols=["http"])
class Trouble(View):
    def get(self, request, name, **kwargs):
        raise ERRORS[name]()
    post = get
__loader__ = [Trouble]
"""


@pytest.mark.parametrize(
    "endpoint,path,want",
    [
        ("{n:int}", "7", {"n": "7"}),
        ("{n:float}", "2.5", {"n": "2.5"}),
        ("{n:path}", "a/b", {"n": "a/b"}),
        ("{n:str}", "a%20b", {"n": "a b"}),
        ("{n}", "x", {"n": "x"}),
        ("{n:any(a,b)}", "b", {"n": "b"}),
        ("{n:int}/{m:uuid}", "1/6f1c5b1e-6ad4-4f3c-9c7f-4d2a3b1c0d9e", {"n": "1", "m": "6f1c5b1e-6ad4-4f3c-9c7f-4d2a3b1c0d9e"}),
    ],
)
def test_url_parameters_and_the_declared_endpoint_reach_the_view(serve, endpoint, path, want):
    assert serve(ECHO % endpoint).get(f"/v1/{path}").json == {**want, "endpoint": f"/v1/{endpoint}"}


def test_methods_of_a_view_are_the_allowed_ones_and_events_are_none_of_them(serve, records):
    client = serve(ROOM)
    assert client.delete("/rooms/a").status_code == 405
    assert set(client.options("/rooms/a").allow) == {"GET", "HEAD", "OPTIONS", "POST"}
    assert client.open("/rooms/a", method="ON_EVENT").status_code == 405
    assert (client.head("/rooms/a").data, client.head("/rooms/a").content_length) == (b"", 12)
    assert any(isinstance(r, str) and "[MQTT] Subscribing to topic" in r for r in records())


@pytest.mark.parametrize(
    "name,status,text",
    [
        ("list", 200, '{"elements":[1],"size":1}'),
        ("text", 200, "plain"),
        ("bytes", 200, "raw"),
        ("nothing", 200, ""),
        ("payload", 203, '{"x":1}'),
        ("payload_list", 200, '{"elements":["x"],"size":1}'),
        ("payload_text", 201, "just text"),
        ("payload_none", 200, ""),
        ("status_wins", 201, '{"status":201,"a":1}'),
        ("status_place", 201, '{"status":201}'),
        ("status_text", 200, '{"status":"ok"}'),
        ("status_bool", 200, '{"status":true}'),
        ("number", 200, "5"),
        ("big", 200, '{"n":18446744073709551615,"over":"18446744073709551616","under":"-9223372036854775809"}'),
        ("money", 200, '{"d":1.5,"u":"☕"}'),
        ("when", 200, '{"t":"2024-02-03T04:05:06","d":"2024-02-03"}'),
        ("bare_list", 200, '["bare"]\n'),
        ("bare_tuple", 209, '{"bare":1}\n'),
        ("bare_text", 200, "bare"),
    ],
)
def test_replies_are_encoded_as_documented(serve, name, status, text):
    reply = serve(SHAPES).get(f"/{name}")
    assert (reply.status_code, reply.text, reply.content_type) == (status, text, "application/json")
    assert reply.headers["Server"] == "Envoxy Server"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?", reply.headers["Date"])


def test_headers_and_cookies_of_a_reply_dict_are_applied(serve):
    reply = serve(SHAPES).get("/headers")
    assert (reply.headers["X-A"], reply.headers.getlist("Content-Type"), reply.headers["Server"]) == ("1", ["text/x"], "Envoxy Server")
    assert (reply.headers.getlist("Content-Length"), reply.headers["Set-Cookie"]) == (["2"], "sid=v; Path=/")


def test_a_view_that_returns_nothing_is_a_500(serve):
    assert serve(SHAPES).get("/none").status_code == 500


@pytest.mark.parametrize(
    "name,status,code,text", [("plain", 500, 0, "out of glue"), ("refused", 409, 7, "no"), ("digits", 503, 0, "no"), ("odd", 500, 0, "no")]
)
def test_an_exception_is_an_error_reply_with_a_reference_into_the_log(serve, records, name, status, code, text):
    client = serve(TROUBLE)
    reply = client.get(f"/{name}")
    assert (reply.status_code, reply.headers["X-Error"], reply.content_type) == (status, str(code), "text/html; charset=utf-8")
    reference = re.fullmatch(rf"error: {text} :: (ELRC\([0-9a-f-]{{36}}\))", reply.text)[1]
    record = [r for r in records() if isinstance(r, dict)][-1]
    assert record["level"] == 3 and reference in record["short_message"] and "Traceback" in record["short_message"]
    reply = client.post(f"/{name}", json={})
    assert (reply.status_code, reply.headers["X-Error"], reply.content_type) == (status, str(code), "application/json")
    assert re.fullmatch(rf'{{"code":{code},"error":"{text} :: ELRC\([0-9a-f-]{{36}}\)"}}\n', reply.text)


UNREACHABLE = """
import flask, socket
from envoxy.db.exceptions import DatabaseException
lost = DatabaseException("main (db.internal:5432): cannot connect: connection refused")
lost.lost = True
ERRORS = {"lost": lost, "refused": ConnectionRefusedError(111, "db.internal:6379"), "unknown": socket.gaierror("db.internal")}
@on(endpoint="/{name:str}", protocols=["http"])
class Needy(View):
    def get(self, request, name, **kwargs):
        if name == "abort":
            flask.abort(400)
        raise ERRORS[name]
    def post(self, request, name, **kwargs):
        return Response({"json": request.get_json()})
__loader__ = [Needy]
"""


@pytest.mark.parametrize("name", ["lost", "refused", "unknown"])
def test_a_client_does_not_learn_where_a_server_is_that_is_down(serve, records, name):
    reply = serve(UNREACHABLE).get(f"/{name}")
    reference = re.fullmatch(r"error: a service that this one needs cannot be reached :: (ELRC\([0-9a-f-]{36}\))", reply.text)[1]
    record = [r for r in records() if isinstance(r, dict)][-1]
    assert reply.status_code == 500 and "db.internal" not in str(reply.headers)
    assert reference in record["short_message"] and "db.internal" in record["short_message"]


def test_a_client_reads_no_sql(serve, records):
    client = serve("""
import sqlalchemy.exc
@on(endpoint="/", protocols=["http"])
class Wrong(View):
    def get(self, request, **kwargs):
        raise sqlalchemy.exc.ProgrammingError("select secret", {"of": "somebody"}, Exception("no such table"))
__loader__ = [Wrong]
""")
    reply = client.get("/")
    assert reply.status_code == 500 and reply.text.startswith("error: the database has refused") and "secret" not in reply.text
    assert "select secret" in [r for r in records() if isinstance(r, dict)][-1]["short_message"]


def test_what_flask_refuses_is_the_clients_error_and_leaves_no_traceback(serve, records):
    client = serve(UNREACHABLE)
    records()
    for body, kind, status in (("{oops", "application/json", 400), ("x", "text/plain", 415)):
        reply = client.post("/x", data=body, content_type=kind)
        assert reply.status_code == status and "ELRC(" in reply.text
    assert client.get("/abort").status_code == 500
    found = [r for r in records() if isinstance(r, dict) and "ELRC(" in r["short_message"]]
    assert [(r["level"], "Traceback" in r["short_message"]) for r in found] == [(4, False), (4, False), (3, True)]


def test_bulk_requests_without_what_they_need_are_the_callers_error():
    from envoxy import zmqc
    from envoxy.exceptions import ValidationException

    whole = {"server_key": "self", "performative": 0, "url": "/x"}
    for name in whole:
        with pytest.raises(ValidationException) as refused:
            zmqc.bulk_requests([whole, {key: value for key, value in whole.items() if key != name}])
        assert refused.value.kwargs == {"code": 1200, "status": 412} and name in str(refused.value)


@pytest.mark.parametrize("name,message", [("silent", "two lines"), ("silent_text", "x")])
def test_a_204_error_has_its_message_in_a_header_and_no_record(serve, records, name, message):
    client = serve(TROUBLE)
    records()
    for reply in (client.get(f"/{name}"), client.post(f"/{name}", json={})):
        assert (reply.status_code, reply.data, reply.headers["X-Error-Msg"]) == (204, b"", message)
    assert records() == []


AUTH = """
from envoxy import auth_required, auth_anonymous_allowed
@on(endpoint="/rooms/{room:str}", protocols=["http"])
class Guarded(View):
    @auth_required(roles=["keeper"])
    def get(self, request, room, **kwargs):
        return Response({**kwargs, "room": room})
    @auth_anonymous_allowed()
    def post(self, request, room, **kwargs):
        return Response(kwargs)
__loader__ = [Guarded]
"""
PLUGIN = """
from envoxy.exceptions import ValidationException
class Auth:
    def authenticate(self, request, topic=None, **kwargs):
        if request.headers.get("Authorization") != "yes":
            raise ValidationException("who goes there", code=301, status=401)
        return {"user": "u", "topic": topic}
    def anonymous(self, request, topic=None, **kwargs):
        return None
"""


def test_the_auth_plugin_decides_and_its_values_reach_the_view(build, tmp_path, monkeypatch):
    import sys

    monkeypatch.setattr(sys, "path", list(sys.path))
    conf = {"modules": ["service.py"], "plugins": {"auth": str(tmp_path / "plug")}}
    client = build(conf, {"service.py": "from envoxy import View, Response, on\n" + AUTH, "plug/auth.py": PLUGIN}).test_client()
    assert client.get("/rooms/a").status_code == 401
    assert client.get("/rooms/a", headers={"Authorization": "yes"}).json == {
        "endpoint": "/rooms/{room:str}",
        "roles": ["keeper"],
        "room": "a",
        "topic": "/rooms/{room}",
        "user": "u",
    }
    assert client.post("/rooms/a").json == {"endpoint": "/rooms/{room:str}"}


def test_without_a_plugin_authorization_is_refused(serve):
    reply = serve(AUTH).get("/rooms/a")
    assert reply.status_code == 500 and "plugins.auth" in reply.text


def test_cors_reflects_the_origin_on_every_reply(serve):
    client = serve(ROOM, enable_cors=True)
    for path in ("/rooms/a", "/nowhere", "/_health"):
        reply = client.get(path, headers={"Origin": "http://o"})
        assert (reply.headers["Access-Control-Allow-Origin"], reply.headers["Access-Control-Allow-Credentials"]) == ("http://o", "true")
    assert "Access-Control-Allow-Origin" not in client.get("/rooms/a").headers
    reply = client.options(
        "/rooms/a", headers={"Origin": "http://o", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "X-A"}
    )
    assert (reply.status_code, reply.headers["Access-Control-Allow-Headers"]) == (200, "X-A")
    assert reply.headers["Access-Control-Allow-Methods"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
    assert "Access-Control-Allow-Origin" not in serve(ROOM).get("/rooms/a", headers={"Origin": "http://o"}).headers


def test_level_8_logs_each_request_and_its_status(serve, records):
    client = serve(ROOM, log={"level": 8})
    records()
    client.get("/rooms/a?b=c", headers={"Authorization": "S3CRET"})
    client.get("/lost")
    assert [r["short_message"] for r in records()] == [
        "> Request [HTTP] GET /rooms/a?b=c",
        "< Response [HTTP] GET /rooms/a?b=c - 200",
        "> Request [HTTP] GET /lost",
        "< Response [HTTP] GET /lost - 404",
    ]


def test_level_9_adds_headers_and_bodies_without_secrets_and_changes_no_reply(serve, records):
    client = serve(ROOM, log={"level": 9})
    records()
    reply = client.post("/rooms/a", json={"a": 1, "password": "S3CRET"}, headers={"Authorization": "S3CRET", "Cookie": "a=S3CRET"})
    assert reply.json["json"] == {"a": 1, "password": "S3CRET"}
    text = "\n".join(r["short_message"] for r in records())
    assert '| Payload{"a": 1, "password": "***"}' in text and "'Authorization': '***'" in text and "updating last_event_ms" in text
    assert "S3CRET" not in text.split("< Response")[0]
    assert client.post("/rooms/a", data="{oops", content_type="application/json").json["body"] == "{oops"
    assert client.post("/rooms/a", data={"f": "1"}).json["form"] == {"f": "1"}
    assert client.post("/rooms/a", data="words", content_type="text/plain").json["body"] == "words"


def test_the_end_of_the_last_request_is_noted(serve, opt):
    client = serve(ROOM)
    client.get("/rooms/a")
    assert isinstance(opt["last_event_ms"], float)
