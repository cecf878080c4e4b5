"""Every message of the Python sources that ends a start has a row in docs/troubleshooting*.md. Reads files only.

messages_test.go does the same for the Go sources.
"""
import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WORKER = ROOT / "worker/python/envoxyd_worker"
SERVICE = ROOT / "modules/python/envoxyd_service"
# What runs before the first worker is ready: the import, what stands in its place, and what a worker does before it serves.
SOURCES = [
    ROOT / "worker/python/main.py",
    *(WORKER / f"{name}.py" for name in ("apps", "check", "hooks", "instead", "limits", "worker", "zygote", "loops/__init__")),
    *(WORKER / "uwsgi_module" / f"{name}.py" for name in ("__init__", "shared")),
    *(SERVICE / f"{name}.py" for name in ("bootstrap", "credentials", "loader", "requirements", "startup")),
]
LOGS = {"line", "put", "problem"}  # log.line("…")
# Messages without a row, and why.
WITHOUT = {
    "Python version: \0": "normal",
    "module \0 can be imported": "normal: the import alone was asked for",
    "*** running \0 loop engine ***": "normal",
    "WSGI app \0 (mountpoint='\0') ready in \0 seconds on interpreter \0 pid: \0\0": "normal",
    "mapping worker \0 to CPUs: \0": "normal",
    "running --- PRIVATE HOOK --- (\0)...": "normal",
    "running \"\0\" (\0)...": "normal",
    "module 'uwsgi' has no attribute \0": "an exception of the application's, with its traceback",
}
ROW = re.compile(r"^\| (.*?)(?<!\\) \| ")
SPAN = re.compile(r"`([^`]+)`")


def text_of(node):
    """The constant text of an expression, with a NUL for what differs each time; None where there is none."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r"%[sdr]", "\0", node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mod)):
        left, right = text_of(node.left), text_of(node.right) if isinstance(node.op, ast.Add) else ""
        return None if left is None else left + ("\0" if right is None else right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        text = text_of(node.func.value)
        return text and re.sub(r"\{[^}]*\}", "\0", text)
    return None


def messages(source):
    """(text, line) of what the file raises, logs, or writes to standard error."""
    names = {}
    for node in ast.walk(source):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and text_of(node.value):
            names[node.targets[0].id] = text_of(node.value)
    for node in ast.walk(source):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            arguments = node.exc.args[:1]
        elif isinstance(node, ast.Call) and (
                getattr(node.func, "attr", getattr(node.func, "id", "")) in LOGS or ast.unparse(node.func) == "sys.stderr.write"):
            arguments = node.args[:1]
        else:
            continue
        for argument in arguments:
            found = argument
            while isinstance(found, ast.BinOp) and not text_of(found):
                found = found.left
            branches = [found.body, found.orelse] if isinstance(found, ast.IfExp) else [found]
            for branch in branches:
                text = names.get(branch.id) if isinstance(branch, ast.Name) else text_of(branch)
                if text and parts(text):
                    yield text, node.lineno


def parts(text):
    """What each print of the message has."""
    found = (part.strip(" \n\t\"'`(),;:…") for part in re.split("[\0\n]", text))
    return [part for part in found if len(re.findall("[^\\W\\d_]", part)) >= 3]


def rows():
    """The messages of the pages."""
    for page in sorted((ROOT / "docs").glob("troubleshooting*.md")):
        for line in page.read_text(encoding="utf-8").splitlines():
            cell = ROW.match(line)
            if cell:
                yield from (span.replace("\\|", "|") for span in SPAN.findall(cell.group(1)))


def says(row, wanted):
    """The row has all parts in their order."""
    at = 0
    for part in wanted:
        at = row.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True


def missing(source, known):
    """(line, text) of the messages that no known row has."""
    return sorted((line, text) for text, line in messages(ast.parse(source))
                  if text not in WITHOUT and not any(says(row, parts(text)) for row in known))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_message_has_a_row(path):
    assert missing(path.read_text(encoding="utf-8"), list(rows())) == []


def test_no_exception_is_left_over():
    found = {text for path in SOURCES for text, _ in messages(ast.parse(path.read_text(encoding="utf-8")))}
    assert len(found) > 20
    assert set(WITHOUT) - found == set()


def test_a_message_without_a_row_is_found():
    source = """def f(x):
    log.line(f"the moon {x} is made of cheese")
    raise ValueError("of green cheese, too")
    log.line("*** no app loaded ***")
"""
    assert missing(source, ["*** no app loaded ***"]) == [(2, "the moon \0 is made of cheese"), (3, "of green cheese, too")]
