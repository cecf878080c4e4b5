import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import builder  # noqa: E402
from dockerfile import Error  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="files get owners")


@pytest.fixture
def made(tmp_path):
    """Builds a text from a context of a few files; nothing that it runs needs a program in the root."""
    base, context, work = tmp_path / "base", tmp_path / "context", tmp_path / "work"
    for directory in (base / "etc", context / "app/tests", context / "app/deep/tests", work):
        directory.mkdir(parents=True)
    (base / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nme:x:7:8::/home/me:/bin/sh\n")
    (base / "etc/group").write_text("root:x:0:\nus:x:9:\n")
    for name in ("one.txt", "two.txt", "app/main.py", "app/tests/a", "app/deep/tests/b", "app/deep/c", "secret"):
        (context / name).write_text(name)
    (context / "app/main.py").chmod(0o755)
    (context / "app/link").symlink_to("main.py")
    (context / ".dockerignore").write_text("# not these\nsecret\n**/tests\n")

    def build(text, target="", **args):
        bases = {"base": builder.Image(base)}
        return builder.Builder(work, bases, args).build(text, context, target)
    return build


def files(root, below):
    return sorted(str(path.relative_to(root)) for path in Path(root, below).rglob("*") if not path.is_dir())


def test_copy_of_all_leaves_out_what_is_ignored(made):
    image = made("FROM base\nWORKDIR /srv\nCOPY . .")
    assert files(image.root, "srv") == ["srv/.dockerignore", "srv/app/deep/c", "srv/app/link", "srv/app/main.py", "srv/one.txt",
                                       "srv/two.txt"]
    assert (image.root / "srv/app/main.py").stat().st_mode & 0o777 == 0o755
    assert os.readlink(image.root / "srv/app/link") == "main.py"


def test_copy_of_a_directory_is_of_its_contents_and_of_files_by_name(made):
    image = made("FROM base\nCOPY app /srv/\nCOPY *.txt app/main.py /to/\nCOPY --chmod=711 --chown=me:us one.txt /to/other")
    assert files(image.root, "srv") == ["srv/deep/c", "srv/link", "srv/main.py"]
    assert files(image.root, "to") == ["to/main.py", "to/one.txt", "to/other", "to/two.txt"]
    status = (image.root / "to/other").stat()
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o711, 7, 9)


@pytest.mark.parametrize("text, message", [
    ("COPY none /", "line 2: COPY: there is no none"),
    ("COPY secret /", "line 2: COPY: there is no secret"),
    ("USER nobody", "line 2: USER: there is no user nobody"),
    ("COPY --from=other x /", "line 2: COPY: there is no image other"),
    ("RUN --mount=type=cache,target=/x true", "line 2: RUN: --mount: type=bind"),
    ("EXPOSE http", "line 2: EXPOSE: http is no port"),
    ("HEALTHCHECK true", "line 2: HEALTHCHECK: CMD or NONE, not true"),
])
def test_mistakes_are_told_with_their_line(made, text, message):
    with pytest.raises(Error, match=message):
        made(f"FROM base\n{text}")


def test_only_stages_that_are_needed_are_made(made):
    text = ("FROM none AS broken\nFROM base AS first\nENV A=1\n"
            "FROM first AS second\nCOPY --from=first /etc/passwd /copied\nENV B=$A\nFROM broken")
    image = made(text, "second")
    assert image.config.env["B"] == "1" and (image.root / "copied").exists()
    with pytest.raises(Error, match="there is no image none"):
        made(text)


def test_an_entrypoint_takes_the_command_of_the_base_away(made):
    text = 'FROM base AS one\nCMD ["a"]\nFROM one AS two\nENTRYPOINT ["b"]\nFROM base AS three\nCMD ["c"]\nENTRYPOINT ["d"]'
    assert made(text, "two").config.cmd == []
    assert made(text, "three").config.cmd == ["c"]


def test_arguments_are_of_their_stage(made):
    text = "ARG A=outer\nFROM base\nARG B=inner\nENV X=${A:-none}-${B}-${C:-none}\nARG C"
    assert made(text, C="given").config.env["X"] == "none-inner-none"
    assert made(text + "\nENV X=$B$C", B="over", C="given").config.env["X"] == "overgiven"


def test_users(made):
    image = made("FROM base\nHEALTHCHECK --interval=1s CMD x y\nUSER me")
    assert image.config.healthcheck == ["/bin/sh", "-c", "x y"]
    me = (7, 8, "/home/me")
    for user, wanted in (("", (0, 0, "/root")), ("me", me), ("7", me), ("12:us", (12, 9, "/")), ("12", (12, 0, "/"))):
        assert builder.accounts.resolve(image.root, user) == wanted


def test_the_real_files_can_be_read():
    """Every instruction of the Dockerfile is known, and every source of its COPYs is in the context."""
    root = Path(builder.__file__).resolve().parent.parent.parent
    patterns = builder.ignore_patterns(root)
    copies = [one for stage in builder.stages((root / "Dockerfile").read_text(), {}) for one in stage.instructions if one.keyword == "COPY"]
    assert len(copies) > 3
    for one in copies:
        for source in one.rest.split()[:-1]:
            assert list(builder.listed(root / source, root, patterns)), source
    needed = [path for folder in ("cmd", "worker/python/envoxyd_worker", "packaging") for path in (root / folder).rglob("*.[gp][oy]")]
    left_out = [path for path in needed if builder.is_ignored(path.relative_to(root).as_posix(), patterns)]
    assert needed and not [path for path in left_out if "tests" not in path.parts]
