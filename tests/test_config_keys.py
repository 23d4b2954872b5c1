"""The pages of all keys: what is published is what conf/ and the sources say."""

import runpy
from typing import Literal

import pytest
from helpers.command import ROOT

from kd_bench.checks import NonNegative

MADE = runpy.run_path(str(ROOT / "docs/config_keys.py"))


@pytest.mark.parametrize(("path", "text"), MADE["pages"]().items())
def test_a_page_is_that_of_conf(path, text):
    assert (ROOT / "docs" / path).read_text() == text, "`make docs` writes it again"


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (NonNegative, "a number at least 0"),
        (Literal["a", True], "one of a, true"),
        (int | None, "a whole number or null"),
        (object, "any value"),
    ],
)
def test_what_is_allowed_is_said_in_the_words_of_refusals(annotation, text):
    assert MADE["allowed"](annotation) == text
