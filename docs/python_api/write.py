"""Writes docs/python-api.md and the type stubs, from the tables beside this file. With --check it only tells what differs."""
import re
import sys
import textwrap
from collections import namedtuple
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
STUBS = ROOT / "worker/python/importable"

Row = namedtuple("Row", "section name signature annotation named status use")  # signature: "" for what is not called

ABOUT = {
    "uwsgi": "What `import uwsgi` gives to an application. Strings that come from it are bytes, but for `opt`'s keys. What fails mostly"
             " answers None; what needs a current request, a master, a mule or a spooler raises without one.",
    "uwsgidecorators": "What `import uwsgidecorators` gives; it needs `--master`. `from uwsgidecorators import *` brings `uwsgi` along.",
}

INTRODUCTION = """# The Python API

<!-- Generated from docs/python_api/*.txt by docs/python_api/write.py (`make docs`); edit those. -->

uWSGI's names, arguments and results. Beside the two modules are type stubs (`uwsgi.pyi` and `uwsgidecorators/__init__.pyi` in
`lib/envoxyd/python/importable`): name that folder to an editor or type checker (`extraPaths`, `mypy_path`) and it knows them.

The status is **yes**, **with** an option without which the name is absent as in uWSGI, **later**, or **never** and why; of the last
two, the third column says what happens meanwhile.
"""

STUB = '''"""{about}

Generated from docs/python_api/{name}.txt; `make docs` writes it.
"""
{imports}
'''

IMPORTS = {
    "uwsgi": "from typing import Any, Callable, Iterator, Literal, Union\n\nText = Union[str, bytes]\n",
    "uwsgidecorators": 'from typing import Any, Callable, TypeVar\n\nimport uwsgi as uwsgi\n\nF = TypeVar("F", bound=Callable[..., Any])\n',
}


def rows(module):
    """The rows of a module's table."""
    section = ""
    for line in (HERE / f"{module}.txt").read_text("utf-8").splitlines():
        if line.startswith("# "):
            section = line[2:]
        elif line and not line.startswith(";"):
            left, status, use = line.split(" :: ")
            named, left = left.startswith("~"), left.lstrip("~")
            called = re.fullmatch(r"(\w+)(\(.*\)) -> (.+)", left)
            name, signature, annotation = called.groups() if called else (*left.split(": ", 1)[:1], "", left.split(": ", 1)[1])
            yield Row(section, name, signature, annotation, named, status, use)


def available(row):
    """Whether the name is there at all, if its option is."""
    return row.use != "absent"


def markdown():
    out = [INTRODUCTION]
    for module in ABOUT:
        out.append(f"\n# {module}\n\n{textwrap.fill(ABOUT[module], 130)}\n")
        section = None
        for row in rows(module):
            if row.section != section:
                section = row.section
                out.append(f"\n## {section}\n\n| name | status | |\n|---|---|---|\n")
            status = re.sub(r"^with ([\w-]+)$", r"with `--\1`", row.status)
            text = f"{row.name}{row.signature}".replace(" = ", "=").replace("|", "\\|")
            out.append(f"| `{text}` | {status} | {row.use} |\n")
    return "".join(out)


def stub(module):
    out = [STUB.format(about=textwrap.fill(ABOUT[module].replace("`", ""), 130), name=module, imports=IMPORTS[module])]
    section = None
    for row in filter(available, rows(module)):
        if row.section != section:
            section = row.section
            out.append(f"# {section}\n")
        if row.signature:
            signature = row.signature
            if signature != "()" and "*" not in signature and not row.named:
                signature = signature[:-1] + ", /)"
            line = f"def {row.name}{signature} -> {row.annotation}:"
            if len(line) > 130:
                line = f"def {row.name}(\n    {signature[1:-1]}\n) -> {row.annotation}:"
            out.append(f"{line}\n    \"\"\"{sentence(row)}\"\"\"\n")
        else:
            out.append(f"{row.name}: {row.annotation}\n")
    return "".join(out)


def sentence(row):
    """What an editor shows of a function."""
    use = row.use[0].upper() + row.use[1:]
    if row.status.startswith("with "):
        return f"{use} (--{row.status[5:]})."
    return f"{use}." if row.status == "yes" else f"{use} ({row.status})."


def files():
    """What is generated: paths and contents."""
    return {
        ROOT / "docs/python-api.md": markdown(),
        STUBS / "uwsgi.pyi": stub("uwsgi"),
        STUBS / "uwsgidecorators/__init__.pyi": stub("uwsgidecorators"),
        STUBS / "uwsgidecorators/py.typed": "",
    }


def main():
    differ = [path for path, text in files().items() if not path.exists() or path.read_text("utf-8") != text]
    if "--check" in sys.argv:
        sys.exit("\n".join(f"{path} is not up to date: run make docs" for path in differ) or 0)
    for path in differ:
        path.write_text(files()[path], "utf-8")


if __name__ == "__main__":
    main()
