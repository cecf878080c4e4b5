"""Applications are found however they are named, and chosen by where they are mounted."""
import os
import sys
import types

import pytest
from envoxyd_worker import apps

PYTHON = {
    "modules": [], "wsgi_file": "", "eval": "", "paste": "", "paste_name": "", "paste_logger": False, "callable": "", "mounts": [],
    "need_app": True, "early_imports": None,
    "shared_imports": None, "manage_script_name": False, "no_default_app": False, "aliases": None, "post_aliases": None, "pecan": "",
    "worker_mounts": None, "ignore_script_name": False, "vhost": False, "vhost_host": False, "dynamic_apps": False, "max_apps": 2,
}


def load(**given):
    return apps.load({"python": {**PYTHON, **given}}, types.SimpleNamespace(), lambda step: None)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_text("def application(e, s): return 'a'\ndef other(e, s): return 'other'\ndef make(): return other\n")
    (tmp_path / "broken.py").write_text("import no_such_module\n")
    (tmp_path / "leaves.py").write_text("import sys; sys.exit(5)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("given,result", [
    ({"wsgi_file": "a.py"}, "a"),
    ({"wsgi_file": "a.py", "callable": "other"}, "other"),
    ({"wsgi_file": "a.py:other"}, "other"),
    ({"modules": ["a"]}, "a"),
    ({"modules": ["nothing", "a:other"]}, "other"),
    ({"modules": ["a:make()"]}, "other"),
    ({"eval": "application = lambda e, s: 'evaluated'"}, "evaluated"),
])
def test_an_application_is_found_however_it_is_named(folder, given, result):
    assert load(**given)[""](None, None) == result


@pytest.mark.parametrize("given,status", [
    ({"modules": ["broken"]}, 22), ({"modules": ["a:absent"]}, 22), ({"wsgi_file": "absent.py"}, 22), ({}, 22),
    ({"modules": ["leaves"]}, 5), ({"mounts": ["/x"]}, 1), ({"wsgi_file": "a.py", "mounts": ["/x=broken.py"]}, 22),
])
def test_what_cannot_be_loaded_ends_the_start(folder, given, status):
    with pytest.raises(SystemExit) as wish:
        load(**given)
    assert wish.value.code == status
    assert (wish.value.__cause__ is not None) == (status == 22 and given != {}), "the reason goes with it"


def test_without_need_app_the_server_goes_on_without_one(folder):
    assert load(modules=["broken"], need_app=False) == {}


class Extension:
    def __init__(self):
        self.seen = []

    def set_app(self, number):
        self.seen.append(number)


def mounted(**given):
    found = {"": lambda e, s: ("root", e.get("SCRIPT_NAME"), e["PATH_INFO"])}
    for point in ("/foo", "/foo/deep", "/foobis/"):
        found[point] = lambda e, s, point=point: (point, e["SCRIPT_NAME"], e["PATH_INFO"])
    if given.pop("without_root", False):
        del found[""]
    return apps.choose(found, {**PYTHON, **given}, Extension())


@pytest.mark.parametrize("path,result", [
    ("/", ("root", "", "/")), ("/foo", ("/foo", "/foo", "")), ("/foo/", ("/foo", "/foo", "/")), ("/foo/x", ("/foo", "/foo", "/x")),
    ("/foobar", ("root", "", "/foobar")), ("/foo/deep/x", ("/foo/deep", "/foo/deep", "/x")), ("/foo/deeper", ("/foo", "/foo", "/deeper")),
    ("/foobis", ("/foobis/", "/foobis/", "")), ("/foobis/", ("/foobis/", "/foobis/", "/")), ("/foobis/x", ("/foobis/", "/foobis/", "/x")),
    ("/foobisis", ("root", "", "/foobisis")), ("/foobisis/", ("root", "", "/foobisis/")),
])
def test_the_longest_mountpoint_that_ends_at_a_slash_wins(path, result):
    assert mounted(manage_script_name=True)({"PATH_INFO": path}, None) == result


def test_without_manage_script_name_only_script_name_counts():
    serve = mounted()
    assert serve({"PATH_INFO": "/foo/x"}, None)[0] == "root"
    assert serve({"PATH_INFO": "/foo/x", "SCRIPT_NAME": "/foo"}, None) == ("/foo", "/foo", "/foo/x")
    for name in ("/foobis", "/foobis/"):
        assert serve({"PATH_INFO": "/foobis/x", "SCRIPT_NAME": name}, None) == ("/foobis/", name, "/foobis/x")


def test_where_no_application_fits_the_answer_is_500():
    answers = []
    body = mounted(manage_script_name=True, no_default_app=True, without_root=True)(
        {"PATH_INFO": "/other"}, lambda status, headers: answers.append(status))
    assert (answers, body) == (["500 Internal Server Error"], [b"Internal Server Error"])


def test_the_answer_without_an_application_is_the_first_page_that_can_be_read(tmp_path):
    (tmp_path / "page.html").write_bytes(b"<h1>broken</h1>")
    (tmp_path / "huge.html").write_bytes(b"x" * ((1 << 20) + 1))
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    headers = []
    body = apps.no_app(lambda status, fields: headers.extend(fields), lambda app: None,
                  [str(tmp_path / name) for name in ("none", "directory", "pipe", "huge.html", "page.html")])
    assert body == [b"<h1>broken</h1>"]
    assert dict(headers) == {"Connection": "close", "Content-Type": "text/html", "Content-Length": "15"}


