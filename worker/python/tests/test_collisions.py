"""Mounted projects that have modules of the same name are told apart by nobody: the log names them."""
import sys
import types

import pytest
from envoxyd_worker import apps
from test_apps import PYTHON

@pytest.fixture
def load(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def load(files, *mounts, **more):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("ROOT", str(tmp_path)))
        apps.load({"python": {**PYTHON, "need_app": False, "mounts": list(mounts), **more}}, types.SimpleNamespace(), lambda step: None)
        return [line for line in capfd.readouterr().err.replace(str(tmp_path), "").splitlines() if "WARNING" in line]

    yield load
    for name in set(sys.modules) - before:
        del sys.modules[name]


APP = "import sys\nsys.path.insert(0, 'ROOT/{0}')\nimport settings, views\ndef application(e, s): pass\n"


def project(name, *modules):
    return {f"{name}/wsgi.py": APP.format(name), **{f"{name}/{module}.py": "" for module in ("settings", "views", *modules)}}


def test_the_modules_are_named(load):
    found = load({**project("a"), **project("b")}, "/a=a/wsgi.py", "/b=b/wsgi.py")
    assert len(found) == 1
    assert "/b (/b) gets modules of /a (/a): settings, views. " in found[0]


def test_packages_too_and_the_default_application(load):
    files = {}
    for name in "ab":
        files[f"{name}/site/__init__.py"] = files[f"{name}/site/urls.py"] = ""
        files[f"{name}/site/wsgi.py"] = f"import sys\nsys.path.insert(0, 'ROOT/{name}')\nimport site_{name}\ndef application(e, s): pass\n"
        files[f"{name}/site_{name}.py"] = ""
        files[f"{name}/parts/__init__.py"] = ""
    files["a/site_a.py"] = "import parts"
    found = load(files, "/b=b/site/wsgi.py", wsgi_file="a/site/wsgi.py")
    assert len(found) == 1
    assert "/b (/b) gets modules of the default application (/a): parts. " in found[0]


def test_modules_found_by_pythonpath(load, tmp_path):
    sys.path[:0] = [str(tmp_path / "a"), str(tmp_path / "b")]
    text = "import settings\napplication = print\n"
    files = {**project("a"), **project("b"), "a/one.py": text, "b/two.py": text}
    found = load(files, "/a=one", "/b=two")
    assert len(found) == 1 and "/b (/b) gets modules of /a (/a): settings. " in found[0]


@pytest.mark.parametrize("files, mounts", [
    (project("a"), ["/a=a/wsgi.py", "/b=a/wsgi.py"]),  # one project twice
    ({**project("a"), "b/wsgi.py": "def application(e, s): pass\n", "b/other.py": ""}, ["/a=a/wsgi.py", "/b=b/wsgi.py"]),
    ({"a/wsgi.py": "import this_is_not\n", "b/wsgi.py": "def application(e, s): pass\n"}, ["/a=a/wsgi.py", "/b=b/wsgi.py"]),
    ({"a/wsgi.py": "import colorsys\ndef application(e, s): pass\n", "b/wsgi.py": "def application(e, s): pass\n", "b/colorsys.py": ""},
     ["/a=a/wsgi.py", "/b=b/wsgi.py"]),  # of Python's own
])
def test_what_does_not_collide_is_not_mentioned(load, files, mounts):
    assert load(files, *mounts) == []


def test_the_names_are_ten_at_most(load):
    names = [f"m{n:02}" for n in range(14)]
    files = {**project("a", *names), **project("b", *names)}
    files["a/wsgi.py"] = "import sys\nsys.path.insert(0, 'ROOT/a')\nimport " + ", ".join(names) + "\ndef application(e, s): pass\n"
    found = load(files, "/a=a/wsgi.py", "/b=b/wsgi.py")
    assert len(found) == 1 and "m08, m09 and 4 more. " in found[0]
