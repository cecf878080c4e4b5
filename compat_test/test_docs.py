"""What the pages of the documentation refer to exists, and the index names every page. Reads files only."""
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), ROOT / "bench/README.md", ROOT / "examples/cards/README.md"])

LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
NAMED = re.compile(r"`(docs/[\w./-]+\.md)`")  # how older pages refer to others: from the root
HEADING = re.compile(r"^#+ +(.*?) *$", re.MULTILINE)
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def prose(page):
    """The text of a page without its code blocks, where parentheses and # mean other things."""
    return CODE.sub("", page.read_text(encoding="utf-8"))


def anchors(page):
    """The names that GitHub gives to the headings of a page."""
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in HEADING.findall(prose(page))}


def broken(page):
    """The references of a page that lead nowhere."""
    text = prose(page)
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):  # another site
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists():
            yield target
        elif anchor and anchor not in anchors(there):
            yield target
    for name in NAMED.findall(text):
        if not (ROOT / name).exists():
            yield name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_references_lead_somewhere(page):
    assert list(broken(page)) == []


def test_the_index_names_every_page():
    named = set(LINK.findall(prose(DOCS / "README.md")))
    pages = {page.name for page in DOCS.glob("*.md")} - {"README.md"}
    assert len(pages) > 20
    assert pages - named == set()


def test_a_broken_reference_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A title\n[a](page.md#a-title) [b](nowhere.md) [c](#none) [d](https://example.com/x) `docs/nowhere.md`\n"
        "```\n[e](code.md)\n```\n"
    )
    assert list(broken(page)) == ["nowhere.md", "#none", "docs/nowhere.md"]