def test_a_mountpoint_keeps_its_trailing_slash_unless_that_is_all(folder):
    assert set(load(wsgi_file="a.py", mounts=["/x/=a.py", "/=a.py"])) == {"", "/x/"}


def test_paste_loads_the_named_application_of_an_absolute_path(tmp_path, monkeypatch):
    import logging
    import types

    asked = []
    deploy = types.ModuleType("paste.deploy")
    deploy.loadapp = lambda uri, name=None: asked.append((uri, name)) or (lambda e, s: "pasted")
    monkeypatch.setitem(sys.modules, "paste", types.ModuleType("paste"))
    monkeypatch.setitem(sys.modules, "paste.deploy", deploy)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "site.ini").write_text(
        "[loggers]\nkeys = root, site\n[handlers]\nkeys =\n[formatters]\nkeys =\n[logger_root]\nhandlers =\n"
        "[logger_site]\nqualname = pasted.site\nlevel = ERROR\nhandlers =\n")
    assert load(paste="config:site.ini", paste_name="main", paste_logger=True)[""](None, None) == "pasted"
    assert asked == [(f"config:{tmp_path}/site.ini", "main")]
    assert logging.getLogger("pasted.site").level == logging.ERROR
    assert load(paste="egg:Site")[""](None, None) == "pasted"
    assert asked[-1] == ("egg:Site", None)


def test_requests_of_several_applications_are_counted():
    class Counts(list):
        def request(self, number):
            self.append(number)

        def exception(self, number):
            self.append(-number)

    def failing(environ, start_response):
        raise ZeroDivisionError

    counts = Counts()
    serve = apps.choose({"": lambda e, s: "root", "/a": failing}, PYTHON, Extension(), counts)
    assert serve({"PATH_INFO": "/"}, None) == "root"
    with pytest.raises(ZeroDivisionError):
        serve({"PATH_INFO": "/", "SCRIPT_NAME": "/a"}, None)
    assert counts == [0, 1, -1]


HOSTED = {"": "root", "/x": "anywhere", "one.example": "one", "one.example/x": "one below x"}


def hosted(**given):
    found = {point: lambda e, s, name=name: (name, e["SCRIPT_NAME"], e["PATH_INFO"]) for point, name in HOSTED.items()}
    return apps.choose(found, {**PYTHON, **given}, Extension())


@pytest.mark.parametrize("host, path, result", [
    ("one.example", "/", ("one", "", "/")), ("one.example", "/x/y", ("one below x", "/x", "/y")),
    ("one.example", "/xy", ("one", "", "/xy")),
    ("two.example", "/x", ("anywhere", "/x", "")), ("two.example", "/", ("root", "", "/")),
    ("", "/", ("root", "", "/")), ("one.exampl", "/", ("root", "", "/")), ("/x", "/y", ("root", "", "/y")),
])
def test_with_vhost_the_mountpoints_of_the_host_come_first(host, path, result):
    for names, variable in (({}, "SERVER_NAME"), ({"vhost_host": True}, "HTTP_HOST")):
        serve = hosted(vhost=True, manage_script_name=True, **names)
        assert serve({"PATH_INFO": path, variable: host}, None) == result


def test_with_vhost_a_script_name_belongs_to_its_host():
    serve = hosted(vhost=True)
    for host, script, name in (("one.example", "/x", "one below x"), ("one.example", "", "one"), ("two.example", "/x", "anywhere")):
        assert serve({"PATH_INFO": "/", "SERVER_NAME": host, "SCRIPT_NAME": script}, None) == (name, script, "/")


def test_a_script_name_may_be_ignored():
    assert mounted(ignore_script_name=True)({"PATH_INFO": "/", "SCRIPT_NAME": "/foo"}, None) == ("root", "/foo", "/")


def test_requests_name_applications_up_to_a_number(folder):
    for name in ("b", "c"):
        (folder / f"{name}.py").write_text(f"def application(e, s): return {name!r}\n")
    serve = apps.choose({"": lambda e, s: "default"}, {**PYTHON, "dynamic_apps": True}, Extension())
    named = [{"UWSGI_FILE": "a.py"}, {"UWSGI_SCRIPT": "b"}, {"UWSGI_MODULE": "c"}, {"UWSGI_SCRIPT": "b"}, {"UWSGI_FILE": "a.py"}, {}]
    assert [serve(environ, None) for environ in named] == ["a", "b", "default", "b", "a", "default"]


def test_an_application_that_a_request_names_in_vain_costs_no_place(folder):
    serve = apps.choose({"": lambda e, s: "default"}, {**PYTHON, "dynamic_apps": True, "max_apps": 1}, Extension())
    assert serve({"UWSGI_FILE": "absent.py"}, None) == "default"
    assert serve({"UWSGI_FILE": "a.py", "UWSGI_CALLABLE": "other"}, None) == "other"


def test_modules_have_other_names(folder, monkeypatch):
    for name in ("another", "later"):
        monkeypatch.setitem(sys.modules, name, None)
    (folder / "user.py").write_text("import another\napplication = another.application\n")
    assert load(modules=["user"], aliases=["another=a"], post_aliases=["later=a.py"])[""](None, None) == "a"
    assert sys.modules["later"].other(None, None) == "other"
