"""Boot: what is loaded in which order, what is said about it, and how it fails."""

import http.server
import json
import threading

import envoxy
import pytest

VIEW = """
from envoxy import View, Response, on, Config
@on(endpoint="/%s", protocols=["http"])
class %s(View):
    def get(self, request, **kwargs):
        return Response({"name": "%s", "module": __name__, "credentials": Config.get_credentials()})
__loader__ = [%s]
"""


def view(name):
    return VIEW % (name.lower(), name, name, name)


@pytest.fixture
def token_server():
    """A factory of authorization servers: answers with status and body, keeps the paths asked for."""
    servers = []

    def start(status=200, body=b'{"access_token": "t"}'):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.server.seen.append(self.path)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.seen = []
        server.url = f"http://127.0.0.1:{server.server_address[1]}/token"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def credentials(url, **over):
    return {"server": url, "client_id": "id", "client_secret": "S3CRET&=", "response_type": "code", "scope": "all", **over}


def test_mode_test_needs_no_conf(build):
    client = build(options={"mode": b"test"}).test_client()
    assert (client.get("/").data, client.get("/").content_type) == (b"ENVOXY Working!", "application/json")
    assert client.get("/_health").json == {"status": "healthy", "service": "envoxy"}
    assert client.get("/other").status_code == 404


def test_without_conf_and_mode_the_process_ends_with_a_hint(build, records):
    with pytest.raises(SystemExit) as ending:
        build()
    assert ending.value.code == -10
    record = records()[0]
    assert record["level"] == 0 and "--set conf=" in record["short_message"]


def test_modules_are_files_and_packages_have_a_loader(build, records):
    app = build({"modules": ["a.py", "b/__init__.py", "empty.py"]}, {"a.py": view("A"), "b/__init__.py": view("B"), "empty.py": ""})
    assert app.test_client().get("/b").json["module"] == "__init__"
    lines = records()
    assert [x for x in lines if "MMM" in x] == [
        "[MMM] Module path: a.py",
        "[MMM] Module path: b/__init__.py",
        "[MMM] Module path: empty.py",
    ]
    assert "[###] Loaded \"<class '__init__.A'>\"." in lines
    app = build({"packages": ["shelf"]}, {"shelf/__init__.py": "", "shelf/loader.py": view("C")})
    assert app.test_client().get("/c").json["module"] == "shelf.loader"
    assert "[PPP] Package: shelf" in records()


@pytest.mark.parametrize("source, hint", [
    ("", ""), ("__loader__ = []", ""), ("__loaders__ = [int]", "; did you mean it by __loaders__?"),
    ("__loader = [int]", "; did you mean it by __loader?"), ("loader = 'text'", ""), ("urls = [1]", "")])
def test_a_module_without_views_is_told(build, records, source, hint):
    build({"modules": ["a.py"]}, {"a.py": source})
    assert [line for line in records() if "!!!" in line] == [
        f"[!!!] a.py: no view is loaded from it: it has no list __loader__ of view classes{hint}"]


def test_startup_tells_conf_endpoints_and_debug_mode(build, records):
    build({"modules": ["a.py"], "debug": "on"}, {"a.py": view("A")})
    lines = records()
    assert lines[:2] == ["[OK] Configuration file param found: envoxy.json", "[OK] The configuration file was parsed successfully!"]
    assert any(x.startswith('>>> [HTTP] Added the endpoint "/a" using the method "get" calling the function') for x in lines)
    assert "[---] App in debug mode on!" in lines


@pytest.mark.parametrize(
    "conf,files,error",
    [
        ({"modules": ["none.py"]}, {}, FileNotFoundError),
        ({"modules": ["text.txt"]}, {"text.txt": ""}, ImportError),
        ({"modules": ["bad.py"]}, {"bad.py": "1 / 0"}, ZeroDivisionError),
        ({"packages": ["nowhere"]}, {}, ModuleNotFoundError),
        ({"packages": ["bare"]}, {"bare/__init__.py": ""}, ModuleNotFoundError),
        ({"modules": ["a.py"]}, {"a.py": view("A").replace('"/a"', '"/{x:nonsense}"')}, LookupError),
        ({"modules": ["a.py", "b.py"]}, {"a.py": view("A"), "b.py": view("A")}, AssertionError),
    ],
)
def test_what_cannot_be_loaded_is_an_exception_of_the_import(build, conf, files, error):
    with pytest.raises(error):
        build(conf, files)


def test_modules_and_packages_together_are_refused(build):
    with pytest.raises(SystemExit) as ending:
        build({"modules": ["a.py"], "packages": ["b"]})
    assert ending.value.code == -10


def test_the_token_is_asked_for_before_any_view_is_loaded(build, token_server, opt):
    server = token_server()
    build(
        {"modules": ["a.py"], "credentials": credentials(server.url)},
        {"a.py": "from envoxy import Config\nassert Config.get_credentials() == {'access_token': 't'}"},
    )
    assert server.seen == ["/token?client_id=id&client_secret=S3CRET%26%3D&response_type=code&scope=all&state=active"]


def test_a_missing_parameter_is_not_sent(build, token_server):
    server = token_server()
    build({"credentials": {"server": server.url + "?x=1", "client_id": "id"}})
    assert server.seen == ["/token?x=1&client_id=id&state=active"]


