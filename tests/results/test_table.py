from dataclasses import replace

import pytest
from scipy import stats

from kd_bench.results.caption import caption_lines
from kd_bench.results.cell import MISSING, cell_text
from kd_bench.results.outputs import FinishedRun, load_outputs, split_repeats
from kd_bench.results.table import build_tables


@pytest.fixture
def table(make_outputs):
    """Makes the one table of these records."""

    def make(*records, **more):
        (only,) = build_tables(make_outputs(*records, **more))
        return only

    return make


def texts(table):
    return {row.name: [cell_text(row.cells.get(fraction)) for fraction in table.fractions] for row in table.rows}


def test_a_cell_by_hand(table, seeds):
    # (97 + 98 + 99) / 3 = 98; squared deviations 1 + 0 + 1, over n - 1 = 2: 1.
    assert texts(table(*seeds("AT", 0.97, 0.98, 0.99))) == {"AT": ["98.00 ± 1.00 (3)"]}


def test_one_seed_has_no_spread(table, seeds):
    assert texts(table(*seeds("AT", 0.97314))) == {"AT": ["97.31 (1)"]}


def test_failed_and_missing_cells(table, seeds, make_record):
    records = [
        *seeds("AT", 0.97, 0.98),
        make_record("AT", seed=2, failed="NaN"),
        make_record("AB", seed=0, fraction=0.5, failed="NaN"),
        make_record("AB", seed=1, fraction=0.5, failed="NaN"),
    ]
    assert texts(table(*records)) == {
        "AT": ["97.50 ± 0.71 (2), 1 failed", MISSING],
        "AB": [MISSING, "failed (2)"],
    }


def of_data(record, data):
    return replace(record, setting=replace(record.setting, data=data))


def test_other_images_under_the_same_name_are_not_averaged(table, seeds):
    first, second = seeds("AT", 0.9, 0.8)
    assert texts(table(of_data(first, "a" * 16), of_data(second, "b" * 16))) == {
        "AT data aaaaaaa": ["90.00 (1)"],
        "AT data bbbbbbb": ["80.00 (1)"],
    }


def test_a_run_that_failed_before_it_saw_images_stays_in_its_row(table, seeds, make_record):
    done = of_data(*seeds("AT", 0.9), "a" * 16)
    assert texts(table(done, make_record("AT", seed=1, failed="no data"))) == {"AT": ["90.00 (1), 1 failed"]}


def test_rows_and_columns_are_in_order(table, make_record):
    labels = ["Zeta", "CO", "Alpha", "Student", "AT", "Teacher", "KD_EID"]
    records = [make_record(label) for label in labels]
    records += [make_record("AT", fraction=fraction) for fraction in (0.1, 0.125, 0.5)]
    records += [
        make_record("AT", overrides=overrides) for overrides in ({"epochs": 9}, {"method.beta": 5, "epochs": 9})
    ]
    found = table(*records)
    names = ["Teacher", "Student", "AT", "AT (epochs=9)", "AT (epochs=9, beta=5)", "KD_EID", "CO", "Alpha", "Zeta"]
    assert [row.name for row in found.rows] == names
    assert found.fractions == [1.0, 0.5, 0.125, 0.1]


def test_overrides_are_rows_of_their_own(table, make_record):
    values = [500, 0.25, True, None, "adam", [1, 2]]
    records = [make_record("AT", overrides={"method.x": value}) for value in values]
    names = {row.name for row in table(*records).rows}
    assert names == {f"AT (x={text})" for text in ("500", "0.25", "true", "null", "adam", "[1, 2]")}


def test_what_was_not_run_alike_is_not_averaged(table, make_record):
    records = [
        make_record("AT", 0.9),
        make_record("AT", 0.8, seed=1, precision="bfloat16"),
        make_record("AB", 0.7, protocol="aaaa1111"),
        make_record("AB", 0.6, seed=1, protocol="bbbb1111"),
        make_record("FT", 0.5, protocol="cccc1111"),
        make_record("FT", 0.4, seed=1, protocol="cccc2222"),
        make_record("CO", 0.3, experiment="long"),
        make_record("CO", 0.2, seed=1),
    ]
    assert texts(table(*records)) == {
        "AT bfloat16": ["80.00 (1)"],
        "AT float32": ["90.00 (1)"],
        "AB #aaaa": ["70.00 (1)"],
        "AB #bbbb": ["60.00 (1)"],
        "FT #cccc1111": ["50.00 (1)"],
        "FT #cccc2222": ["40.00 (1)"],
        "CO digits": ["20.00 (1)"],
        "CO long": ["30.00 (1)"],
    }


def test_an_override_that_only_some_runs_of_a_protocol_have_is_not_in_the_name(table, make_record):
    records = [make_record("AT", seed=0, overrides={"jit_compile": True, "epochs": 9}, protocol="aaaa0000")]
    records += [make_record("AT", seed=1, overrides={"epochs": 9}, protocol="aaaa0000")]
    assert texts(table(*records)) == {"AT (epochs=9)": ["90.00 ± 0.00 (2)"]}


def test_a_teacher_has_no_say_in_the_budget(table, make_record):
    found = table(make_record("Teacher", budget="epochs"), make_record("AT", budget="steps"))
    assert "equal steps at every fraction" in "".join(caption_lines(found))


