"""The blocks of other pages: the methods beside each other, and a table in brief."""

import json

import pytest
from helpers.records import make_record, make_seeds, write_run

from kd_bench.results.brief import render_brief
from kd_bench.results.command import main
from kd_bench.results.methods import methods
from kd_bench.results.overview import render_overview
from kd_bench.results.table import load_tables
from kd_bench.results.text import MISSING

COSTS = {"at": {"main": 2.0}, "ab": {"boundary": 3.0, "main": 1.0}}


def lines_of(text):
    """Returns the lines of a table in Markdown, as lists of cells."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


@pytest.fixture
def outputs(tmp_path):
    made = {"Student": (0.5, 0.52), "AT": (0.6, 0.62), "AB": (0.4, 0.42)}
    for fraction in (1.0, 0.1):
        for label, accuracies in made.items():
            for record in make_seeds(label, *accuracies, fraction=fraction):
                write_run(tmp_path / "outputs", record)
    for record in make_seeds("AT", 0.9, 0.9, fraction=0.1, variant={"method.beta": 5}):
        write_run(tmp_path / "outputs", record)
    return tmp_path / "outputs"


def test_a_line_has_what_config_class_costs_and_records_say(outputs):
    header, _, *lines = lines_of(render_overview(load_tables(outputs), COSTS))
    assert header[-1] == "digits, 10 %, 600 steps"
    by_method = {line[0]: line[1:] for line in lines}
    at = ["2017", "maps", "`beta`", "1 feature point", "main 2.0", "+10.0*"]
    assert by_method["[AT](at.md)"] == at
    assert by_method["[AB](ab.md)"][-2:] == ["boundary 3.0, main 1.0", "-10.0†"]
    assert by_method["[CRD](crd.md)"] == ["2020", "embedding", "`weight`", "one label per image", MISSING, MISSING]
    assert by_method["[DML](dml.md)"][3] == "a peer, no trained teacher"
    assert len(lines) == len(methods()) - 2


def test_only_the_shortest_and_the_longest_length_have_columns(tmp_path):
    for epochs in (30, 60, 90):
        variant = {} if epochs == 30 else {"epochs": epochs}
        for label in ("Student", "AT"):
            for record in make_seeds(label, 0.5, 0.6, steps={"main": epochs}, variant=variant):
                write_run(tmp_path, record)
    header, *_ = lines_of(render_overview(load_tables(tmp_path), None))
    assert header[-2:] == ["digits, Full, 30 steps", "digits, Full, 90 steps"]


def test_a_table_in_brief_has_accuracies_and_marks_alone(outputs):
    (table,) = load_tables(outputs)
    text = render_brief(table, "markdown")
    header, _, *lines = lines_of(text)
    assert header == ["Method", "Full", "10 %"]
    assert ["AT", "61.00 ± 1.41*", "61.00 ± 1.41*"] in lines
    assert "over 2 seeds" in text
    assert "Training images: 1437 (Full), 1437 (10 %)." in text


def test_a_table_whose_runs_all_failed_has_a_brief_block_beside_one_with_results(tmp_path):
    write_run(tmp_path / "outputs", make_record("Student", 0.9))
    write_run(tmp_path / "outputs", make_record("AT", failed="no memory", dataset="cifar100"))
    page = tmp_path / "page.md"
    page.write_text("<!-- results:start .brief -->\n<!-- results:end .brief -->\n")
    main(["--outputs", str(tmp_path / "outputs"), "--update", str(page)])
    assert "over no seeds" in page.read_text()


def test_blocks_of_several_files_are_written_at_once(outputs, tmp_path, capsys):
    main(["--outputs", str(outputs), "--bundle", str(tmp_path / "digits.jsonl")])
    (tmp_path / "digits.costs.json").write_text(json.dumps({"steps": COSTS}))
    pages = [tmp_path / "one.md", tmp_path / "two.md"]
    for page, name in zip(pages, (".overview", "digits.brief"), strict=True):
        page.write_text(f"<!-- results:start {name} -->\n<!-- results:end {name} -->\n")
    assert main(["--outputs", str(tmp_path / "digits.jsonl"), "--update", *map(str, pages)]) == 0
    assert "boundary 3.0, main 1.0" in pages[0].read_text()
    assert "61.00 ± 1.41*" in pages[1].read_text()
    assert "two.md: results updated" in capsys.readouterr().out
