import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import dockerfile  # noqa: E402


def test_continued_lines_and_comments_between_them():
    found = dockerfile.instructions("# first\nRUN one \\\n# between\n\n    && two\nUSER me\n")
    assert [(one.line, one.keyword, one.rest) for one in found] == [(2, "RUN", "one     && two"), (6, "USER", "me")]


def test_flags_are_taken_off():
    one, = dockerfile.instructions("RUN --mount=type=bind,from=wheel,source=/a --mount=type=tmpfs,target=/t pip --quiet install x")
    assert one.flags == [("mount", "type=bind,from=wheel,source=/a"), ("mount", "type=tmpfs,target=/t")]
    assert one.rest == "pip --quiet install x"


@pytest.mark.parametrize("text, message", [
    ("FROM a\nADD x /y", "line 2: ADD is not known here"),
    ("FROM a\nCOPY --link x /y", "line 2: COPY --link is not known here"),
    ("FROM a\nRUN --network=none true", "line 2: RUN --network is not known here"),
    ("RUN true", "line 1: RUN before FROM"),
    ("FROM a as b c", "line 1: FROM IMAGE or FROM IMAGE AS NAME"),
    ("FROM a\nRUN x \\", "line 2: the file ends in the middle of an instruction"),
])
def test_what_is_not_known_is_an_error(text, message):
    with pytest.raises(dockerfile.Error, match=message):
        dockerfile.stages(text, {})


def test_exec_form_and_shell_form():
    listed, shell, wrong = dockerfile.instructions("CMD [\"a\", \"b c\"]\nCMD a b\nCMD ['a']")
    assert listed.exec_form() == ["a", "b c"]
    assert shell.exec_form() is None
    with pytest.raises(dockerfile.Error, match="line 3: CMD begins with"):
        wrong.exec_form()


def test_stages_and_arguments_of_from():
    text = "ARG V=1\nARG W=2\nFROM --platform=$BUILDPLATFORM go:${V}-${W} AS build\nARG V\nFROM build\nRUN true"
    first, second = dockerfile.stages(text, {"W": "3"})
    assert (first.base, first.name) == ("go:1-3", "build")
    assert (second.base, second.name, len(second.instructions)) == ("build", "", 1)


@pytest.mark.parametrize("text, value", [
    ("$A-${A}", "x-x"), ("${B:-none}", "none"), ("${A:-none}", "x"), ("${A:+set}${B:+set}", "set"), ("\\$A", "$A"), ("$B", ""), ("$", "$"),
])
def test_expand(text, value):
    assert dockerfile.expand(text, {"A": "x"}) == value


def test_pairs():
    assert dockerfile.pairs("A=1 B='two words' C=$X", {"X": "y"}) == {"A": "1", "B": "two words", "C": "y"}
    with pytest.raises(dockerfile.Error, match="NAME=VALUE"):
        dockerfile.pairs("A 1", {})
