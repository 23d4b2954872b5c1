import csv
import io
import json
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from helpers.records import make_record, make_seeds
from pandas._libs.parsers import STR_NA_VALUES

from kd_bench.errors import BenchError
from kd_bench.results.caption import caption_lines
from kd_bench.results.frame import with_hyper_parameters
from kd_bench.results.render import gain_text, render_runs, render_tables
from kd_bench.results.text import MISSING, Style, render_frame

RECORDS = [
    *make_seeds("Student", 0.90, 0.91, 0.92),
    *make_seeds("KD_SVD", 0.85, 0.86, 0.87, steps={"one": 180, "two": 600}),
    make_record("KD_SVD", fraction=0.5, failed="loss is NaN, at\nstep 12"),
    make_record("AT", variant={"method.on": "a|b"}),
]


@pytest.fixture
def tables(table):
    return [table(*RECORDS)]


def test_markdown_is_a_table_with_as_many_cells_in_each_line(tables):
    text = render_tables(tables, "markdown")
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


def test_latex_is_a_table_with_caption_and_label_of_plain_symbols(tables):
    text = render_tables(tables, "latex")
    lines = text.splitlines()
    assert text.isascii()
    rest = [line for line in lines if not line.startswith("% ")]
    assert (rest[0], rest[-1]) == (r"\begin{table}", r"\end{table}")
    assert "% Networks in float32" not in text and "Networks in float32" in text  # the long captions are comments
    assert text.count("{") == text.count("}")
    assert r"\label{tab:accuracy-digits-wrn-16-2-wrn-10-1}" in lines
    assert r"\caption{digits, wrn\_16\_2\_wrn\_10\_1. Test accuracy in \%, mean $\pm$ standard deviation" in text
    assert r"\texttt{*} better, \texttt{$^\dagger$} worse" in text
    assert r"86.00 $\pm$ 1.00 (3)$^\dagger$" in text
    assert [line for line in lines if "textbf" in line] == [
        line for line in lines if line.strip().startswith("Student")
    ]
    assert all(line.count("&") == 3 for line in lines if line.endswith(r"\\"))


@pytest.mark.parametrize(
    "records", [make_seeds("Student", 0.9, 0.91), make_seeds("AT", 0.9), make_seeds("FitNet", 0.9, 0.8)]
)
def test_without_any_gain_there_is_a_sentence_and_no_empty_grid(table, records):
    assert "\n\nNo row can be compared.\n\n" in render_tables([table(*records)], "markdown", gains=True)
    latex = render_tables([table(*records)], "latex", gains=True)
    assert "\nNo row can be compared.\n" in latex
    assert "tabular" not in latex


def test_a_table_for_a_paper_has_chosen_columns_and_names(tables):
    style = Style(without=("counts", "rank", "steps"), names={"KD_SVD": "SVD & 50%_<x>"})
    text = render_tables(tables, "latex", style=style)
    assert r"\toprule Method & Full & 50 \% \\ \midrule" in " ".join(text.split())
    assert r"AT (on=a$|$b) & 90.00" in " ".join(text.split())
    assert r"SVD \& 50\%\_\ensuremath{<}x\ensuremath{>} & 86.00 $\pm$ 1.00$^\dagger$" in " ".join(text.split())
    assert "standard deviation over 1 to 3 seeds; the best in bold" in text
    gains = render_tables(tables, "markdown", gains=True, style=style)
    assert "| -5.00 [-7.27, -2.73] |" in gains
    with pytest.raises(BenchError, match="--names SVD: no row has this name; there are: Student, AT"):
        render_tables(tables, "latex", style=Style(names={"SVD": "x"}))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX")
