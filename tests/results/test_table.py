from dataclasses import replace

import pandas as pd
import pytest
from helpers.records import make_record, make_seeds
from scipy import stats

from kd_bench.errors import BenchError
from kd_bench.results.caption import caption_lines, gains_caption_lines
from kd_bench.results.render import grid
from kd_bench.results.table import build_tables, load_tables, mark
from kd_bench.results.text import MISSING, cell_text


def texts(table):
    header, lines = grid(table)
    columns = [
        number for number, name in enumerate(header) if name not in ("Method", "Rank", "Steps") and "(" not in name
    ]
    return {line[0]: [line[number] for number in columns] for line in lines}


def cells(table, fraction=1.0):
    found = table.cells[table.cells["fraction"] == fraction]
    return {cell["row"]: cell for cell in found.to_dict("records")}


def references(table, fraction=1.0):
    """Returns the row that each row is compared with, if any."""
    return {name: cell["reference"] for name, cell in cells(table, fraction).items() if pd.notna(cell["reference"])}


def marks(table, fraction=1.0):
    return {name: mark(cell) for name, cell in cells(table, fraction).items()}


def test_a_cell_by_hand(table):
    # (97 + 98 + 99) / 3 = 98; squared deviations 1 + 0 + 1, over n - 1 = 2: 1.
    assert texts(table(*make_seeds("AT", 0.97, 0.98, 0.99))) == {"AT": ["98.00 ± 1.00 (3)"]}


def test_tables_are_loaded_from_a_folder_with_their_reference(write_outputs):
    outputs = write_outputs(make_record("Student", 0.9), make_record("AT", 0.95))
    (table,) = load_tables(outputs, reference="AT")
    gains = table.cells.set_index("row")["gain"]
    assert gains["Student"] == pytest.approx(-0.05)


def test_one_seed_has_no_spread(table):
    assert texts(table(*make_seeds("AT", 0.97314))) == {"AT": ["97.31 (1)"]}


def test_equal_values_have_a_spread_of_exactly_zero(table):
    assert cells(table(*make_seeds("AT", 0.9, 0.9, 0.9)))["AT"]["sd"] == 0


def test_failed_and_missing_cells(table):
    records = [
        *make_seeds("AT", 0.97, 0.98),
        make_record("AT", seed=2, failed="NaN"),
        make_record("AB", seed=0, fraction=0.5, failed="NaN"),
        make_record("AB", seed=1, fraction=0.5, failed="NaN"),
    ]
    assert texts(table(*records)) == {
        "AT": ["97.50 ± 0.71 (2), 1 failed", MISSING],
        "AB": [MISSING, "failed (2)"],
    }


@pytest.mark.parametrize("kind", ["data", "code"])
def test_other_images_or_other_code_under_the_same_name_are_not_averaged(table, kind):
    records = [make_record("AT", 0.9, **{kind: "a" * 16}), make_record("AT", 0.8, seed=1, **{kind: "b" * 16})]
    assert texts(table(*records)) == {f"AT ({kind} aaaaaaa)": ["90.00 (1)"], f"AT ({kind} bbbbbbb)": ["80.00 (1)"]}


def test_a_run_that_failed_before_it_knew_data_and_precision_stays_in_its_row(table):
    failed = make_record("AT", seed=1, failed="no data", data=None, precision="auto")
    assert texts(table(make_record("AT"), failed)) == {"AT": ["90.00 (1), 1 failed"]}


def test_a_failure_of_other_code_is_a_row_that_says_so(table):
    failed = make_record("AT", seed=1, failed="no data", data=None, precision="auto", code="b" * 16)
    assert set(texts(table(make_record("AT"), failed))) == {"AT (code c0dec0d)", "AT (code bbbbbbb)"}


def test_rows_and_columns_are_in_order(table):
    labels = ["Zeta", "CO", "Alpha", "Student", "AT", "Teacher", "KD_EID"]
    records = [make_record(label) for label in labels]
    records += [make_record("AT", fraction=fraction) for fraction in (0.1, 0.125, 0.5)]
    records += [make_record("AT", variant=variant) for variant in ({"epochs": 9}, {"method.beta": 5, "epochs": 9})]
    found = table(*records)
    names = ["Teacher", "Student", "AT", "AT (epochs=9)", "AT (epochs=9, beta=5)", "KD_EID", "CO", "Alpha", "Zeta"]
    assert [row.name for row in found.rows] == names
    assert found.fractions == [1.0, 0.5, 0.125, 0.1]
    assert grid(found)[0] == ["Method", "Full", "50 %", "12.5 %", "10 %", "Rank", "Steps"]


