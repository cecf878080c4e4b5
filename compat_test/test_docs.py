"""What the pages of the documentation refer to exists, and the index names every page. Reads files only."""
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *ROOT.glob("bench/*.md"), ROOT / "examples/cards/README.md"])

LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")
NAMED = re.compile(r"`(docs/[\w./-]+\.md)`")  # how older pages refer to others: from the root
HEADING = re.compile(r"^#+ +(.*?) *$", re.MULTILINE)
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)

# Phrases that this documentation once had where a reader expects an ordinary one.
ODD = {
    r"\bin (?:its )?hand\b": "in progress, current",
    r"\b(?:its|their|and) kin\b": "and similar",
    r"\banew\b": "again",
    r"\bserves? on\b(?= as\b|,|\.|;| without\b)": "keeps serving",
    r"\bby the clock\b": "timers",
    r"\bin good order\b": "normally",
    r"\b(?:over|through) reloads\b": "across reloads",
    r"\bshakes hands\b": "does the handshake",
    r"\blets? go of\b": "releases",
    r"\bstands? above (?:it|that|its)\b": "overrides",
    r"\bsign of life\b": "probe, answer",
    r"\bunder way\b": "in progress",
}
GENERATED = {DOCS / "options.md", DOCS / "python-api.md", DOCS / "metrics.md"}  # their texts are the source's


def odd(text):
    """The phrases of a text that are not plain present-day English, with a plain one; what the program prints is as it is."""
    sentences = re.sub(r"`[^`]*`", "", text)
    for phrase, plain in ODD.items():
        for found in re.finditer(phrase, sentences):
            yield f"{found.group()}: {plain}"


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


@pytest.mark.parametrize("page", sorted(set(PAGES) - GENERATED), ids=lambda page: str(page.relative_to(ROOT)))
def test_the_english_is_plain(page):
    if page.name != "CHANGELOG.md":
        assert list(odd(prose(page))) == []


def test_an_odd_phrase_is_found():
    text = "It serves on, `serves on, as it is printed`, with the request in hand; hooks and their kin. They serve on port 80."
    assert list(odd(text)) == ["in hand: in progress, current", "their kin: and similar", "serves on: keeps serving"]


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
