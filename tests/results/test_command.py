import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import command
from helpers.records import make_record, make_seeds, write_run

from kd_bench.launch.status import read_status
from kd_bench.results import load_runs

SCRIPT = Path(__file__).parents[2] / "aggregate.py"
README = "before\n<!-- results:start -->\n<!-- results:end -->\nafter\n"


@pytest.fixture
def aggregate(tmp_path, monkeypatch):
    """Runs the command in the folder that holds outputs/."""
    monkeypatch.chdir(tmp_path)
    return command.aggregate


def script(*arguments, cwd):
    """Runs a script as a user would."""
    return subprocess.run([sys.executable, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def readme(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(README)
    return path


def test_it_prints_the_table(write_outputs, tmp_path):
    write_outputs(*make_seeds("Student", 0.9, 0.91), *make_seeds("AT", 0.95, 0.96))
    done = script(SCRIPT, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("### digits, wrn_16_2_wrn_10_1\n")
    assert "95.50 ± 0.71 (2)*" in done.stdout


@pytest.mark.parametrize(("accuracies", "tests"), [((0.95, 0.96), True), ((0.95,), False)])
def test_it_imports_no_tensorflow_and_scipy_only_for_a_test(write_outputs, tmp_path, accuracies, tests):
    write_outputs(*make_seeds("Student", 0.9, 0.91), *make_seeds("AT", *accuracies))
    code = f"import sys; sys.path.insert(0, {str(SCRIPT.parent)!r}); import aggregate; aggregate.main([])"
    imported = set(script("-c", f"{code}; print(*sys.modules)", cwd=tmp_path).stdout.split())
    assert ("scipy.special" in imported) == tests
    assert not {"tensorflow", "keras", "altair", "scipy.stats"} & imported


@pytest.mark.parametrize("arguments", [(), ("--format", "json"), ("--update", "README.md"), ("--runs",)])
def test_without_runs_it_says_what_to_run(aggregate, tmp_path, readme, arguments):
    done = aggregate(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert "outputs: there is no such folder or bundle; start a run: python run.py method=fitnet\n" in done.stderr
    (tmp_path / "outputs").mkdir()
    done = aggregate(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "aggregate.py: outputs: no run is done yet; start one: python run.py method=fitnet\n"
    assert readme.read_text() == README


def test_a_failed_run_shows_in_the_table_and_in_the_exit_status(aggregate, write_outputs, readme):
    write_outputs(make_record("AT"), make_record("AB", failed="loss is NaN"))
    for arguments in ([], ["--update", "README.md"], ["--format", "csv"]):
        done = aggregate(*arguments)
        assert done.returncode == 1
        assert done.stderr.startswith("1 failed: outputs/digits/")
    assert "| AB " in readme.read_text()


def test_an_unreadable_record_is_named_and_the_others_are_shown(aggregate, write_outputs):
    outputs = write_outputs(make_record("AT"), make_record("AB"))
    damaged = next(outputs.glob("*/*/ab/*/*/result.json"))
    damaged.write_text('{"schema": 1, "sta')
    done = aggregate()
    assert done.returncode == 1
    assert done.stderr.startswith(f"unreadable: {damaged.relative_to(outputs.parent)}: ")
    assert "| AT " in done.stdout
    assert "| AB " not in done.stdout


def test_an_unfinished_run_is_no_error(aggregate, write_outputs):
    outputs = write_outputs(make_record("AT"), make_record("AB"))
    next(outputs.glob("*/*/ab/*/*/result.json")).unlink()
    done = aggregate()
    assert done.returncode == 0
    assert done.stderr.startswith("1 unfinished")
    assert "1 run unfinished." in done.stdout


def test_the_readme_is_updated_and_stays_so(aggregate, write_outputs, readme):
    write_outputs(make_record("AT"))
    assert aggregate("--update", "README.md").returncode == 0
    once = readme.read_text()
    assert once.startswith("before\n<!-- results:start -->\n### digits")
    assert once.endswith("<!-- results:end -->\nafter\n")
    assert aggregate("--update", "README.md").returncode == 0
    assert readme.read_text() == once


def test_a_readme_without_markers_or_runs_is_untouched(aggregate, write_outputs, readme):
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
    [
        ("--update", "none.md"),
        ("--update", "README.md", "--format", "csv"),
        ("--update", "README.md", "--runs"),
        ("--plots", "pictures", "--runs"),
        ("--names", "AT=Attention", "--format", "csv"),
        ("--names", "AT", "--format", "latex"),
        ("--names", "KD=AT", "--format", "latex"),
        ("--without", "counts", "--html", "report.html"),
        ("--unbundle", "a.jsonl", "--outputs", "outputs", "more"),
        ("--bundle", "runs.txt"),
    ],
)
def test_wrong_use_is_an_error_without_a_traceback(aggregate, write_outputs, make_record, readme, arguments):
    write_outputs(make_record("AT"))
    done = aggregate(*arguments)
    assert done.returncode != 0
    assert "aggregate.py: " in done.stderr
    assert "Traceback" not in done.stderr
    assert readme.read_text() == README


def test_formats_and_runs(aggregate, write_outputs):
    write_outputs(make_record("AT", git={"revision": "0f3c", "dirty": True}))
    assert json.loads(aggregate("--format", "json").stdout)[0]["row"] == "AT"
    assert next(csv.DictReader(io.StringIO(aggregate("--format", "csv").stdout)))["n"] == "1"
    (run,) = json.loads(aggregate("--format", "json", "--runs").stdout)
    assert (run["last_accuracy"], run["revision"], run["dirty"], run["config.epochs"]) == (0.9, "0f3c", True, 30)


def test_a_filter_chooses_rows_after_they_were_compared(aggregate, write_outputs):
    write_outputs(*make_seeds("Student", 0.9, 0.91), *make_seeds("AT", 0.95, 0.96), make_record("AB"))
    done = aggregate("--methods", "at", "--fractions", "1.0", "--seeds", "0,1")
    assert "95.50 ± 0.71 (2)*" in done.stdout
    assert "| Student" not in done.stdout
    assert "| AB" not in done.stdout


def test_a_filter_that_matches_nothing_says_what_there_is(aggregate, write_outputs):
    write_outputs(make_record("AT"))
    done = aggregate("--dataset", "cifar")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "aggregate.py: --dataset cifar: no run has it; there are: digits\n"


def test_gains_over_another_row(aggregate, write_outputs):
    write_outputs(*make_seeds("Soft_logits", 0.9, 0.91), *make_seeds("AT", 0.95, 0.97))
    done = aggregate("--gains", "--reference", "Soft_logits")
    assert "| AT       | +5.50 [+0.69, +10.31] (2) |" in done.stdout


def test_a_reference_that_is_not_there_says_what_is(aggregate, write_outputs):
    write_outputs(make_record("AT"))
    done = aggregate("--reference", "Soft")
    assert done.returncode == 1
    assert done.stderr == "aggregate.py: reference Soft: no row has this label or name; there are: AT\n"


def test_a_file_beside_a_record_that_was_altered_is_named_if_asked_for(aggregate, tmp_path):
    folder = write_run(tmp_path / "outputs", make_record("AT"), network=b"1")
    (folder / "network.keras").write_bytes(b"2")
    assert aggregate().returncode == 0
    done = aggregate("--verify")
    assert (done.returncode, done.stderr[:9]) == (1, "altered: ")


def test_a_bundle_travels(aggregate, write_outputs, tmp_path):
    write_outputs(*make_seeds("Student", 0.9, 0.91), *make_seeds("AT", 0.95, 0.96))
    assert aggregate("--bundle", "all.jsonl").stdout == "all.jsonl: 4 runs\n"
    assert aggregate("--outputs", "all.jsonl").stdout == aggregate().stdout
    assert aggregate("--bundle", "at.jsonl", "--methods", "at").stdout == "at.jsonl: 2 runs\n"
    done = aggregate("--unbundle", "at.jsonl", "--outputs", "restored")
    assert (done.returncode, done.stdout) == (0, "restored: 2 runs restored from at.jsonl\n")
    assert load_runs(tmp_path / "restored")["label"].tolist() == ["AT", "AT"]


def test_a_tampered_line_is_named_and_the_others_are_shown(aggregate, write_outputs, tmp_path):
    write_outputs(make_record("AT"), make_record("AB"))
    aggregate("--bundle", "all.jsonl")
    bundle = tmp_path / "all.jsonl"
    bundle.write_text(bundle.read_text().replace("0.9,", "0.91,", 1))
    for arguments in (("--outputs", "all.jsonl"), ("--unbundle", "all.jsonl", "--outputs", "restored")):
        done = aggregate(*arguments)
        assert done.returncode == 1
        assert "all.jsonl: line 1 is not what was written (its checksum differs)" in done.stderr
    assert "| AT " in aggregate("--outputs", "all.jsonl").stdout


def test_a_block_is_made_of_the_bundle_of_its_name_alone(aggregate, write_outputs, tmp_path, readme):
    write_outputs(make_record("AT", 0.9), name="a")
    write_outputs(make_record("AB", 0.8), name="b")
    readme.write_text("".join(f"<!-- results:start {name} -->\n<!-- results:end {name} -->\n" for name in "ab"))
    for name in "ab":
        aggregate("--outputs", name, "--bundle", f"{name}.jsonl")
    assert aggregate("--outputs", "a.jsonl", "b.jsonl", "--update", "README.md").returncode == 0
    first, second = readme.read_text().split("<!-- results:start b -->")
    assert ("90.00 (1)" in first, "80.00 (1)" in first) == (True, False)
    assert ("90.00 (1)" in second, "80.00 (1)" in second) == (False, True)
    once = readme.read_bytes()
    aggregate("--outputs", "a.jsonl", "b.jsonl", "--update", "README.md")
    assert readme.read_bytes() == once


def test_a_block_shows_its_pictures(aggregate, tmp_path, readme):
    for record in [*make_seeds("Student", 0.8, 0.9), *make_seeds("AT", 0.95, 0.97)]:
        write_run(tmp_path / "outputs", record, curve=[0.5, 0.9])
    readme.write_text("<!-- results:start digits -->\n<!-- results:end digits -->\n")
    aggregate("--bundle", "digits.jsonl")
    update = ("--outputs", "digits.jsonl", "--update", "README.md", "--plots", "docs/results")
    assert aggregate(*update).returncode == 0
    written = {path: path.read_bytes() for path in [readme, *sorted((tmp_path / "docs" / "results").iterdir())]}
    assert [path.name for path in written] == ["README.md", "digits-curves.svg", "digits-gains.svg"]
    assert "](docs/results/digits-gains.svg)" in readme.read_text()
    aggregate(*update)
    assert {path: path.read_bytes() for path in written} == written


def test_a_users_runs_never_get_into_a_named_block(aggregate, write_outputs, readme):
    write_outputs(make_record("AT"))
    readme.write_text("<!-- results:start digits -->\nours\n<!-- results:end digits -->\n")
    done = aggregate("--update", "README.md")
    assert done.returncode == 1
    assert done.stderr == "aggregate.py: README.md: its block digits needs exactly one digits.jsonl in --outputs\n"
    assert "ours" in readme.read_text()


def test_a_reader_who_has_seen_enough_is_no_error(write_outputs, tmp_path):
    write_outputs(*make_seeds("AT", *[0.9] * 300))
    line = f"{sys.executable} {SCRIPT} --runs | head -1"
    done = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("| source")
    assert done.stderr == ""


def test_two_machines_halves_make_the_table_of_the_whole(aggregate, write_outputs):
    teacher = make_record("Teacher", 0.98)
    students = [*make_seeds("Student", 0.9, 0.91, 0.92), *make_seeds("AT", 0.95, 0.96, 0.94)]
    write_outputs(teacher, *students, name="whole")
    write_outputs(teacher, *students[::2], name="A")
    half = write_outputs(teacher, *students[1::2], students[0], name="B")  # both did the teacher and one student
    interrupted = write_run(half, students[2]) / "result.json"  # done by A, begun by B
    interrupted.unlink()
    whole = aggregate("--outputs", "whole")
    assert "95.00 ± 1.00 (3)*" in whole.stdout
    for order in (("A", "B"), ("B", "A")):
        merged = aggregate("--outputs", *order)
        assert (merged.returncode, merged.stdout, merged.stderr) == (0, whole.stdout, "")
    status = read_status([half.parent / "A", half])
    assert (status.done, status.rows, status.problems) == (7, [], [])
