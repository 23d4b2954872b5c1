"""The commands of some pages are accepted, character for character, and the keys on all pages exist."""

import re
import shlex

import pytest
import yaml
from helpers.command import ROOT

from kd_bench.config.compose import jobs

PAGES = (
    "README.md",
    *(f"docs/{name}.md" for name in ("coming_from", "gpu", "networks", "search", "tables", "training_options")),
    "docs/watching.md",
    *(f"docs/results/{name}.md" for name in ("cifar100", "cifar100_newer", "digits")),
)
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
    assert jobs(shlex.split(command, comments=True))


def test_the_config_of_the_documented_method_is_the_one_in_use():
    page = (ROOT / "docs/adding_a_method.md").read_text()
    assert f"```yaml\n{(ROOT / 'conf/method/at.yaml').read_text()}```" in page


def keys_of(node, prefix):
    """Yields the keys of a config, with dots between the names."""
    for name, value in node.items() if isinstance(node, dict) else ():
        yield f"{prefix}{name}"
        yield from keys_of(value, f"{prefix}{name}.")


def keys_of_a_choice(path):
    """Yields the keys that a file of conf/ sets, as a command line writes them."""
    text, group = path.read_text(), path.relative_to(ROOT / "conf").parent.as_posix()
    is_global = group == "." or "@package _global_" in text
    nodes = ["model.teacher", "model.student"] if group == "network" else [group]
    for prefix in [""] if is_global else [f"{node}." for node in nodes]:
        yield from keys_of(yaml.safe_load(text), prefix)


GROUPS = [path.name for path in (ROOT / "conf").iterdir() if path.is_dir() and path.name not in ("hydra", "search")]
KEYS = {key for path in (ROOT / "conf").rglob("*.yaml") for key in keys_of_a_choice(path)}
OF_READERS = {
    "method.temprature",  # a typo that the page shows
    *("callbacks.mine._target_", "callbacks.mine.path"),
    *("callbacks.tensorboard.write_images", "model.student.options.alpha"),  # Keras's own
}
KEY = re.compile(rf"(?<![\w./])((?:{'|'.join(GROUPS)})(?:\.\w+)+)(?:@[\w.]+)?=")


@pytest.mark.parametrize(
    "page",
    ["README.md", "CONTRIBUTING.md", *(str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("docs/**/*.md")))],
)
def test_every_key_on_a_page_exists(page):
    assert KEY.findall("`++model.student.width=3`, or `optimizer.lr=1`") == ["model.student.width", "optimizer.lr"]
    assert set(KEY.findall((ROOT / page).read_text())) - KEYS - OF_READERS == set()
