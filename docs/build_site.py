"""What the site has besides the files of docs/: pages from elsewhere in the repository, and links that fit."""

import json
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
    "docs/tutorial.ipynb": "tutorial.md",
}
"""Paths in the repository -> pages of the site. Every other page is a file of docs/ by the same name."""
SOURCES = {page: source for source, page in PAGES.items()}
LINK = re.compile(r"(?<=\]\()(?![a-z]+:)[^)#\s]+")
UNSORTED = "More"
"""The section of pages that mkdocs.yml does not name, and whose folder has no index."""
RUNS = "runs.html"
"""The page of all published runs: `make docs` writes it into build/."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages from outside of docs/, and the pages that mkdocs.yml does not name to the navigation."""
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=_notebook(text) if source.endswith(".ipynb") else text))
    nav = config.nav or []
    named = set(re.findall(r"[\w/]+\.md", json.dumps(nav)))
    unsorted = [file.src_uri for file in files.documentation_pages() if file.src_uri not in named]
    for page in sorted(unsorted, key=_place):
        _section(nav, posixpath.join(posixpath.dirname(page), "index.md")).append(page)
    if (ROOT / "build" / RUNS).is_file():
        files.append(File.generated(config, RUNS, abs_src_path=str(ROOT / "build" / RUNS)))
        _section(nav, "results/index.md").append({"All runs, interactive": RUNS})
    return files


def _section(nav: list[Any], index: str) -> list[Any]:
    """Returns the pages of the section that has a folder's index; those of `UNSORTED` if there is none."""
    sections = {title: pages for part in nav for title, pages in part.items() if isinstance(pages, list)}
    found = [pages for pages in sections.values() if {index} & {*_paths(pages)}] if index != "index.md" else []
    if not found and UNSORTED not in sections:
        nav.append({UNSORTED: []})
        return nav[-1][UNSORTED]
    return found[0] if found else sections[UNSORTED]


def _paths(pages: list[Any]) -> Iterator[str]:
    for page in pages:
        yield from [page] if isinstance(page, str) else page.values()


def _place(page: str) -> int:
    """Returns where the index of a page's folder has its link to the page: its place in the navigation."""
    index = ROOT / "docs" / posixpath.dirname(page) / "index.md"
    return index.read_text(encoding="utf-8").find(f"({posixpath.basename(page)})") if index.is_file() else -1


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Makes links between files of the repository links between pages of the site."""

    def link(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, match[0]))
        if not (ROOT / path).is_file():
            return match[0]  # the strict build names it
        target = PAGES.get(path, path.removeprefix("docs/"))
        if not files.get_file_from_path(target):
            files.append(File.generated(config, target, abs_src_path=str(ROOT / path)))
        return posixpath.relpath(target, posixpath.dirname(page.file.src_uri))

    folder = posixpath.dirname(SOURCES.get(page.file.src_uri, f"docs/{page.file.src_uri}"))
    return LINK.sub(link, markdown)


def _notebook(text: str) -> str:
    """Returns a notebook as Markdown."""
    parts = []
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        outputs = cell.get("outputs", [])
        printed = "".join("".join(output.get("text", "")) for output in outputs).rstrip()
        parts += [f"```text\n{printed}\n```"] if printed else []
        parts += [_richest(output["data"]) for output in outputs if "data" in output]
    return "\n\n".join(parts)


def _richest(data: dict[str, list[str]]) -> str:
    """Returns what a cell shows in the first of its forms that a page can have."""
    return "".join(next(data[kind] for kind in ("text/markdown", "image/svg+xml", "text/html") if kind in data))
