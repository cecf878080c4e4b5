"""couchdbc: queries, documents, who logs in, and what is tried again."""

import base64
import http.server
import json
import threading

import pytest
from envoxy import couchdbc
from envoxy.couchdb import client as couchdb
from envoxy.couchdb import transport
from envoxy.couchdb.client import Client
from envoxy.couchdb.selector import query
from envoxy.db.dispatcher import CouchConnector
from envoxy.db.exceptions import DatabaseException


class Couch:
    """A stand-in for CouchDB: gives the next of the answers, keeps (method, path, body, headers)."""

    def __init__(self):
        outer = self
        self.seen, self.answers = [], []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.seen.append((self.command, self.path, json.loads(body) if body else None, self.headers))
                status, answer = outer.answers.pop(0)
                if status == 0:  # as a server that dies
                    self.close_connection = True
                    return
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_POST = do_PUT = do_GET

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.place = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(params=["requests", "urllib"])
def couch(request, monkeypatch):
    """A stand-in, talked to by both libraries in turn."""
    if request.param == "urllib":
        monkeypatch.setattr(transport, "requests", None)
    elif transport.requests is None:
        pytest.skip("requests is not installed")
    monkeypatch.setattr(couchdb, "_PAUSE", 0)
    stand_in = Couch()
    yield stand_in
    stand_in.server.shutdown()
    stand_in.server.server_close()


def client(couch, **section):
    return Client({"archive": {"bind": f"http://{couch.place}/", **section}})


@pytest.mark.parametrize(
    "params,expected",
    [
        (None, {"selector": {}}),
        ({"t": "x", "a__b": 1}, {"selector": {"t": "x", "a__b": 1}}),
        ({"n__gt": 1}, {"selector": {"n": {"$gt": 1}}}),
        ({"n__gte": 1, "n__lt": 5}, {"selector": {"n": {"$gte": 1, "$lt": 5}}}),
        ({"n": 3, "n__lte": 5}, {"selector": {"n": {"$eq": 3, "$lte": 5}}}),
        ({"n__eq": 1, "m__in": [1, 2], "k__in": "x"}, {"selector": {"n": {"$eq": 1}, "m": {"$in": [1, 2]}, "k": {"$in": ["x"]}}}),
        ({"__gt": 1}, {"selector": {"__gt": 1}}),
        ({"a__b__gt": 1}, {"selector": {"a__b": {"$gt": 1}}}),
        (
            {"page_size": "5", "page_start_index": 10, "order_by": "-t"},
            {"selector": {}, "limit": 5, "skip": 10, "sort": [{"t": "desc"}]},
        ),
        ({"order_by": "+t"}, {"selector": {}, "sort": [{"t": "asc"}]}),
    ],
)
def test_parameters_become_a_query_and_stay_as_they_are(params, expected):
    before = dict(params) if params else params
    assert query(params) == expected and params == before


def test_documents_are_found_read_and_made(couch):
    couch.answers = [
        (200, {"docs": [{"_id": "d1"}]}), (200, {"_id": "a/b"}), (201, {"ok": True, "id": "d2"}), (202, {"ok": True}),
    ]
    archive = client(couch)
    assert archive.find("archive.papers", ["_id"], {"n__gt": 1}) == [{"_id": "d1"}]
    assert archive.get("a/b", "archive.papers") == {"_id": "a/b"}
    assert archive.post("archive.papers", {"t": "é"}) == {"ok": True, "id": "d2"}
    assert archive.post("archive.papers", {}) == {"ok": True}
    assert [seen[:3] for seen in couch.seen] == [
        ("POST", "/papers/_find", {"selector": {"n": {"$gt": 1}}}),
        ("GET", "/papers/a%2Fb", None),
        ("POST", "/papers", {"t": "é"}),
        ("POST", "/papers", {}),
    ]
    assert couch.seen[0][3]["Content-Type"] == "application/json" and "Authorization" not in couch.seen[0][3]


def test_fields_are_sent_where_the_section_wants_it(couch):
    couch.answers = [(200, {"docs": []})] * 3
    archive = client(couch, fields=True)
    archive.find("archive.papers", ("a", "b"), {})
    archive.find("archive.papers", None, {})
    client(couch, fields="false").find("archive.papers", ["a"], {})
    assert [seen[2] for seen in couch.seen] == [{"selector": {}, "fields": ["a", "b"]}, {"selector": {}}, {"selector": {}}]