def test_gains_and_losses_are_marked_as_scipy_finds_them(table, seeds):
    student, better, worse, same = (0.90, 0.91, 0.92), (0.95, 0.96, 0.97), (0.85, 0.86, 0.87), (0.91, 0.92, 0.93)
    rows = {"Student": student, "AT": better, "AB": worse, "FT": same}
    found = table(*(record for label, values in rows.items() for record in seeds(label, *values)))
    cells = {row.name: row.cells[1.0] for row in found.rows}
    assert {name: cell.mark for name, cell in cells.items()} == {"Student": "", "AT": "*", "AB": "†", "FT": ""}
    for name in ("AT", "AB", "FT"):
        expected = stats.ttest_ind(rows[name], student, equal_var=False)
        assert cells[name].p_value == pytest.approx(expected.pvalue)
        assert cells[name].gain == pytest.approx(sum(rows[name]) / 3 - 0.91)
    assert cells["Student"].p_value is None


def test_the_baseline_is_the_student_run_alike(table, seeds):
    low, high = (0.50, 0.51, 0.52), (0.95, 0.96, 0.97)
    records = [
        *seeds("Student", *low),
        *seeds("Student", *high, overrides={"epochs": 40}),
        *seeds("Student", *high, overrides={"method.x": 1}),
        *seeds("AT", *high, overrides={"epochs": 40, "method.beta": 5}),
        *seeds("AT", *high, overrides={"method.beta": 5}),
        *seeds("AT", *high, fraction=0.5),
        *seeds("AT", *high, precision="bfloat16"),
    ]
    marked = [row.name for row in table(*records).rows for cell in row.cells.values() if cell.p_value is not None]
    assert marked == ["AT (beta=5)", "AT (epochs=40, beta=5)"]
    cells = {row.name: row.cells[1.0] for row in table(*records).rows if 1.0 in row.cells}
    assert (cells["AT (beta=5)"].mark, cells["AT (epochs=40, beta=5)"].mark) == ("*", "")


def test_two_students_that_both_qualify_are_no_baseline(table, seeds):
    students = [*seeds("Student", 0.5, 0.6, protocol="aaaa0000"), *seeds("Student", 0.5, 0.6, protocol="bbbb0000")]
    found = table(*students, *seeds("AT", 0.98, 0.99))
    assert [cell.p_value for cell in found.cells] == [None, None, None]


def test_steps_are_those_at_the_largest_fraction_done(table, make_record):
    found = table(
        make_record("AT", failed="NaN"),
        make_record("AT", fraction=0.5, steps={"hint": 180, "distill": 600}),
        make_record("AT", fraction=0.1, steps={"hint": 18, "distill": 60}),
        make_record("AB", failed="NaN"),
    )
    assert [row.steps for row in found.rows] == [{"hint": 180, "distill": 600}, {}]


def test_a_table_for_each_dataset_and_model(make_outputs, make_record):
    records = [make_record(dataset="digits", model="b"), make_record(dataset="cifar100"), make_record(model="a")]
    subjects = [tuple(table.subject) for table in build_tables(make_outputs(*records))]
    assert subjects == [("cifar100", "wrn_16_2_wrn_10_1"), ("digits", "a"), ("digits", "b")]


def test_of_repeats_one_counts(make_record):
    records = {
        "old": make_record("AT", 0.9, finished="2026-01-01T00:00:00Z"),
        "new": make_record("AT", 0.8, finished="2026-01-02T00:00:00Z"),
        "failed": make_record("AT", failed="NaN", finished="2026-01-03T00:00:00Z"),
        "other seed": make_record("AT", 0.7, seed=1),
    }
    kept, repeats = split_repeats([FinishedRun(*item) for item in records.items()])
    assert [run.directory for run in kept] == ["new", "other seed"]
    assert {run.directory for run in repeats} == {"old", "failed"}


def test_the_caption_says_what_the_numbers_rest_on(table, make_record):
    unfinished = ["outputs/digits/wrn_16_2_wrn_10_1/at/fraction=0.1/seed=0-aa", "outputs/digits/other/at/seed=0-bb"]
    found = table(
        make_record("AT"),
        make_record("AB", seed=1, teacher_accuracy=0.97, teacher_digest="ffff0000"),
        make_record("AB", fraction=0.5, train_images=718),
        make_record("FT", failed="loss is `NaN`\nat step 12"),
        unfinished=unfinished,
    )
    caption = "\n".join(caption_lines(found))
    assert "sample standard deviation" in caption
    assert "p < 0.05" in caption
    assert "equal steps at every fraction" in caption
    assert "Training images: 1437 (Full), 718 (50 %)." in caption
    assert "Distilled from 97.00 % to 98.00 % (2 teachers)." in caption
    assert "Networks in float32." in caption
    assert "1 run failed: `outputs/digits/wrn_16_2_wrn_10_1/ft/fraction=1.0/seed=0-" in caption
    assert "(`loss is 'NaN' at step 12`)" in caption
    assert "1 run unfinished." in caption


def test_repeats_in_a_copied_folder_are_reported(write_outputs, make_record):
    outputs = write_outputs(make_record("AT", 0.9))
    (outputs / "digits").rename(outputs / "copy")
    write_outputs(make_record("AT", 0.9))
    (table,) = build_tables(load_outputs(outputs))
    assert texts(table) == {"AT": ["90.00 (1)"]}
    assert "1 run left out, repeating another's fraction and seed" in caption_lines(table)[-1]
