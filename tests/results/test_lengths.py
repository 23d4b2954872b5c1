"""Lengths: the student's curve by hand, ratios of costs, intervals, and the door `aggregate --lengths`."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from helpers.records import make_record, write_run

from kd_bench.errors import BenchError
from kd_bench.results.command import main
from kd_bench.results.lengths import Curve, build_lengths, read_costs
from kd_bench.results.lengths_text import main_length, ratio_text, render_lengths
from kd_bench.results.picture_lengths import draw_lengths

CURVE = Curve(
    np.array([100.0, 1000.0, 10_000.0]), np.array([0.1, 0.3, 0.4]), np.array([0.01, 0.01, 0.01]), np.array([3, 3, 3])
)


def test_the_curve_is_linear_in_the_logarithm_of_the_cost():
    assert CURVE.accuracy_at(1000) == pytest.approx(0.3)
    assert CURVE.accuracy_at(math.sqrt(100 * 1000)) == pytest.approx(0.2)
    assert math.isnan(CURVE.accuracy_at(99))
    assert math.isnan(CURVE.accuracy_at(10_001))


def test_the_time_for_an_accuracy_is_the_inverse_of_the_curve():
    for cost in (100.0, 300.0, 1000.0, 7000.0, 10_000.0):
        assert CURVE.steps_to(CURVE.accuracy_at(cost)) == pytest.approx(cost)
    assert CURVE.steps_to(0.41) == math.inf
    assert CURVE.steps_to(0.05) == 0


def test_where_the_student_falls_again_the_first_crossing_counts():
    curve = Curve(np.array([1.0, 10.0, 100.0]), np.array([0.1, 0.5, 0.4]), np.zeros(3), np.ones(3))
    assert curve.steps_to(0.45) < 10
    assert curve.steps_to(0.55) == math.inf


def runs(label, accuracies, work, stages=("main",), **changes):
    """Returns three seeds of a method at each length, which differ by a hundredth; `work`: multiply-adds of a step."""
    return [
        make_record(
            label,
            accuracy + 0.01 * (seed - 1),
            seed=seed,
            variant={} if steps == 1000 else {"epochs": steps // 100},
            steps=dict.fromkeys(stages, steps),
            stage_multiply_adds=dict.fromkeys(stages, steps * work),
            **changes,
        )
        for steps, accuracy in accuracies.items()
        for seed in range(3)
    ]


STUDENT = {100: 0.1, 1000: 0.3, 10_000: 0.4}
RECORDS = [
    *runs("Student", STUDENT, 7),
    *runs("AT", {100: 0.15, 1000: 0.35}, 14),
    *runs("AB", {100: 0.2, 1000: 0.5}, 7, ("hint", "main")),
    *runs("CO", {1000: 0.45}, 7),
]


def test_a_method_is_held_against_the_student_of_its_cost(table):
    (lengths,) = build_lengths(table(*RECORDS))
    assert lengths.columns == [100, 1000]
    assert lengths.methods == ["Student", "AT", "AB"]  # CO has a single length.
    at = lengths.cells.set_index(["method", "length"]).to_dict("index")
    long = at["AT", 1000]
    assert long["cost"] == pytest.approx(2000)
    assert long["gain"] == pytest.approx(0.05)
    assert long["gain_at_cost"] == pytest.approx(0.35 - (0.3 + 0.1 * math.log10(2)))
    assert long["ratio"] == pytest.approx(10**3.5 / 2000)
    # Two deviations of 0.01, three seeds each: t(0.975; 4) * 0.01 * sqrt(2 / 3).
    reach = 2.7764451 * 0.01 * math.sqrt(2 / 3)
    assert long["ratio_low"] == pytest.approx(10 ** (3 + (0.05 - reach) / 0.1) / 2000)
    assert long["ratio_high"] == pytest.approx(10 ** (3 + (0.05 + reach) / 0.1) / 2000)
    assert at["AB", 1000]["cost"] == pytest.approx(2000)
    assert at["AB", 1000]["ratio"] == math.inf
    assert ratio_text(at["AB", 1000]) == "never [never, never]"
    assert (at["AT", 1000]["rank"], at["AB", 1000]["rank"]) == (2, 1)
    assert main_length(lengths) == 1000


def test_measured_costs_count_each_stage(table, tmp_path):
    path = tmp_path / "costs.json"
    path.write_text(
        json.dumps({"steps": {"student": {"main": 1}, "at": {"main": 3.5}, "ab": {"hint": 1.5, "main": 1}}})
    )
    (lengths,) = build_lengths(table(*RECORDS), read_costs(path))
    at = lengths.cells.set_index(["method", "length"])["cost"]
    assert (at["Student", 1000], at["AT", 100], at["AB", 1000]) == (1000, 350, 2500)
    path.write_text(json.dumps({"steps": {"student": {"main": 1}, "at": {"main": 3.5}, "ab": {"main": 1}}}))
    with pytest.raises(BenchError, match="lack ab's hint: measure this pair again"):
        build_lengths(table(*RECORDS), read_costs(path))


@pytest.mark.parametrize(
    "content", ["", "{}", '{"steps": 3}', '{"steps": {"at": {"main": "x"}}}', '{"steps": {"at": 1}}']
)
def test_a_file_that_holds_no_costs_is_named(tmp_path, content):
    path = tmp_path / "costs.json"
    path.write_text(content)
    with pytest.raises(BenchError, match=r"costs\.json: holds no costs of steps"):
        read_costs(path)


def test_without_counts_measured_costs_are_asked_for(table):
    old = [*runs("Student", STUDENT, 7), *runs("AT", {100: 0.15, 1000: 0.35}, 14)]
    for record in old:
        record.cost.stage_multiply_adds.clear()
    with pytest.raises(BenchError, match=r"Student.*: the records hold no multiply-adds"):
        build_lengths(table(*old))


def test_other_settings_are_methods_of_their_own_and_other_students_are_no_curve(table):
    other = {"optimizer.learning_rate": 0.5}
    more = [*runs("Student", STUDENT, 7), *runs("AT", {100: 0.15, 1000: 0.35}, 14)]
    for record in more:
        record.run.variant.update(other)
        record.config["optimizer"]["learning_rate"] = 0.5
    beta = runs("AT", {100: 0.2, 1000: 0.4}, 14)
    for record in beta:
        record.run.variant["method.beta"] = 5
        record.config["method"]["beta"] = 5
    everything = [*RECORDS, *_with_protocol(more, "other"), *_with_protocol(beta, "beta")]
    (lengths,) = build_lengths(table(*everything))
    assert lengths.methods == ["Student", "AT", "AT (beta=5)", "AB"]


def _with_protocol(records, word):
    return [replace(one, run=replace(one.run, protocol=word + one.run.protocol)) for one in records]


def test_the_text_has_both_tables_and_says_what_they_show(table):
    text = render_lengths(build_lengths(table(*RECORDS)), "markdown")
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")
    ]
    assert lines[0] == ["Method", "100 steps", "1,000 steps", "Rank (100)", "Rank (1,000)"]
    assert lines[2][:3] == ["Student", "10.00 ± 1.00 (3)", "30.00 ± 1.00 (3)"]
    ab = lines[-1]
    assert ab[:3] == ["AB", "2.00", "+20.00"]
    assert ab[-1] == "never [never, never]"
    assert "The plain Student reaches 10.00 % (100), 30.00 % (1,000), 40.00 % (10,000)." in text
    assert "by multiply-adds of the whole training" in text


def test_the_door(tmp_path, capsys):
    for record in RECORDS:
        write_run(tmp_path / "outputs", record)
    source = ["--outputs", str(tmp_path / "outputs"), "--lengths"]
    assert main([*source, "--format", "json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    assert {(one["method"], one["length"]) for one in entries if one["method"] == "AB"} == {("AB", 100), ("AB", 1000)}
    assert main([*source, "--plots", str(tmp_path / "pictures")]) == 0
    assert (tmp_path / "pictures/digits-wrn_16_2_wrn_10_1-Full-lengths.svg").read_text().startswith("<svg")
    assert main([*source, "--methods", "co"]) == 1
    assert "no fraction has several lengths of the Student and of a method" in capsys.readouterr().err


def test_a_file_has_a_block_for_each_view(tmp_path, capsys):
    for record in RECORDS:
        write_run(tmp_path / "outputs", record)
    bundle, page = tmp_path / "all.jsonl", tmp_path / "page.md"
    assert main(["--outputs", str(tmp_path / "outputs"), "--bundle", str(bundle)]) == 0
    blocks = ["all", "all.presets", "all.gains", "all.lengths"]
    page.write_text("".join(f"<!-- results:start {name} -->\n<!-- results:end {name} -->\n" for name in blocks))
    assert main(["--outputs", str(bundle), "--update", str(page), "--plots", str(tmp_path)]) == 0
    parts = dict(zip(blocks, page.read_text().split("<!-- results:start ")[1:], strict=True))
    assert "| AT (epochs=1)" in parts["all"]
    assert "| AT (epochs=1)" not in parts["all.presets"]
    assert "| AT " in parts["all.presets"]
    assert "simultaneous 95 %" in parts["all.gains"]
    assert "(all-lengths.svg)" in parts["all.lengths"]
    page.write_text("<!-- results:start all.typo -->\n<!-- results:end all.typo -->\n")
    assert main(["--outputs", str(bundle), "--update", str(page)]) == 1
    assert "its block all.typo needs one of the views presets, gains, lengths" in capsys.readouterr().err


def test_names_beside_the_picture_do_not_overlap(table):
    more = [record for number in range(20) for record in runs(f"M{number}", {100: 0.2, 1000: 0.41}, 7)]
    drawn = draw_lengths(build_lengths(table(*RECORDS, *more))[0]).to_dict()
    data = next(rows for rows in drawn["datasets"].values() if rows and "height" in rows[0])
    heights = sorted(row["height"] for row in data)
    assert len(heights) == 22
    gaps = np.diff(heights)
    assert gaps.min() > 0.5 * gaps.max()


def test_a_length_that_two_settings_reach_counts_once_with_most_seeds(table):
    again, students = runs("AT", {1000: 0.9}, 14)[:1], runs("Student", {1000: 0.9}, 7)[:1]
    for record in (*again, *students):
        record.run.variant.update({"budget": "epochs", "epochs": 100})
        record.config.update({"budget": "epochs", "epochs": 100})
    both = [*_with_protocol(again, "other"), *_with_protocol(students, "other")]
    (lengths,) = build_lengths(table(*RECORDS, *both))
    at = lengths.cells.set_index(["method", "length"])["mean"]
    assert at["AT", 1000] == pytest.approx(0.35)
