"""Hooks of workers: their actions, their order, and what a failure says."""
import os

import pytest
from envoxyd_worker import hooks


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def texts(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def test_actions_on_files(here):
    actions = ["mkdir:made", "cd:made", "create:empty", "write:w old text", "write:w new text", "writen:wn line", "append:a 1",
               "append:a  2", "appendn:an one two", "appendn:an three", "create:gone", "unlink:gone", "create:m", "chmod:m 640",
               "chown:m " + str(os.getuid()), "exec:echo run > run"]
    hooks.run([("post-fork", action) for action in actions], "post-fork")
    assert texts(here / "made") == {"empty": "", "w": "new text", "wn": "line\n", "a": "1 2", "an": "one two\nthree\n", "m": "",
                                    "run": "run\n"}
    assert os.stat("m").st_mode & 0o777 == 0o640


def test_variables_reach_the_application(monkeypatch):
    monkeypatch.delenv("HOOKED", raising=False)
    hooks.act("putenv:HOOKED=a=b")
    assert os.environ["HOOKED"] == "a=b"


@pytest.mark.parametrize("number, again, want", [
    (1, False, ["accepting", "accepting-once", "accepting1", "accepting1-once"]),
    (1, True, ["accepting", "accepting1"]),
    (2, False, ["accepting", "accepting-once"]),
    (2, True, ["accepting"]),
])
def test_once_is_for_the_first_process_and_1_for_the_first_worker(here, number, again, want):
    every = [(phase, f"appendn:order {phase}") for phase in ("accepting1-once", "accepting1", "accepting-once", "accepting", "post-fork")]
    hooks.accepting(every, number, again)
    assert texts(here)["order"].split() == want


def test_private_hooks_do_not_show(capfd):
    hooks.run([("post-fork", "!putenv:SECRET=1"), ("post-fork", "print:seen")], "post-fork")
    text = capfd.readouterr().err
    assert "SECRET" not in text and 'running "print:seen" (post-fork)...\nseen\n' in text


@pytest.mark.parametrize("action, word", [
    ("exec:exit 3", "non-zero code: 3"), ("exec:kill -9 $$", "signal 9"), ("unlink:no/such", "no/such"), ("nonsense:x", "nonsense"),
    ("no colon", "ACTION:ARGUMENT"), ("write:w", "no text"), ("chmod:. 9", "9"),
])
def test_a_failure_ends_the_phase(here, action, word):
    with pytest.raises(hooks.Failed, match=word):
        hooks.run([("accepting", action), ("accepting", "create:after")], "accepting")
    assert not (here / "after").exists()


def test_safeexec_may_fail(capfd):
    hooks.act("safeexec:exit 3")
    assert 'command "exit 3" exited with non-zero code: 3' in capfd.readouterr().err