@pytest.mark.parametrize("answer", [(404, {"error": "not_found"}), (500, b"oops"), (200, b"no JSON"), (201, b"[1]"), (401, b"")])
def test_a_refusal_is_an_empty_reply_and_a_line_in_the_log(couch, answer, opt, records):
    opt["log-level"] = b"\x06"
    couch.answers = [answer] * 3
    archive = client(couch)
    assert (archive.get("x", "archive.papers"), archive.find("archive.papers"), archive.post("archive.papers", {})) == ({}, [], {})
    assert len(records()) == 3


@pytest.mark.parametrize("login", ["bind", "section"])
def test_the_login_is_sent_and_never_logged(couch, login, opt, capfd):
    opt["log-level"] = b"\x09"
    couch.answers = [(200, {}), (0, b""), (0, b""), (0, b"")]
    if login == "bind":
        archive = client(couch, bind=f"http://ann:S3CRET%40@{couch.place}")
    else:
        archive = client(couch, user="ann", passwd="S3CRET@")
    archive.get("x", "archive.papers")
    assert couch.seen[0][3]["Authorization"] == "Basic " + base64.b64encode(b"ann:S3CRET@").decode()
    with pytest.raises(OSError) as failure:
        archive.get("x", "archive.papers")
    log = capfd.readouterr().err
    assert "GET /papers/x" in log and "S3CRET" not in log + str(failure.value)


def test_a_server_that_comes_back_is_asked_again(couch):
    couch.answers = [(0, b""), (0, b""), (200, {"docs": [1]})]
    assert client(couch).find("archive.papers") == [1]


def test_what_might_create_a_document_twice_is_not_tried_again(couch):
    couch.answers = [(0, b""), (0, b""), (201, {"ok": True})]
    with pytest.raises(OSError):
        client(couch).post("archive.papers", {"t": 1})
    assert client(couch).post("archive.papers", {"_id": "x"}) == {"ok": True}


def test_a_server_that_is_down_is_an_error(monkeypatch, opt):
    monkeypatch.setattr(couchdb, "_PAUSE", 0)
    with pytest.raises(OSError):
        Client({"a": {"bind": "127.0.0.1:1"}}).get("x", "a.b")


def test_a_server_alone_has_the_database_of_its_section(couch):
    couch.answers = [(200, {})] * 2
    archive = client(couch, db="papers")
    archive.get("x", "archive")
    archive.get("x", None)
    assert [seen[1] for seen in couch.seen] == ["/papers/x"] * 2


@pytest.mark.parametrize("db,text", [("other.papers", "no server 'other'"), ("archive", "names no database"), ("empty.x", "has no bind")])
def test_a_place_that_is_not_configured_is_named(db, text):
    with pytest.raises(DatabaseException, match=text):
        Client({"archive": {"bind": "x"}, "empty": {}}).get("x", db)


@pytest.mark.parametrize("bind", ["http://ann:S3CRET/x@h", "http://ann:1/S3CRET@h", "ftp://ann:S3CRET@h", "http://ann:S3CRET@"])
def test_a_bind_that_cannot_be_understood_is_not_quoted(bind, opt, capfd):
    opt["log-level"] = b"\x09"
    with pytest.raises(DatabaseException, match="percent-encoded") as failure:
        Client({"archive": {"bind": bind}}).get("x", "archive.papers")
    assert "S3CRET" not in str(failure.value) + capfd.readouterr().err


def test_views_use_the_servers_of_the_configuration(couch, opt, monkeypatch):
    opt["conf_content"] = {"couchdb_servers": {"archive": {"bind": f"http://{couch.place}"}}}
    monkeypatch.setattr(CouchConnector, "_instance", CouchConnector(), raising=False)
    couch.answers = [(200, {"_id": "x"}), (200, {"docs": [2]}), (201, {"ok": True})]
    assert couchdbc.get("x", db="archive.papers") == {"_id": "x"}
    assert couchdbc.find(db="archive.papers", fields=["a"], params={}) == [2]
    assert couchdbc.post(db="archive.papers", payload={"a": 1}) == {"ok": True}
