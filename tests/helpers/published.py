"""The published runs on digits, and one of their teachers."""

from helpers.command import ROOT

DIGITS = ROOT / "docs/data/digits.jsonl.gz"
DIGITS_TEACHER = min((ROOT / "docs/data/digits.networks").glob("*.keras"))
