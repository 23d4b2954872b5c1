"""The site: a strict build, which a broken link fails; README as its first page; every page in the navigation."""

import os
import subprocess
import sys

import pytest
import yaml
from helpers.command import ROOT

import kd_bench

LATER = (
    "# A page that nobody listed\n\n[README](../README.md#start), [a file](../run.py), [the tutorial](tutorial.ipynb)\n"
)


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Builds the site of the repository with more pages in docs/; returns its folder and what was said."""

    def built(pages):
        root, site = tmp_path_factory.mktemp("root"), tmp_path_factory.mktemp("site")
        (root / "docs").mkdir()
        for path in (*ROOT.iterdir(), *(ROOT / "docs").iterdir()):
            if path.name != "docs":
                (root / path.relative_to(ROOT)).symlink_to(path)
        for name, text in pages.items():
            (root / "docs" / name).write_text(text)
        command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", site]
        env = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
        return site, subprocess.run(command, cwd=root, env=env, capture_output=True, text=True)

    return built


def test_every_page_is_built_and_a_page_that_nobody_listed_is_in_the_navigation(build):
    site, done = build({"later.md": LATER})
    assert done.returncode == 0, done.stderr
    later = (site / "later/index.html").read_text()
    assert all(link in later for link in ('href="../#start"', 'href="../run.py"', 'href="../tutorial/"'))
    start = (site / "index.html").read_text()
    assert 'href="later/"' in start
    assert "How well does each knowledge distillation method do" in start and 'src="results/six-gains.svg"' in start
    assert 'id="kd_bench.results.table.load_tables"' in (site / "reference/python/index.html").read_text()
    assert "<svg" in (site / "tutorial/index.html").read_text()


def test_broken_links_fail_the_build(build):
    broken = ("nowhere.md", "../nowhere.py", "tables.md#nowhere")
    _, done = build({"later.md": " ".join(f"[broken]({link})" for link in broken)})
    assert done.returncode == 1
    assert [link for link in broken if link not in done.stderr] == []


def test_the_citation_is_that_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == kd_bench.__version__
