import subprocess
import sys
from dataclasses import replace
from itertools import chain
from pathlib import Path
from xml.etree import ElementTree

import pytest
from helpers.records import make_record, make_seeds, write_run

from kd_bench.results.frame import read_runs
from kd_bench.results.pictures import (
    draw_accuracy,
    draw_curves,
    draw_gains,
    markdown_images,
    specification,
    svg,
    table_pictures,
    write_pictures,
)
from kd_bench.results.table import build_tables

ROOT = Path(__file__).parents[2]
ACCURACIES = {"Student": (0.9, 0.91), "FitNet": (0.95, 0.96), "AT": (0.2, 0.6), "CO": (0.9, 0.92)}
RECORDS = [
    record
    for fraction in (1.0, 0.1)
    for label, accuracies in ACCURACIES.items()
    for record in make_seeds(label, *accuracies, fraction=fraction)
]

GAINS = {"FitNet": 0.01, "CO": 0.02, "SP": 0.03, "CC": -0.02, "Student": 0.0}


@pytest.fixture
def outputs(tmp_path):
    for record in RECORDS:
        write_run(tmp_path / "outputs", record, curve=[0.5, 0.7, record.scores.last_accuracy])
    return tmp_path / "outputs"


@pytest.fixture
def drawn(outputs):
    (table,) = build_tables(read_runs([outputs]).frame)
    return table


def words(text):
    return ["".join(node.itertext()) for node in ElementTree.fromstring(text).iter() if node.tag.endswith("text")]


@pytest.mark.parametrize("draw", [draw_gains, draw_accuracy, draw_curves])
def test_a_picture_shows_the_methods_in_the_tables_order_on_a_light_ground(drawn, draw):
    text = svg(draw(drawn))
    methods = [word for word in words(text) if word in ("Student", "FitNet", "AT", "CO")]
    assert methods[:3] == ["FitNet", "AT", "CO"]
    assert 'fill="white"' in text


def test_the_same_picture_is_the_same_text_whatever_was_drawn_before(drawn):
    assert svg(draw_gains(drawn)) == svg(draw_gains(drawn))


@pytest.mark.parametrize("draw", [draw_gains, draw_accuracy, draw_curves])
def test_a_processor_that_rounds_otherwise_draws_the_same_picture(drawn, draw):
    numbers = drawn.cells.select_dtypes(float).columns.drop("fraction")
    other = replace(drawn, cells=drawn.cells.assign(**(drawn.cells[numbers] * (1 + 1e-15))))
    assert svg(draw(other)) == svg(draw(drawn))


def test_gains_have_one_panel_per_fraction_and_a_diverged_method_is_a_number_at_the_edge(drawn):
    found = words(svg(draw_gains(drawn)))
    assert [word for word in found if word in ("Full", "10 %")] == ["Full", "10 %"]
    assert found.count("\N{LEFTWARDS ARROW} \N{MINUS SIGN}50.5") == 2


def test_an_accuracy_below_the_axis_is_a_number(drawn):
    assert words(svg(draw_accuracy(drawn))).count("40.0") == 2


def test_the_teacher_has_a_line_in_each_picture(drawn):
    assert words(svg(draw_gains(drawn))).count("Teacher") == 1
    for draw in (draw_gains, draw_accuracy, draw_curves):
        text = svg(draw(drawn))
        assert "Dotted: the teacher" in text
        assert 'stroke-dasharray="2,2"' in text


def test_a_teacher_far_above_the_axis_is_a_number(table):
    records = (make_seeds(label, 0.1, 0.11, fraction=part) for label in ("Student", "AT") for part in (1.0, 0.5))
    far = table(*chain.from_iterable(records))
    assert words(svg(draw_gains(far))).count("+87.5 \N{RIGHTWARDS ARROW}") == 2
    assert "Above the axis: the teacher, 98.00 %." in svg(draw_accuracy(far))


