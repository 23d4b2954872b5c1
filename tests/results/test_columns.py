"""The optional columns of the tables, from records and from measurements beside exported networks."""

import json

import pytest
from helpers.records import make_record, make_seeds, write_run

from kd_bench.results.bundle import unbundle
from kd_bench.results.command import main
from kd_bench.results.text import MISSING
from kd_bench.runs.exports import Export, write_export
from kd_bench.runs.folder import RunFolder

COST = {"parameters": 1234, "multiply_adds": 5_000_000}


def export_run(folder, form="litert", **values):
    folder = RunFolder(folder)
    folder.exports.mkdir(exist_ok=True)
    known = {
        "network": folder.checksums()[folder.network.name],
        "size_bytes": 2500,
        "images": 500,
        "accuracy": 0.9,
        "differing": 0,
        "batch_size": 64,
        "images_per_second": 1e4,
        "processor": "i486",
        "versions": {},
        "finished": "2026-01-01T00:00:00+00:00",
    }
    write_export(folder, Export(format=form, **known | values))
    return folder


@pytest.fixture
def outputs(tmp_path):
    """Writes three seeds of a student, exported with different latencies, and a method that is not exported."""
    for record, latency in zip(make_seeds("Student", 0.9, 0.91, 0.92, **COST), (1.0, 2.5, 9.0), strict=True):
        export_run(write_run(tmp_path / "outputs", record, network=b"a network"), latency_ms=latency)
    write_run(tmp_path / "outputs", make_record("AT", **COST))
    return tmp_path / "outputs"


@pytest.fixture
def table(outputs, capsys):
    """Prints the table; returns its lines as lists of cells, and its caption."""

    def shown(*arguments, source=outputs, status=0):
        assert main(["--outputs", str(source), *arguments]) == status
        lines = capsys.readouterr().out.splitlines()
        grid = [line for line in lines if line.startswith("|")]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in grid], lines[-1]

    return shown


def test_a_row_has_the_median_over_its_runs(table):
    lines, caption = table("--columns", "parameters", "multiply_adds", "size", "latency")
    assert lines[0][3:] == ["Parameters", "Multiply-adds", "Size, kB (litert)", "Latency, ms (litert)"]
    assert [line[3:] for line in lines[2:]] == [
        ["1,234", "5,000,000", "2.5", "2.500"],
        ["1,234", "5,000,000", MISSING, MISSING],
    ]
    assert caption.startswith("Parameters, multiply-adds, size, latency: the median over the runs of a row.")
    assert caption.endswith("one thread of i486.")


def test_without_columns_nothing_changes(table):
    lines, caption = table()
    assert lines[0] == ["Method", "Full", "Steps"]
    assert "median" not in caption


def test_json_has_the_columns_of_each_cell(outputs, capsys):
    assert main(["--outputs", str(outputs), "--format", "json", "--columns", "parameters", "latency"]) == 0
    student, at = json.loads(capsys.readouterr().out)
    assert (student["parameters"], student["latency_ms_litert"]) == (1234, 2.5)
    assert (at["parameters"], at["latency_ms_litert"]) == (1234, None)


def test_a_format_of_some_runs_is_a_column_of_its_own(table, outputs):
    (first, *_) = sorted(outputs.rglob("export"))
    export_run(first.parent, "onnx", latency_ms=0.125, processor="Z80")
    lines, caption = table("--columns", "latency")
    assert lines[0][3:] == ["Latency, ms (litert)", "Latency, ms (onnx)"]
    assert lines[2][3:] == ["2.500", "0.125"]
    assert caption.endswith("Z80; i486.")


def test_exports_of_an_earlier_network_do_not_count(table, outputs):
    for folder in outputs.rglob("export"):
        export_run(folder.parent, latency_ms=1.0, network="0" * 64)
    lines, caption = table("--columns", "latency")
    assert lines[0] == ["Method", "Full", "Steps"]
    assert caption.endswith("None of these runs was exported: python -m kd_bench.export RUN measures size and latency.")


def test_a_bundle_has_the_columns_of_its_records_and_no_measurements(table, outputs, tmp_path):
    bundle = tmp_path / "runs.jsonl"
    assert main(["--outputs", str(outputs), "--bundle", str(bundle)]) == 0
    lines, caption = table("--columns", "multiply_adds", "size", source=bundle)
    assert lines[2][3:] == ["5,000,000"]
    assert "None of these runs was exported" in caption
    assert unbundle(bundle, tmp_path / "restored") == (4, [])
    assert not list((tmp_path / "restored").rglob("export"))


def test_an_unknown_count_is_a_dash(capsys, tmp_path):
    write_run(tmp_path, make_record("Student", parameters=7, multiply_adds=None))
    assert main(["--outputs", str(tmp_path), "--columns", "parameters", "multiply_adds"]) == 0
    assert f"| 7            | {MISSING}               |" in capsys.readouterr().out


def test_a_damaged_measurement_is_named(outputs, capsys):
    damaged = next(outputs.rglob("litert.json"))
    damaged.write_text('{"format": "litert"}')
    assert main(["--outputs", str(outputs), "--columns", "size"]) == 1
    err = capsys.readouterr().err
    assert f"{damaged}: cannot be read (" in err
    assert "delete it, or export the run again" in err
    assert main(["--outputs", str(outputs)]) == 0


@pytest.mark.parametrize("view", ["--gains", "--runs"])
def test_other_views_have_no_columns(outputs, view, capsys):
    with pytest.raises(SystemExit):
        main(["--outputs", str(outputs), "--columns", "size", view])
    assert "--columns is for tables of accuracies" in capsys.readouterr().err


def test_scores_and_costs_are_means_of_each_cell(capsys, tmp_path):
    scores = {"negative_log_likelihood": 0.5, "calibration_error": 0.02, "agreement": 0.5}
    for seed, fraction in ((0, 1.0), (1, 1.0), (0, 0.5)):
        values = {name: value * (1 + seed) * fraction for name, value in scores.items()}
        write_run(tmp_path, make_record("AT", seed=seed, fraction=fraction, **values))
    write_run(tmp_path, make_record("AT", seed=2, failed="NaN"))
    chosen = ("negative_log_likelihood", "calibration_error", "agreement", "training_multiply_adds")
    assert main(["--outputs", str(tmp_path), "--columns", *chosen]) == 1
    lines = capsys.readouterr().out.splitlines()
    header, _, row = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:5])
    found = dict(zip(header, row, strict=True))
    assert (found["NLL (Full)"], found["NLL (50 %)"]) == ("0.750", "0.250")
    assert (found["ECE, % (Full)"], found["ECE, % (50 %)"]) == ("3.00", "1.00")
    assert (found["Agreement, % (Full)"], found["Agreement, % (50 %)"]) == ("75.00", "25.00")
    assert lines[-1].startswith("Means over seeds: NLL, the negative log-likelihood in nats an image; ECE, ")
