import csv
import io
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "aggregate.py"
README = "before\n<!-- results:start -->\n<!-- results:end -->\nafter\n"


@pytest.fixture
def aggregate(tmp_path):
    """Runs the script as a user would, in the folder that holds outputs/."""

    def run(*arguments, script=(SCRIPT,)):
        command = [sys.executable, *script, *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def readme(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(README)
    return path


def test_it_prints_the_table(aggregate, write_outputs, seeds):
    write_outputs(*seeds("Student", 0.9, 0.91), *seeds("AT", 0.95, 0.96))
    done = aggregate()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("### digits, wrn_16_2_wrn_10_1\n")
    assert "95.50 ± 0.71 (2)*" in done.stdout


def test_it_starts_at_once_and_without_tensorflow(aggregate, write_outputs, seeds):
    write_outputs(*seeds("Student", 0.9, 0.91), *seeds("AT", 0.95, 0.96))
    start = time.monotonic()
    aggregate()
    assert time.monotonic() - start < 2
    code = f"import sys; sys.path.insert(0, {str(SCRIPT.parent)!r}); import aggregate; aggregate.main([])"
    done = aggregate(script=("-c", f"{code}; print(*sys.modules)"))
    assert "scipy.special" in done.stdout.split()
    assert not {"tensorflow", "keras", "pandas"} & set(done.stdout.split())


@pytest.mark.parametrize("arguments", [(), ("--format", "json"), ("--update", "README.md"), ("--runs",)])
def test_without_outputs_it_says_what_to_run(aggregate, readme, arguments):
    done = aggregate(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "outputs: no run is done yet; start one: python run.py method=fitnet\n"
    assert readme.read_text() == README


def test_a_failed_run_shows_in_the_table_and_in_the_exit_status(aggregate, write_outputs, make_record, readme):
    write_outputs(make_record("AT"), make_record("AB", failed="loss is NaN"))
    for arguments in ([], ["--update", "README.md"], ["--format", "csv"]):
        done = aggregate(*arguments)
        assert done.returncode == 1
        assert done.stderr.startswith("1 failed: outputs/digits/")
    assert "| AB " in readme.read_text()


def test_an_unreadable_record_is_named_and_the_others_are_shown(aggregate, write_outputs, make_record):
    outputs = write_outputs(make_record("AT"), make_record("AB"))
    damaged = next(outputs.glob("*/*/ab/*/*/result.json"))
    damaged.write_text('{"schema": 1, "sta')
    done = aggregate()
    assert done.returncode == 1
    assert done.stderr.startswith(f"unreadable: {damaged.relative_to(outputs.parent)}: cannot be read")
    assert "| AT " in done.stdout
    assert "| AB " not in done.stdout


def test_an_unfinished_run_is_no_error(aggregate, write_outputs, make_record):
    outputs = write_outputs(make_record("AT"), make_record("AB"))
    next(outputs.glob("*/*/ab/*/*/result.json")).unlink()
    done = aggregate()
    assert done.returncode == 0
    assert done.stderr.startswith("1 unfinished")
    assert "1 run unfinished." in done.stdout


def test_the_readme_is_updated_and_stays_so(aggregate, write_outputs, make_record, readme):
    write_outputs(make_record("AT"))
    assert aggregate("--update", "README.md").returncode == 0
    once = readme.read_text()
    assert once.startswith("before\n<!-- results:start -->\n### digits")
    assert once.endswith("<!-- results:end -->\nafter\n")
    assert aggregate("--update", "README.md").returncode == 0
    assert readme.read_text() == once


def test_a_readme_without_markers_or_runs_is_untouched(aggregate, write_outputs, make_record, readme):
    write_outputs(make_record("AT", failed="NaN"))
    assert aggregate("--update", "README.md").returncode == 1
    write_outputs(make_record("AT", seed=1))
    assert readme.read_text() == README
    readme.write_text("no markers")
    done = aggregate("--update", "README.md")
    assert done.returncode == 1
    assert "README.md: needs the line <!-- results:start -->" in done.stderr
    assert readme.read_text() == "no markers"


@pytest.mark.parametrize(
    "arguments",
    [("--update", "none.md"), ("--update", "README.md", "--format", "csv"), ("--update", "README.md", "--runs")],
)
def test_wrong_use_is_an_error_without_a_traceback(aggregate, write_outputs, make_record, readme, arguments):
    write_outputs(make_record("AT"))
    done = aggregate(*arguments)
    assert done.returncode != 0
    assert "aggregate.py: " in done.stderr
    assert "Traceback" not in done.stderr
    assert readme.read_text() == README


def test_formats_and_runs(aggregate, write_outputs, make_record):
    write_outputs(make_record("AT", git={"revision": "0f3c", "dirty": True}))
    assert json.loads(aggregate("--format", "json").stdout)[0]["row"] == "AT"
    assert next(csv.DictReader(io.StringIO(aggregate("--format", "csv").stdout)))["n"] == "1"
    (run,) = json.loads(aggregate("--format", "json", "--runs").stdout)
    assert (run["accuracy"], run["revision"], run["dirty"]) == (0.9, "0f3c", True)


def test_a_reader_who_has_seen_enough_is_no_error(write_outputs, seeds, tmp_path):
    write_outputs(*seeds("AT", *[0.9] * 300))
    command = f"{sys.executable} {SCRIPT} --runs | head -1"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("| directory")
    assert done.stderr == ""
