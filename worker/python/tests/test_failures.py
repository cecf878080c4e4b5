"""What is told of an import that fails: the application's frames, and one line with file, line and error."""
import importlib
import sys

import pytest
from envoxyd_worker import apps, failures


def failure(call):
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, text in {
        "needs": "import not_there\n", "outer": "import needs\n", "bad": "x = 1\ndef f(:\n", "value": "int('a\\n b')\n",
        "chained": "try:\n    int('a')\nexcept ValueError as e:\n    raise KeyError('k') from e\n",
        "odd": "class E(Exception):\n    def __str__(self):\n        raise RuntimeError\nraise E\n",
        "late": "import importlib\nimportlib.import_module('needs')\n", "leaves": "raise SystemExit('text')\n",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in ("needs", "outer", "bad", "value", "chained", "odd", "late"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name, line", [
    ("needs", "needs.py:1: ModuleNotFoundError: No module named 'not_there'"),
    ("outer", "needs.py:1: ModuleNotFoundError: No module named 'not_there'"),
    ("late", "needs.py:1: ModuleNotFoundError: No module named 'not_there'"),
    ("bad", "bad.py:2: SyntaxError: invalid syntax"),
    ("value", "value.py:1: ValueError: invalid literal for int() with base 10: 'a\\n b'"),
    ("chained", "chained.py:4: KeyError: 'k'"),
    ("odd", "odd.py:4: odd.E: (not printable)"),
    ("leaves", "leaves.py:1: SystemExit: text"),
])
def test_the_line_says_where_and_what(folder, name, line):
    error = failure(lambda: apps.find(("module", name), ""))
    assert failures.blame(error) == f"{folder}/{line}"
    text = failures.trace(error)
    assert "/importlib/" not in text and "envoxyd_worker" not in text, text
    assert f'File "{folder}/{name}.py", line' in text


def test_what_is_not_there_has_no_frames(folder):
    error = failure(lambda: apps.find(("module", "absent"), ""))
    assert (failures.trace(error), failures.blame(error)) == ("", "ModuleNotFoundError: No module named 'absent'")
    error = failure(lambda: apps.find(("file", "/absent.py"), ""))
    assert (failures.trace(error), failures.blame(error)) == ("", "FileNotFoundError: [Errno 2] No such file or directory: '/absent.py'")


def test_the_cause_is_shown_too(folder):
    text = failures.trace(failure(lambda: importlib.import_module("chained")))
    assert "ValueError: invalid literal" in text and "direct cause" in text


def test_an_error_of_our_own_keeps_its_frames(capfd):
    error = failure(lambda: failures.family(None, None).throw(RuntimeError("ours")))
    failures.report(error)
    assert "failures.py" in capfd.readouterr().err


@pytest.mark.parametrize("text, rest", [
    ("def make(): pass\nimport os\nfrom os.path import join\nclass App:\n    def __call__(self): pass\n_hidden = App()\nmain = App()\n",
     "what can be called there: main, make, App"),
    ("".join(f"def f{n}(): pass\n" for n in range(12)), "what can be called there: f0, f1, f2, f3, f4, f5, f6, f7, f8, f9 and 2 more"),
    ("import os\n", "nothing in it can be called"),
])
def test_a_wrong_callable_says_which_there_are(tmp_path, text, rest):
    path = tmp_path / "wrong.py"
    path.write_text(text + "number = 1\n")
    error = failure(lambda: apps.find(("file", str(path)), "application"))
    assert failures.blame(error) == f"{path}: there is no 'application' in it; {rest}"
    error = failure(lambda: apps.find(("file", f"{path}:number"), ""))
    assert failures.blame(error) == f"{path}: 'number' is of type int and cannot be called; {rest}"