@pytest.mark.parametrize("gains", [False, True])
def test_latex_compiles(tables, gains, tmp_path):
    style = Style(without=("counts",), names={"Student": r"a_b & 50% $x$ {y} ~ ^ # \z <t>"})
    body = "\n\n".join(render_tables(tables, "latex", gains, style=one) for one in (Style(), style))
    document = rf"\documentclass{{article}}\usepackage{{booktabs}}\begin{{document}}{body}\end{{document}}"
    (tmp_path / "paper.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


TEXTS = [
    *("0321437812345678", "12345e6712345678", "1234567812345678", "00000000", "1e5", "1.5", ".5", "5.", "7E+3"),
    *("inf", "Infinity", "true", "FALSE", "nan", "None", "<NA>", "1.#IND", "=1", "+1", "-1", "-nan", "@x"),
    *sorted(STR_NA_VALUES - {""}),
]


@pytest.mark.parametrize("value", TEXTS)
def test_a_text_that_looks_like_a_number_is_read_back_as_text(value):
    read = pd.read_csv(io.StringIO(render_frame(pd.DataFrame({"digest": [value], "seed": [7]}), "csv")))
    assert read["digest"].str.removeprefix("'").tolist() == [value]
    assert read["seed"].tolist() == [7]


@pytest.mark.parametrize(
    "value", ["af5570f5", "12e", "e5", "none", "auto", "0.1.0", "2024-01-01", "1_000", "0x12", "AT", ""]
)
def test_other_texts_and_all_numbers_are_written_as_they_are(value):
    written = render_frame(pd.DataFrame({"a": [value], "b": [12], "c": [1e5], "d": [True], "e": [[0]]}), "csv")
    assert written.splitlines()[1] == f"{value},12,100000.0,True,0"


def test_gains_are_a_table_of_their_own(tables):
    text = render_tables(tables, "markdown", gains=True)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert [cell.strip() for cell in lines[-1].split("|")[1:-1]] == ["KD_SVD", "-5.00 [-7.27, -2.73] (3)", MISSING]
    assert not any(line.startswith("| Student") for line in lines)
    assert "simultaneous 95 % confidence interval" in text


def test_json_traces_each_number_to_its_runs(tables):
    entries = json.loads(render_tables(tables, "json"))
    assert [(entry["row"], entry["fraction"]) for entry in entries] == [
        ("Student", 1.0),
        ("AT (on=a|b)", 1.0),
        ("KD_SVD", 1.0),
        ("KD_SVD", 0.5),
    ]
    svd, failed = entries[2:]
    assert svd["mean"] == pytest.approx(0.86)
    assert svd["sd"] == pytest.approx(0.01)
    assert (svd["reference"], svd["test"]) == ("Student", "dunnett")
    assert svd["gain_low"] < svd["gain"] < svd["gain_high"] < 0
    assert svd["gain"] == pytest.approx(-0.05)
    assert 0 < svd["p_value"] < 0.05
    assert (svd["n"], svd["failed"], svd["seeds"], len(svd["runs"])) == (3, 0, [0, 1, 2], 3)
    assert svd["runs"][0].startswith("outputs/digits/wrn_16_2_wrn_10_1/kd_svd/fraction=1/seed=0-")
    assert (failed["mean"], failed["n"], failed["failed"], len(failed["failed_runs"])) == (None, 0, 1, 1)


def test_csv_says_the_same_as_json(tables):
    entries = json.loads(render_tables(tables, "json"))
    lines = list(csv.DictReader(io.StringIO(render_tables(tables, "csv"))))
    assert list(lines[0]) == list(entries[0])
    assert [line["row"] for line in lines] == [entry["row"] for entry in entries]
    assert [float(line["mean"]) for line in lines[:3]] == [entry["mean"] for entry in entries[:3]]
    assert lines[3]["mean"] == ""
    assert lines[2]["seeds"] == "0;1;2"


@pytest.mark.parametrize("form", ["json", "csv"])
def test_runs_for_programs_have_every_hyper_parameter(make_runs, form):
    text = render_runs(with_hyper_parameters(make_runs(*RECORDS)), form)
    runs = json.loads(text) if form == "json" else list(csv.DictReader(io.StringIO(text)))
    assert sorted(run["status"] for run in runs) == ["done"] * 7 + ["failed"]
    run = next(run for run in runs if run["label"] == "AT")
    assert (float(run["last_accuracy"]), run["config.method.on"], int(run["seed"])) == (0.9, "a|b", 0)
    assert json.loads(run["variant"]) if form == "csv" else run["variant"] == {"method.on": "a|b"}


@pytest.mark.parametrize("form", ["markdown", "latex"])
def test_runs_for_people(make_runs, form):
    text = render_runs(make_runs(*RECORDS), form)
    assert text.count("fraction=") == 8
    assert "loss is NaN, at step 12" in text


def caption(table):
    return "\n".join(caption_lines(table))


def test_the_caption_says_what_the_numbers_rest_on(table):
    found = caption(
        table(
            make_record("AT"),
            make_record("AB", seed=1, teacher_accuracy=0.97, teacher_digest="ffff0000"),
            make_record("AB", fraction=0.5, train_images=718),
            make_record("FT", failed="loss is `NaN`\nat step 12"),
            unfinished=["outputs/digits/wrn_16_2_wrn_10_1/at/seed=0-aa", "outputs/digits/other/at/seed=0-bb"],
        )
    )
    assert "sample standard deviation" in found
    assert "equal steps at every fraction" in found
    assert "Training images: 1437 (Full), 718 (50 %)." in found
    assert "2 teachers (97.00 % to 98.00 %) taught the students." in found
    assert "Networks in float32." in found
    assert "Made at revision 0f3c0f3." in found
    assert "1 run failed: `outputs/digits/wrn_16_2_wrn_10_1/ft/fraction=1/seed=0-" in found
    assert "(`loss is 'NaN' at step 12`)" in found
    assert "1 run unfinished." in found


def test_the_caption_names_values_that_are_not_the_authors(table):
    ours = {"method.negatives": 718, "method.connector": "relu"}
    found = caption(
        table(
            make_record("AT", effective={"method.beta": 62.5}),
            make_record("CRD", effective=ours),
            make_record("CRD", fraction=0.5, effective=ours | {"method.negatives": 1437}),
        )
    )
    wanted = "AT (beta=62.5), CRD (negatives=718 to 1437, connector=relu)."
    assert f"Values that are ours, not the authors' (docs/methods/ours.md): {wanted}" in found
    assert "not the authors'" not in caption(table(make_record("AT")))


def test_the_caption_says_what_was_tested(table):
    calm = [*make_seeds("Student", 0.90, 0.91, 0.92), *make_seeds("AB", 0.93, 0.94, 0.95)]
    wild = make_seeds("AT", 0.3, 0.6, 0.9, fraction=1.0)
    assert "than the Student with the same settings: two-sided Dunnett's test per column" in caption(table(*calm))
    assert "Tested alone" not in caption(table(*calm))
    assert (
        "Tested alone, because a standard deviation is more than 5 times the column's median: AT at Full; by Welch's"
        in caption(table(*calm, *wild))
    )


def test_the_caption_says_why_cells_are_not_compared(table):
    found = caption(
        table(
            *make_seeds("Student", 0.90, 0.91),
            *make_seeds("Student", 0.8, 0.81, fraction=0.25),
            *make_seeds("AT", 0.93, 0.94),
            make_record("AT", fraction=0.5),
            make_record("AT", fraction=0.25),
            make_record("AB"),
            *make_seeds("FT", 0.9, 0.91, variant={"epochs": 3}),
        )
    )
    assert "Not compared, because a test needs two seeds of a row and of the Student: AT at 25 %; AB at Full." in found
    assert "Not compared, because the Student has no run there: AT at 50 %." in found
    assert "Not compared, because no Student has the same settings: FT (epochs=3) at Full." in found
    assert "`*` better" in found


def test_the_caption_says_that_equal_accuracies_have_no_test(table):
    found = caption(table(*make_seeds("Student", 0.9, 0.9), *make_seeds("AT", 0.9, 0.9)))
    assert "Not compared, because all accuracies are equal: AT at Full." in found
    assert "`*` better" not in found


def test_the_caption_tells_the_warnings_of_runs(table):
    runs = [make_record("FT", seed=seed, warnings=["the paraphraser did not learn"]) for seed in (0, 1)]
    found = caption(table(*runs, make_record("AT")))
    assert "2 runs gave a warning: FT: `the paraphraser did not learn` (2 runs)." in found


def test_warnings_that_differ_in_numbers_are_told_once(table):
    warnings = ["99.5% are saturated", "7% are saturated", "7% are saturated"]
    runs = [make_record("MHGD", seed=seed, warnings=[text]) for seed, text in enumerate(warnings)]
    found = caption(table(*runs, make_record("AT", warnings=["7% are saturated"])))
    assert "MHGD: `99.5% are saturated` (3 runs, also with other numbers)" in found
    assert "AT: `7% are saturated` (1 run)" in found


def test_the_caption_counts_runs_that_are_left_out(table):
    runs = [make_record("AT", finished="2026-01-01"), make_record("AT", finished="2026-01-02")]
    assert "1 run left out: a newer record of the same run counts." in caption(table(*runs))


def test_the_caption_tells_of_uncommitted_changes(table):
    run = make_record("AT", git={"revision": "1a2b" * 10, "dirty": True})
    assert "Made at revision 1a2b1a2, 1 run with uncommitted changes." in caption(table(run))


def test_a_teacher_has_no_say_in_the_budget(table):
    found = table(make_record("Teacher", budget="epochs"), make_record("AT", budget="steps"))
    assert "equal steps at every fraction" in caption(found)


def test_one_teacher_is_said_to_have_taught_all(table):
    found = caption(table(*make_seeds("Student", 0.9, 0.91, teacher_accuracy=None), *make_seeds("AT", 0.9, 0.91)))
    assert "One teacher (of seed 0, 98.00 %) taught all students" in found


def test_no_gain_has_one_sign_on_every_processor():
    cells = [{"gain": gain, "gain_low": np.nan, "gain_high": np.nan, "n": 1} for gain in (-1e-17, 0.0, 1e-17)]
    assert list(map(gain_text, cells)) == ["+0.00 (1)"] * 3
