import csv
import io
import json

import pytest

from kd_bench.results.render import render_runs, render_tables
from kd_bench.results.table import build_tables


@pytest.fixture
def outputs(make_outputs, make_record, seeds):
    return make_outputs(
        *seeds("Student", 0.90, 0.91, 0.92),
        *seeds("KD_SVD", 0.85, 0.86, 0.87, steps={"one": 180, "two": 600}),
        make_record("KD_SVD", fraction=0.5, failed="loss is NaN, at\nstep 12"),
        make_record("AT", overrides={"method.on": "a|b"}),
        unfinished=["outputs/digits/wrn_16_2_wrn_10_1/at/fraction=0.1/seed=0-aa"],
    )


def test_markdown_is_a_table_with_as_many_cells_in_each_line(outputs):
    text = render_tables(build_tables(outputs), "markdown")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert text.startswith("### digits, wrn_16_2_wrn_10_1\n\n| Method")
    assert {line.replace(r"\|", "").count("|") for line in lines} == {5}
    assert [cell.strip() for cell in lines[-1].split("|")[1:-1]] == [
        "KD_SVD",
        "86.00 ± 1.00 (3)†",
        "failed (1)",
        "180+600",
    ]
    assert r"AT (on=a\|b)" in text


def test_latex_is_a_booktabs_tabular_of_plain_symbols(outputs):
    text = render_tables(build_tables(outputs), "latex")
    body = [line for line in text.splitlines() if not line.startswith("%")]
    assert body[0] == r"\begin{tabular}{llll}"
    assert body[-1] == r"\end{tabular}"
    assert [line for line in body if line.strip() in (r"\toprule", r"\midrule", r"\bottomrule")]
    assert "\n".join(body).isascii()
    assert r"KD\_SVD" in text
    assert r"86.00 $\pm$ 1.00 (3)$^\dagger$" in text
    assert all(line.count("&") == 3 for line in body if line.endswith(r"\\"))


def test_json_traces_each_number_to_its_runs(outputs):
    entries = json.loads(render_tables(build_tables(outputs), "json"))
    assert [(entry["row"], entry["fraction"]) for entry in entries] == [
        ("Student", 1.0),
        ("AT (on=a|b)", 1.0),
        ("KD_SVD", 1.0),
        ("KD_SVD", 0.5),
    ]
    svd, failed = entries[2:]
    assert svd["mean"] == pytest.approx(0.86)
    assert svd["sd"] == pytest.approx(0.01)
    assert svd["gain"] == pytest.approx(-0.05)
    assert 0 < svd["p_value"] < 0.05
    assert (svd["n"], svd["failed"], svd["seeds"], len(svd["directories"])) == (3, 0, [0, 1, 2], 3)
    assert svd["directories"][0].startswith("outputs/digits/wrn_16_2_wrn_10_1/kd_svd/fraction=1.0/seed=0-")
    assert (failed["mean"], failed["n"], failed["failed"], len(failed["failed_directories"])) == (None, 0, 1, 1)


def test_csv_says_the_same_as_json(outputs):
    tables = build_tables(outputs)
    entries = json.loads(render_tables(tables, "json"))
    lines = list(csv.DictReader(io.StringIO(render_tables(tables, "csv"))))
    assert list(lines[0]) == list(entries[0])
    assert [line["row"] for line in lines] == [entry["row"] for entry in entries]
    assert [float(line["mean"]) for line in lines[:3]] == [entry["mean"] for entry in entries[:3]]
    assert lines[3]["mean"] == ""
    assert lines[2]["seeds"] == "0;1;2"


@pytest.mark.parametrize("form", ["json", "csv"])
def test_runs_for_programs(outputs, form):
    text = render_runs(outputs, form)
    runs = json.loads(text) if form == "json" else list(csv.DictReader(io.StringIO(text)))
    assert sorted(run["status"] for run in runs) == ["done"] * 7 + ["failed", "unfinished"]
    assert [run["directory"] for run in runs] == sorted(run["directory"] for run in runs)
    assert float(next(run for run in runs if run["label"] == "AT")["accuracy"]) == 0.9


@pytest.mark.parametrize("form", ["markdown", "latex"])
def test_runs_for_people(outputs, form):
    text = render_runs(outputs, form)
    assert text.count("fraction=") == 9
    assert "loss is NaN, at step 12" in text