@pytest.mark.parametrize(
    "over",
    [
        {"server": ""},
        {"client_secret": ""},
        {"server": "http://127.0.0.1:1/?a=S3CRET"},
        {"server": "S3CRET"},
        {"server": "http://u:S3CRET@127.0.0.1:1/"},
    ],
)
def test_credentials_that_give_no_token_end_the_process_and_stay_secret(build, capfd, over):
    with pytest.raises(SystemExit) as ending:
        build({"credentials": credentials("http://127.0.0.1:1/", **over), "log": {"level": 9}})
    assert ending.value.code == -10
    log = capfd.readouterr().err
    assert "Authorization failed" in log and "S3CRET" not in log


@pytest.mark.parametrize("status,body", [(401, b"{}"), (500, b""), (204, b""), (200, b"<html>")])
def test_an_authorization_server_that_refuses_ends_the_process(build, token_server, status, body, records):
    server = token_server(status, body)
    with pytest.raises(SystemExit) as ending:
        build({"credentials": credentials(server.url)})
    assert ending.value.code == -10
    assert "127.0.0.1" in records()[-1]["short_message"]


def test_services_see_sections_plugins_and_no_credentials(build, opt):
    build({"color": {"name": "blue"}, "plugins": {"auth": "/p"}})
    assert envoxy.Config.get("color") == {"name": "blue"} and envoxy.Config.get("missing") == {}
    assert envoxy.Config.plugins() == {"auth": "/p"} and envoxy.Config.get_credentials() == {}
    assert (opt["log-level"], opt["log-format"]) == (b"\x00", "json")


def test_health_is_added_unless_the_service_answers_it(build):
    client = build({"boot": [{"name": "shopd"}]}).test_client()
    assert client.get("/health").data == b'{"status":"healthy","service":"shopd"}'
    assert client.get("/_health").data == b'{"status":"healthy","service":"envoxy"}'
    own = view("Any").replace('"/any"', '"/{x:str}"').replace("**kwargs", "x, **kwargs")
    client = build({"modules": ["a.py"]}, {"a.py": own}).test_client()
    assert client.get("/health").json["name"] == "Any"
    assert client.get("/_health").json["service"] == "envoxy"


def test_a_peer_that_does_not_answer_is_the_requests_trouble(build, records):
    client = build(
        {
            "log": {"level": 6},
            "mqtt_servers": {"b": {}},
            "zmq_servers": {"z": {}},
            "default_zmq_backend": {"enabled": True, "path_prefix": "/v3/"},
        }
    ).test_client()
    assert not [r for r in records() if isinstance(r, dict)]
    assert client.get("/_health").status_code == 200
    assert client.get("/v3/x").status_code == 500


def test_the_default_backend_gets_what_no_view_takes(build, monkeypatch):
    class Peer:
        @staticmethod
        def post(key, url, params=None, payload=None, headers=None):
            return {"status": 201, "payload": {"key": key, "url": url, "params": dict(params), "payload": payload}}

        initialize = staticmethod(lambda: None)

    monkeypatch.setattr(envoxy, "zmqc", Peer)
    client = build(
        {"zmq_servers": {"first": {}, "second": {}}, "default_zmq_backend": {"enabled": True, "path_prefix": "/v3/"}}
    ).test_client()
    reply = client.post("/v3/a/b?c=d", json={"e": 1})
    assert (reply.status_code, reply.json) == (201, {"key": "first", "url": "/v3/a/b", "params": {"c": "d"}, "payload": {"e": 1}})
    assert client.get("/v4/a").status_code == 404


def test_both_names_of_the_application_are_the_same_object(opt):
    opt["mode"] = b"test"
    import envoxyd.run
    import run

    assert run.app is envoxyd.run.app


def test_records_of_the_log_are_json_whatever_the_text(build, records):
    build({"log": {"level": 3}, "boot": [{"name": "shopd"}]})
    records()
    text = 'back\\slash\ttab \x01 "q"\n\x1b[31mred\x1b[0m café \udc80'
    envoxy.log.error(text)
    envoxy.log.warning("too fine")
    (record,) = records()
    assert list(record) == ["version", "host", "source", "short_message", "timestamp", "level", "pid", "exec", "file", "line"]
    assert (record["short_message"], record["exec"], record["level"]) == (text, "shopd", 3)
    assert record["file"].endswith("tests.test_application.py")


def test_system_lines_are_bare_and_end_in_one_newline(build, records):
    build({})
    records()
    envoxy.log.system("one\n\n")
    envoxy.log.system("two")
    assert records() == ["one", "two"]
    assert (
        json.loads(envoxy.Log.format_log("x", envoxy.Log.INFO, type("C", (), {"filename": "/a/b/c/d.py", "lineno": 3})))["file"]
        == "b.c.d.py"
    )


def test_a_services_own_run_may_ask_for_the_token_itself(token_server):
    server = token_server()
    assert envoxy.authenticate(credentials(server.url)) == {"access_token": "t"}
    assert envoxy.authenticate(None) == envoxy.authenticate({}) == {}
    with pytest.raises(SystemExit) as ending:
        envoxy.authenticate(credentials(""))
    assert ending.value.code == -10


def test_plugins_that_are_not_configured_are_missed_by_name(opt):
    for plugins in ({}, {"plugins": None}, {"plugins": {"other": "/p"}}):
        opt.update(plugins)
        with pytest.raises(RuntimeError, match="no plugins.auth"):
            envoxy.AuthBackendMixin().anonymous(None)
