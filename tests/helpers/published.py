"""The published runs on digits, and one of their teachers."""

from helpers.command import ROOT

DIGITS = ROOT / "docs/results/digits.jsonl.gz"
DIGITS_TEACHER = min((ROOT / "docs/results/digits.networks").glob("*.keras"))
