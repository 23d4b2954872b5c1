"""The literature beside our gains: gains by hand, correlations, the file that is published."""

from pathlib import Path

import pandas as pd
import pytest
from helpers.records import make_seeds, write_run

from kd_bench.errors import BenchError
from kd_bench.results.command import main
from kd_bench.results.literature import published_gains, read_published
from kd_bench.results.text import MISSING

PUBLISHED = Path(__file__).parents[2] / "docs/data/literature.csv"
HEADER = "source,commit,pair,method,column,accuracy\n"
NUMBERS = """A,1,x > y,Student,Full,70
A,1,x > y,AT,Full,71
A,1,x > y,AB,Full,72
A,1,x > y,CO,Full,73
A,1,x > y,FT,Full,74
A,1,v > w,Student,Full,60
A,1,v > w,AT,Full,64
B,2,x > y,AT,Full,75
B,2,unknown,AT,Full,75
"""


@pytest.fixture
def published(tmp_path):
    path = tmp_path / "published.csv"
    path.write_text(HEADER + NUMBERS)
    return path


def test_a_gain_is_over_the_student_of_the_same_pair_also_of_another_source(published):
    gains = published_gains(read_published(published)).set_index(["source", "pair", "method"])["gain"]
    assert gains["A", "x > y", "AB"] == pytest.approx(2)
    assert gains["A", "v > w", "AT"] == pytest.approx(4)
    assert gains["B", "x > y", "AT"] == pytest.approx(5)
    assert ("B", "unknown", "AT") not in gains  # Nobody has published its student.


def test_the_view_has_means_over_pairs_correlations_and_pairs(published, tmp_path, capsys):
    ours = {"Student": (0.5, 0.52), "AT": (0.55, 0.57), "AB": (0.54, 0.56), "CO": (0.53, 0.55), "FT": (0.52, 0.54)}
    for label, accuracies in ours.items():
        for record in make_seeds(label, *accuracies):
            write_run(tmp_path / "outputs", record)
    assert main(["--outputs", str(tmp_path / "outputs"), "--literature", str(published)]) == 0
    text = capsys.readouterr().out
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")
    ]
    assert lines[0] == ["Method", "A 1, Full", "B 2, Full", "ours, Full"]
    assert ["AT", "+2.50", "+5.00", "+5.00"] in lines
    assert ["AB", "+2.00", MISSING, "+4.00"] in lines
    # By hand: ranks of A are AT 2.5, AB 2, CO 3, FT 4; ours AT 5, AB 4, CO 3, FT 2.
    assert ["3: ours, Full", "-0.80 (4)", MISSING] in lines
    assert "A 1: gains by pair" in text
    assert "B 2: gains by pair" not in text


@pytest.mark.parametrize("content", ["", "source,accuracy\nA,1\n", HEADER + "A,1,x,AT,Full,many\n"])
def test_a_file_of_something_else_is_named(tmp_path, content):
    path = tmp_path / "published.csv"
    path.write_text(content)
    with pytest.raises(BenchError, match=r"published\.csv: is no table with the columns source, commit, pair"):
        read_published(path)


def test_the_published_file_has_what_its_sources_say():
    published = read_published(PUBLISHED).set_index(["source", "commit", "pair", "method", "column"])["accuracy"]
    assert not published.index.duplicated().any()
    assert published.between(30, 90).all()
    assert published["RepDistiller", "b84f547", "wrn-40-2 > wrn-16-2", "CRD", "Full"] == 75.48
    assert published["TF2", "0474ff4", "wrn_40_4 > wrn_16_4", "AB", "10 %"] == 56.72
    assert published["TF2", "6015e47", "wrn_40_4 > wrn_16_4", "CO", "Full"] == 78.54
    assert published["mdistiller", "a08d46f", "resnet32x4 > resnet8x4", "DKD", "Full"] == 76.32
    gains = published_gains(read_published(PUBLISHED))
    means = gains[gains["source"] == "RepDistiller"].groupby("method")["gain"].mean()
    assert means.idxmax() == "CRD"
    assert isinstance(means, pd.Series)