def test_overrides_are_rows_of_their_own(table):
    values = [500, 0.25, True, None, "adam", [1, 2]]
    found = table(*(make_record("AT", variant={"method.x": value}) for value in values))
    assert {row.name for row in found.rows} == {
        f"AT (x={text})" for text in ("500", "0.25", "true", "null", "adam", "[1, 2]")
    }


def test_what_was_not_run_alike_is_not_averaged(table):
    records = [
        make_record("AT", 0.9),
        make_record("AT", 0.8, seed=1, precision="bfloat16"),
        make_record("AB", 0.7, protocol="aaaa1111"),
        make_record("AB", 0.6, seed=1, protocol="bbbb1111"),
        make_record("FT", 0.5, protocol="cccc1111"),
        make_record("FT", 0.4, seed=1, protocol="cccc2222"),
        make_record("CO", 0.3, experiment="long", settings={"epochs": 90}),
        make_record("CO", 0.2, seed=1),
    ]
    assert texts(table(*records)) == {
        "AT (bfloat16)": ["80.00 (1)"],
        "AT (float32)": ["90.00 (1)"],
        "AB (#aaaa)": ["70.00 (1)"],
        "AB (#bbbb)": ["60.00 (1)"],
        "FT (#cccc1111)": ["50.00 (1)"],
        "FT (#cccc2222)": ["40.00 (1)"],
        "CO (digits)": ["20.00 (1)"],
        "CO (long)": ["30.00 (1)"],
    }


def test_an_override_that_only_some_runs_of_a_protocol_have_is_not_in_the_name(table):
    records = [make_record("AT", seed=0, variant={"jit_compile": True, "epochs": 9}, protocol="aaaa0000")]
    records += [make_record("AT", seed=1, variant={"epochs": 9}, protocol="aaaa0000")]
    found = table(*records, make_record("CO"))
    assert texts(found) == {"AT (epochs=9)": ["90.00 ± 0.00 (2)"], "CO": ["90.00 (1)"]}


def test_settings_that_all_students_share_are_said_once(table):
    shared = {"epochs": 2, "optimizer": "adam"}
    of_teacher = shared | {"teacher.epochs": 2, "deterministic": True}
    found = table(
        make_record("Teacher", variant={"epochs": 2, "deterministic": True}),
        make_record("Student", variant=shared | {"deterministic": True}, settings={"teacher": None}),
        make_record("AT", variant=of_teacher | {"method.beta": 5}),
        make_record("CO", variant=of_teacher | {"batch_size": 32}),
    )
    assert [row.name for row in found.rows] == ["Teacher", "Student", "AT (beta=5)", "CO (batch_size=32)"]
    assert found.settings == of_teacher
    line = "All students have `deterministic=true`, `epochs=2`, `optimizer=adam`, `teacher.epochs=2`."
    assert line in caption_lines(found) and line in gains_caption_lines(found)


def test_what_only_some_students_share_stays_in_their_names(table):
    found = table(
        make_record("Teacher", variant={"epochs": 4}),
        make_record("Student", variant={"epochs": 4}),
        make_record("AT", variant={"epochs": 4, "teacher.epochs": 9}),
        make_record("CO", variant={"epochs": 4}),
    )
    assert [row.name for row in found.rows] == ["Teacher (epochs=4)", "Student", "AT (teacher.epochs=9)", "CO"]
    assert found.settings == {"epochs": 4}


def test_two_teachers_are_told_apart_by_their_settings(table):
    found = table(
        make_record("Teacher", variant={"epochs": 4}),
        make_record("Teacher"),
        make_record("AT", variant={"teacher.epochs": 4}),
    )
    assert [row.name for row in found.rows] == ["Teacher", "Teacher (epochs=4)", "AT"]


def test_long_numbers_are_rounded_in_names(table):
    found = table(
        make_record("AT", variant={"method.beta": 123.456789012345}),
        make_record("AT", variant={"method.beta": 0.000012345678}),
        make_record("CO", variant={"method.alpha": 0.25}),
        make_record("CO", variant={"method.alpha": 5.0}),
        make_record("CO", variant={"method.alpha": 12345678}),
    )
    names = ["AT (beta=1.23457e-05)", "AT (beta=123.457)", "CO (alpha=0.25)", "CO (alpha=12345678)", "CO (alpha=5.0)"]
    assert sorted(row.name for row in found.rows) == names


