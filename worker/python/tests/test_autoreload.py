"""--py-autoreload: one reload for each look that finds changes, and it goes on looking."""
import os
import sys
import types

import pytest
from envoxyd_worker import autoreload


class Enough(Exception):
    pass


@pytest.fixture
def looks(tmp_path, monkeypatch):
    """looks(change, ...) has the watch look once before the changes and once after each; returns after which looks it reloaded."""
    for name in ("watched", "other"):
        (tmp_path / f"{name}.py").write_text("")
        module = types.ModuleType(name)
        module.__file__ = str(tmp_path / f"{name}.py{'c' if name == 'other' else ''}")
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "odd", object())

    def run(*changes, skip=()):
        reloads, left = [], list(changes)

        def sleep(interval):
            if not left:
                raise Enough
            for name in left.pop(0).split():
                path = tmp_path / f"{name}.py"
                path.touch()
                os.utime(path, ns=(0, len(left) + 1))

        monkeypatch.setattr(autoreload, "sleep", sleep)
        with pytest.raises(Enough):
            autoreload.watch(1, lambda: reloads.append(len(changes) - len(left)), {}, skip)
        return reloads

    return run


@pytest.mark.parametrize("changes, reloads", [
    (("", ""), []),
    (("watched", "", ""), [1]),
    (("watched", "", "watched"), [1, 3]),  # the first may have failed
    (("watched other",), [1]),
    (("watched", "other"), [1, 2]),
])
def test_reloads(looks, changes, reloads):
    assert looks(*changes) == reloads


def test_a_file_that_is_gone_for_a_moment(looks, tmp_path):
    (tmp_path / "other.py").unlink()
    assert looks("", "other", "other") == [3]


def test_modules_that_do_not_matter(looks):
    assert looks("watched", "other", "watched", skip=("watched",)) == [2]
