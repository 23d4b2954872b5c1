"""The commands of some pages are accepted, character for character."""

import contextlib
import shlex

import pytest
from helpers.command import ROOT

from kd_bench.config.compose import UnlistedSweepError, jobs

PAGES = ("README.md", "docs/coming_from.md", "docs/networks.md", "docs/search.md", "docs/training_options.md")
"""Commands of the other pages need files of their reader."""

START = "    python run.py "
COMMANDS = [
    line.removeprefix(START)
    for page in PAGES
    for line in (ROOT / page).read_text().splitlines()
    if line.startswith(START)
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_documented_command_is_accepted(command):
    with contextlib.suppress(UnlistedSweepError):  # a search, which is checked before
        jobs(shlex.split(command, comments=True))


def test_the_config_of_the_documented_method_is_the_one_in_use():
    page = (ROOT / "docs/adding_a_method.md").read_text()
    assert f"```yaml\n{(ROOT / 'conf/method/at.yaml').read_text()}```" in page