def test_values_that_are_equal_when_rounded_are_rows_of_their_own(table):
    found = table(*(make_record("AT", variant={"method.beta": value}) for value in (1.00000001, 1.00000002)))
    assert len({row.name for row in found.rows}) == 2


def test_a_model_other_than_its_presets_is_no_setting_of_a_row(table):
    found = table(make_record("AT", variant={"model": "tiny_mixed"}), make_record("CO"))
    assert [row.name for row in found.rows] == ["AT", "CO"] and not found.settings


def test_one_run_by_another_preset_neither_renames_a_row_nor_takes_its_comparison_away(table):
    changes = {"epochs": 2, "teacher.epochs": 2}
    found = table(
        *make_seeds("Student", 0.70, 0.71, 0.72, variant=changes),
        make_record("Student", 0.73, seed=3, experiment="quick", settings=changes),
        *make_seeds("AT", 0.80, 0.81, 0.82, variant=changes),
    )
    assert texts(found) == {
        "Student": ["71.50 ± 1.29 (4)"],
        "AT": ["81.00 ± 1.00 (3)*"],
    }


def test_the_baseline_is_the_student_run_alike(table):
    low, high = (0.50, 0.51, 0.52), (0.95, 0.96, 0.97)
    found = table(
        *make_seeds("Student", *low),
        *make_seeds("Student", *high, variant={"epochs": 40}),
        *make_seeds("AT", *high, variant={"epochs": 40, "method.beta": 5}),
        *make_seeds("AT", *high, variant={"method.beta": 5}),
        *make_seeds("AT", *high, fraction=0.5),
        *make_seeds("AT", *high, precision="bfloat16"),
    )
    assert references(found) == {"AT (beta=5)": "Student", "AT (epochs=40, beta=5)": "Student (epochs=40)"}
    assert marks(found)["AT (beta=5)"] == "*"
    assert marks(found)["AT (epochs=40, beta=5)"] == ""
    assert references(found, 0.5) == {}


def test_a_plain_student_is_compared_whatever_its_config_says_of_a_teacher(table):
    student = make_seeds("Student", 0.5, 0.51, settings={"teacher.epochs": 9, "model.teacher.target": "vgg"})
    student = [replace(record, config={**record.config, "teacher": None}) for record in student]
    assert references(table(*student, *make_seeds("AT", 0.98, 0.99))) == {"AT": "Student"}


def test_of_two_students_that_both_qualify_the_one_of_the_same_code_is_the_baseline(table):
    students = [*make_seeds("Student", 0.5, 0.6, code="a" * 16), *make_seeds("Student", 0.5, 0.6, code="b" * 16)]
    found = table(*students, *make_seeds("AT", 0.98, 0.99, code="b" * 16), *make_seeds("AB", 0.98, 0.99))
    assert references(found)["AT"] == "Student (code bbbbbbb)"
    assert "AB" not in references(found)
    caption = "\n".join(caption_lines(found))
    several = "the rows Student (code aaaaaaa), Student (code bbbbbbb) have other code and other predictions"
    assert f"Not compared, because {several}; --reference takes one of them: AB at Full." in caption


def test_of_two_students_that_both_qualify_the_one_of_the_same_revision_is_the_baseline(table):
    old, new = ({"revision": letter * 40, "dirty": False} for letter in "ab")
    found = table(
        *make_seeds("Student", 0.5, 0.6, code="a" * 16, git=old),
        *make_seeds("Student", 0.5, 0.6, code="b" * 16, git=new),
        *make_seeds("AT", 0.98, 0.99, git=new),
    )
    assert references(found) == {"AT": "Student (code bbbbbbb)"}


def test_the_name_of_a_row_chooses_among_students(table):
    students = [*make_seeds("Student", 0.5, 0.6, code="a" * 16), *make_seeds("Student", 0.5, 0.6, code="b" * 16)]
    found = table(*students, *make_seeds("AT", 0.98, 0.99), reference="Student (code aaaaaaa)")
    assert references(found) == {"AT": "Student (code aaaaaaa)", "Student (code bbbbbbb)": "Student (code aaaaaaa)"}