def test_an_interval_that_goes_on_outside_the_axis_has_an_arrow(table):
    steady = (make_seeds(label, *[0.9 + gain + 0.001 * seed for seed in range(3)]) for label, gain in GAINS.items())
    drawn = draw_gains(table(*chain.from_iterable(steady), *make_seeds("AT", 0.8, 0.9, 1.0)))
    assert "An arrow: outside the axis." in svg(drawn)
    (cells,) = (rows for rows in specification(drawn)["datasets"].values() if "cut_low" in rows[0])
    cut = {cell["row"]: (cell["cut_low"], cell["cut_high"]) for cell in cells if cell["row"] != "Teacher"}
    assert cut == {"AT": (True, True)} | dict.fromkeys(("FitNet", "CO", "SP", "CC"), (False, False))


def test_curves_begin_with_the_first_step_of_all_stages(tmp_path):
    for label, stages in {"Student": {"main": 600}, "FitNet": {"hint": 300, "main": 600}}.items():
        write_run(tmp_path, make_record(label, steps=stages), curve=[0.5, 0.7])
    (table,) = build_tables(read_runs([tmp_path]).frame)
    curves = draw_curves(table)
    (points,) = (rows for rows in specification(curves)["datasets"].values() if "epoch" in rows[0])
    assert {(point["role"], point["start"], point["epoch"]) for point in points} == {
        *(("method", 1, 2), ("method", 1, 3), ("Student", 0, 1), ("Student", 0, 2))
    }
    assert "Grey ground: the steps of earlier stages, which have no accuracy yet." in svg(curves)


def test_a_method_is_shown_among_the_others(table):
    methods = (make_seeds(label, 0.8, 0.81, fraction=part) for label in GAINS for part in (1.0, 0.5))
    assert "middle half of the methods" in words(svg(draw_accuracy(table(*chain.from_iterable(methods)))))


def test_pictures_that_have_nothing_to_show_are_left_out(table, tmp_path):
    only = table(make_record("Student"))
    assert draw_gains(only) is None
    assert draw_accuracy(only) is None
    of_students = table(make_record("Teacher", 0.99), *make_seeds("AT", 0.8, 0.9, fraction=0.5))
    assert draw_accuracy(of_students) is None


def test_methods_without_a_reference_have_panels(table):
    alone = table(*make_seeds("AT", 0.8, 0.9), *make_seeds("AT", 0.7, 0.8, fraction=0.5))
    assert "AT" in words(svg(draw_accuracy(alone)))


def test_without_metrics_there_are_no_curves(write_outputs):
    (table,) = build_tables(read_runs([write_outputs(make_record("Student"))]).frame)
    assert draw_curves(table) is None


def test_files_are_named_after_the_table_or_the_block(drawn, tmp_path):
    kinds = ("gains", "accuracy", "curves")
    own = write_pictures(table_pictures([drawn]), tmp_path / "own")
    assert [path.name for path in own] == [f"digits-wrn_16_2_wrn_10_1-{kind}.svg" for kind in kinds]
    block = write_pictures(table_pictures([drawn], "cifar"), tmp_path / "block")
    assert [path.name for path in block] == [f"cifar-{kind}.svg" for kind in kinds]
    assert "cifar-digits-wrn_16_2_wrn_10_1-gains" in table_pictures([drawn, drawn], "cifar")


def test_a_picture_may_have_more_points_than_altairs_limit(tmp_path):
    for seed in (0, 1):
        write_run(tmp_path, make_record("Student", seed=seed), curve=[0.5] * 3000)
        write_run(tmp_path, make_record("AT", seed=seed), curve=[0.6] * 3000)
    (table,) = build_tables(read_runs([tmp_path]).frame)
    points = specification(draw_curves(table))["datasets"]
    assert sum(map(len, points.values())) > 5000
    assert "AT" in words(svg(draw_curves(table)))


def test_pictures_are_linked_from_where_the_file_is(tmp_path):
    text = markdown_images([tmp_path / "docs" / "results" / "a-gains.svg"], tmp_path)
    assert text == "![Gain of each method over the reference, with confidence intervals](docs/results/a-gains.svg)"


def test_the_same_runs_make_the_same_bytes_in_another_process(outputs, tmp_path):
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        command = [sys.executable, "aggregate.py", "--outputs", outputs, "--plots", folder]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    first, second = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in folders)
    assert first == second
    assert len(first) == 3
