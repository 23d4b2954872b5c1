"""Every relative link and anchor in README and the pages of docs/ leads somewhere, also on a plain git host."""

import re
from functools import cache

import pytest
from helpers.command import ROOT
from pymdownx.slugs import slugify

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        ROOT / "benchmarks/README.md",
        ROOT / "docs/tutorial.ipynb",
    )
)
LINK = re.compile(r"\]\((?![a-z]+:)([^)\s#]*)(?:#([^)\s]*))?\)")
CODE = re.compile(r"^(```).*?^\1|^(?: {4}|\t).*?$", re.MULTILINE | re.DOTALL)


@cache
def anchors(path):
    """Returns the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    slug = slugify(case="lower")
    return {slug(re.sub(r"[`*]", "", title), "-") for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def broken(page):
    """Yields the links of a page that lead nowhere."""
    here = ROOT / page
    for target, anchor in LINK.findall(CODE.sub("", here.read_text())):
        path = (here.parent / target).resolve() if target else here
        if not path.exists() or (anchor and anchor not in anchors(path)):
            yield f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    assert list(broken(page)) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One `title`\n[here](#one-title) [gone](gone.md) [gone](#two) [web](https://example.org/a#b)\n")
    assert list(broken(page)) == ["gone.md#", "#two"]