def test_an_unknown_reference_is_refused_with_the_rows_there(table):
    with pytest.raises(BenchError, match=r"reference Soft: no row has this label or name; there are: Student, AT, AT"):
        table(*make_seeds("Student", 0.5, 0.6), make_record("AT", variant={"epochs": 9}), reference="Soft")


def of_code(code, label, *accuracies, predictions="same", **changes):
    """Returns runs whose predictions are told apart by their seed and by a word."""
    runs = make_seeds(label, *accuracies, code=code * 16, **changes)
    for run in runs:
        run.files["predictions.npy"] = f"{predictions} {run.run.seed}"
    return runs


def test_runs_of_other_code_with_the_same_predictions_are_one_row(table):
    found = table(
        *of_code("a", "Student", 0.5, 0.51, 0.52),
        *of_code("b", "Student", 0.5, 0.51, finished="2026-02-01T00:00:00+00:00"),
        *make_seeds("AT", 0.9, 0.91, code="c" * 16),
    )
    assert texts(found) == {"Student": ["51.00 ± 1.00 (3)"], "AT": ["90.50 ± 0.71 (2)*"]}
    caption = "\n".join(caption_lines(found))
    assert "one row because their predictions are identical: Student (seeds 0, 1)." in caption
    assert set(found.rows[0].runs["code"]) == {"a" * 16, "b" * 16}  # Of each seed, the newest run counts.


@pytest.mark.parametrize("predictions", ["other", None])
def test_runs_of_other_code_with_other_or_unknown_predictions_are_separate_rows(table, predictions):
    others = of_code("b", "Student", 0.5, 0.51, predictions=predictions or "")
    for run in others:
        run.files.update({"predictions.npy": run.files["predictions.npy"]} if predictions else {})
        if predictions is None:
            run.files.clear()
    found = table(*of_code("a", "Student", 0.5, 0.51), *others)
    assert len(found.rows) == 2


def test_one_run_that_differs_keeps_rows_of_other_code_apart(table):
    others = of_code("b", "Student", 0.5, 0.51)
    others[1].files["predictions.npy"] = "another"
    assert len(table(*of_code("a", "Student", 0.5, 0.51), *others).rows) == 2


def test_without_a_common_run_nothing_shows_that_code_reproduces(table):
    more = of_code("b", "Student", 0.5, fraction=0.5)
    assert len(table(*of_code("a", "Student", 0.5, 0.51), *more).rows) == 2


def test_gains_and_losses_are_marked_as_dunnetts_test_finds_them(table):
    student, better, worse, same = (0.90, 0.91, 0.92), (0.95, 0.96, 0.97), (0.85, 0.86, 0.87), (0.91, 0.92, 0.93)
    rows = {"Student": student, "AT": better, "AB": worse, "FT": same}
    found = cells(table(*(record for label, values in rows.items() for record in make_seeds(label, *values))))
    assert {name: mark(cell) for name, cell in found.items()} == {"Student": "", "AT": "*", "FT": "", "AB": "†"}
    expected = stats.dunnett(better, worse, same, control=student, rng=0)
    for name, p_value in zip(("AT", "AB", "FT"), expected.pvalue, strict=True):
        assert found[name]["test"] == "dunnett"
        assert found[name]["p_value"] == pytest.approx(p_value, abs=1e-3)


def test_a_method_that_diverged_does_not_hide_the_others(table):
    student, at, others = (0.90, 0.91, 0.92), (0.3, 0.6, 0.9), {"AB": (0.94, 0.95, 0.96), "FT": (0.90, 0.91, 0.93)}
    calm = [record for label, values in others.items() for record in make_seeds(label, *values)]
    found = cells(table(*make_seeds("Student", *student), *make_seeds("AT", *at), *calm))
    without = cells(table(*make_seeds("Student", *student), *calm))
    assert found["AT"]["test"] == "welch"
    alone = stats.ttest_ind(at, student, equal_var=False).pvalue
    assert found["AT"]["p_value"] == pytest.approx(
        min(1, 3 * alone)
    )  # Each of the three rows has a third of the level.
    assert found["AB"]["p_value"] == pytest.approx(3 / 2 * without["AB"]["p_value"])
    assert mark(found["AB"]) == "*"


def test_with_one_seed_there_is_no_mark(table):
    found = table(*make_seeds("Student", 0.5, 0.51), make_record("AT", 0.99))
    assert marks(found) == {"Student": "", "AT": ""}


def test_another_row_may_be_the_reference(table):
    records = [*make_seeds("Student", 0.5, 0.51), *make_seeds("Soft_logits", 0.8, 0.81), *make_seeds("AT", 0.9, 0.91)]
    found = table(*records, reference="Soft_logits")
    assert references(found) == {"Student": "Soft_logits", "AT": "Soft_logits"}
    assert cells(found)["AT"]["gain"] == pytest.approx(0.1)
    assert marks(found)["Student"] == "†"


def test_a_reference_with_a_teacher_needs_the_same_teacher(table):
    other = {"teacher.epochs": 9}
    records = [*make_seeds("Soft_logits", 0.8, 0.81), *make_seeds("AT", 0.9, 0.91, variant=other)]
    found = table(*records, reference="Soft_logits")
    assert references(found) == {}


def test_a_gain_is_the_difference_of_the_means_with_the_interval_of_the_test(table):
    student, method = (0.80, 0.90, 0.85), (0.83, 0.92, 0.89, 0.99)
    cell = cells(table(*make_seeds("Student", *student), *make_seeds("AT", *method)))["AT"]
    interval = stats.ttest_ind(method, student).confidence_interval(0.95)
    assert (cell["gain"], cell["n"]) == (pytest.approx(0.0575), 4)
    assert (cell["gain_low"], cell["gain_high"]) == (pytest.approx(interval.low), pytest.approx(interval.high))


def test_one_seed_gives_a_gain_without_interval(table):
    found = cells(table(*make_seeds("Student", 0.8, 0.9), make_record("AT", 0.92, seed=7)))
    assert found["AT"]["gain"] == pytest.approx(0.07)
    assert pd.isna(found["AT"]["gain_low"])


def test_the_rank_is_the_mean_over_the_students_columns(table):
    accuracies = {"Student": (0.5, 0.5), "AT": (0.9, 0.7), "AB": (0.8, 0.7), "FT": (0.7, 0.9)}
    records = [
        make_record(label, accuracy, fraction=fraction)
        for label, values in accuracies.items()
        for fraction, accuracy in zip((1.0, 0.1), values, strict=True)
    ]
    incomplete, tuned = make_record("CO", 0.99), make_record("AT", 0.99, variant={"method.beta": 5})
    found = table(*records, incomplete, tuned, make_record("AB", 0.9, fraction=0.5))
    assert found.ranks == {"AT": (1.75, 2), "AB": (2.25, 2), "FT": (2.0, 2)}
    ranks = {line[0]: line[-2] for line in grid(found)[1]}
    assert ranks == {
        "Student": MISSING,
        "AT": "1.8 (2)",
        "AT (beta=5)": MISSING,
        "FT": "2.0 (2)",
        "AB": "2.2 (2)",
        "CO": MISSING,
    }


def test_steps_have_a_column_for_each_fraction_where_they_differ(table):
    runs = [
        make_record("AT", failed="NaN"),
        make_record("AT", fraction=0.5, steps={"hint": 180, "distill": 600}),
        make_record("AT", fraction=0.1, steps={"hint": 18, "distill": 60}),
        make_record("AB", failed="NaN"),
    ]
    header, lines = grid(table(*runs))
    assert header[-2:] == ["Steps (50 %)", "Steps (10 %)"]
    assert [line[-2:] for line in lines] == [["180+600", "18+60"], [MISSING, MISSING]]
    header, lines = grid(table(*runs[:2], runs[3]))
    assert (header[-1], [line[-1] for line in lines]) == ("Steps", ["180+600", MISSING])


def test_a_table_for_each_dataset_and_model(make_runs):
    records = [make_record(dataset="digits", model="b"), make_record(dataset="cifar100"), make_record(model="a")]
    subjects = [(table.dataset, table.model) for table in build_tables(make_runs(*records))]
    assert subjects == [("cifar100", "wrn_16_2_wrn_10_1"), ("digits", "a"), ("digits", "b")]


def test_rows_are_compared_before_a_filter_takes_them_away(make_runs):
    runs = make_runs(*make_seeds("Student", 0.5, 0.51), *make_seeds("AT", 0.9, 0.91), *make_seeds("AB", 0.9, 0.91))
    (whole,) = build_tables(runs)
    (part,) = build_tables(runs, shown=runs.index[runs["label"] == "AT"])
    assert list(cells(part)) == ["AT"]
    assert cells(part)["AT"]["p_value"] == cells(whole)["AT"]["p_value"]
    assert cell_text(cells(part)["AT"]) == "90.50 ± 0.71 (2)*"


def test_a_teacher_that_two_pairs_share_stands_in_both_tables(make_runs):
    teacher = make_record("Teacher", 0.99, model="a", digest="7eac7eac")
    students = [make_record("AT", 0.9, model=model, teacher_digest="7eac7eac") for model in ("a", "b")]
    other = make_record("AT", 0.8, model="c", teacher_digest="07e407e4")
    tables = build_tables(make_runs(teacher, *students, other))
    assert [list(texts(table)) for table in tables] == [
        ["Teacher", "AT"],
        ["Teacher", "AT"],
        ["AT"],
    ]


def tuned(label, *accuracies, trials=20, fraction=1.0, **chosen):
    """Returns the runs of a setting that a search chose; as in real records, its values are not in the protocol."""
    how = {"tuned": {"trials": trials, "keys": sorted(chosen)}}
    given = {"variant": chosen, "settings": how, "fraction": fraction, "protocol": f"{label} {trials}"}
    return make_seeds(label, *accuracies, **given)


RATE = "optimizer.learning_rate"


def test_tuned_runs_of_all_fractions_share_a_row_whatever_a_search_chose(table):
    runs = [*tuned("AT", 0.9, 0.92, **{RATE: 0.2}), *tuned("AT", 0.8, fraction=0.5, **{RATE: 0.05})]
    assert texts(table(*runs, *make_seeds("AT", 0.7))) == {
        "AT": ["70.00 (1)", MISSING],
        "AT (tuned)": ["91.00 ± 1.41 (2)", "80.00 (1)"],
    }


def test_what_was_given_beside_a_search_names_the_row(table):
    (run,) = tuned("AT", 0.9, **{RATE: 0.2})
    run.run.variant["epochs"] = 40
    assert list(texts(table(run, make_record("CO")))) == ["AT (tuned, epochs=40)", "CO"]


def test_tuned_rows_are_compared_with_the_student_of_equally_many_trials(table):
    students = [*make_seeds("Student", 0.8, 0.81), *tuned("Student", 0.85, 0.86, **{RATE: 0.05})]
    more = tuned("FSP", 0.9, 0.91, trials=40, **{RATE: 0.3})
    built = table(*students, *make_seeds("AT", 0.9, 0.91), *tuned("AT", 0.95, 0.96, **{RATE: 0.2}), *more)
    assert references(built) == {"AT": "Student", "AT (tuned)": "Student (tuned)"}


def test_tuned_rows_are_ranked_among_themselves(table):
    students = [*make_seeds("Student", 0.8), *tuned("Student", 0.85, **{RATE: 0.05})]
    own = [*tuned("AT", 0.9, **{RATE: 0.2, "method.beta": 3}), *tuned("FSP", 0.95, **{RATE: 0.3})]
    built = table(*students, *make_seeds("AT", 0.92), *make_seeds("FSP", 0.91), *own)
    ranks = {row: rank for row, (rank, _) in built.ranks.items()}
    assert ranks == {"AT": 1, "FSP": 2, "AT (tuned)": 2, "FSP (tuned)": 1}


def test_the_caption_has_the_number_of_trials(table):
    at, fsp = tuned("AT", 0.9, **{RATE: 0.2}), tuned("FSP", 0.9, trials=40, **{RATE: 0.2})
    alike, unlike, untuned = ("\n".join(caption_lines(table(*runs))) for runs in (at, at + fsp, make_seeds("AT", 0.9)))
    assert "chosen in each column by trials on held-out training images (20 each)." in alike
    assert "(20 for AT (tuned); 40 for FSP (tuned))" in unlike
    assert "tuned" not in untuned


def test_soft_logits_beside_a_method_stand_below_it_and_are_compared_with_the_student(table):
    beside = make_seeds("AT + KD", 0.97, 0.98, variant={"kd_weight": 0.9}, method="at")
    found = table(
        *make_seeds("Student", 0.91, 0.92), *make_seeds("AT", 0.93, 0.94), *make_seeds("CO", 0.9, 0.9), *beside
    )
    assert [row.name for row in found.rows] == ["Student", "AT", "AT + KD (kd_weight=0.9)", "CO"]
    assert references(found)["AT + KD (kd_weight=0.9)"] == "Student"
