"""What is certain from the start is refused before the first run of a command, each reason once."""

import os
import subprocess
import sys

import numpy as np
import pytest
from helpers.command import ROOT, SHORT, run
from helpers.own_networks import nested

import kd_bench
from kd_bench.config.compose import jobs
from kd_bench.errors import ConfigError
from kd_bench.launch.dry_run import dry_run
from kd_bench.launch.first_builds import require_possible
from kd_bench.launch.refusals import ImpossibleRunsError

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras's, in `save`
POINTS = "points: [first, second]"
NETWORK = "{_target_: helpers.own_networks.%s, %s}"


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """Returns the choice of a teacher in a file of which no layer is a feature point."""
    path = tmp_path_factory.mktemp("teacher") / "plain.keras"
    nested((8, 8, 1), 10).save(path)
    return ["teacher=file", f"teacher.path={path}"]


@pytest.fixture(scope="module")
def search_path(tmp_path_factory):
    """Returns what makes a command find the pairs `plain`, without batch norm, `pointless` and `deadly`."""
    models = tmp_path_factory.mktemp("my") / "conf" / "model"
    models.mkdir(parents=True)
    plain, deadly = NETWORK % ("plain", POINTS), NETWORK % ("deadly", "points: null")
    (models / "plain.yaml").write_text(f"name: plain\nteacher: {plain}\nstudent: {plain}\n")
    pointless = NETWORK % ("plain", "points: null")
    (models / "pointless.yaml").write_text(f"name: pointless\nteacher: {pointless}\nstudent: {pointless}\n")
    (models / "deadly.yaml").write_text(f"name: deadly\nteacher: {plain}\nstudent: {deadly}\n")
    return f"hydra.searchpath=[file://{models.parent}]"


def refusal(*arguments):
    with pytest.raises(ImpossibleRunsError) as refused:
        require_possible(jobs(["-m", *arguments]))
    return str(refused.value).splitlines()


@pytest.mark.parametrize("flag", [[], ["--dry-run"]])
def test_a_sweep_with_runs_that_cannot_be_done_starts_nothing(flag, teacher, tmp_path):
    sweep = ["method=student,fitnet", "seed=0,1", "fraction=1.0,0.5", "epochs=1", *teacher]
    done = run("-m", *flag, *sweep, outputs=tmp_path / "outputs")
    assert done.returncode == 2
    assert "starts" not in done.stdout and "unknown" not in done.stdout
    first, reason, *titles = done.stderr.splitlines()
    assert first == "error: 4 of 8 runs cannot be done, so that none was started; change the command:"
    assert reason.startswith("  4 runs: method=fitnet needs feature points; teacher has none: set ++teacher.points=")
    assert titles[0].startswith("    digits fitnet fraction=1 seed=0 ")
    assert titles[1].startswith("    ... digits fitnet fraction=0.5 seed=1 ")
    assert len(titles) == 2
    assert not list(tmp_path.iterdir())


def test_all_reasons_are_found_at_once_and_only_for_the_runs_that_they_hold_for(tmp_path):
    lines = refusal("method=student", "seed=0,1", "fraction=1.0,0.05,0.002", "batch_size=64,100", f"outputs={tmp_path}")
    assert lines[0].startswith("6 of 12 runs cannot be done")
    reasons = [line.strip() for line in lines[1:] if not line.startswith("    ")]
    assert len(reasons) == 2
    assert reasons[0].startswith("2 runs: batch_size=100: ") and "only 65 training images" in reasons[0]
    assert reasons[1].startswith("4 runs: fraction=0.002 keeps 3 of 1297 images and none of class")
    assert lines[2:4] == [f"    digits student fraction=0.05 seed={seed} batch_size=100" for seed in (0, 1)]


def test_networks_of_a_library_need_larger_images(tmp_path):
    lines = refusal("method=student,fitnet", "model=keras_applications", f"outputs={tmp_path}")
    assert lines[0].startswith("2 of 2 runs cannot be done")
    assert any("Input size must be at least 32x32" in line for line in lines)


def test_a_method_that_reads_batch_norms_needs_a_network_with_them(search_path, tmp_path):
    first, reason, title = refusal(search_path, "method=student,co,at", "model=plain", f"outputs={tmp_path}")
    assert first.startswith("1 of 3 runs cannot be done")
    assert "batch norm" in reason
    assert title == "    digits co fraction=1 seed=0 model=plain"


def test_a_run_whose_teacher_cannot_be_done_is_refused(tmp_path):
    lines = refusal("method=student,at", "teacher.batch_size=2000", f"outputs={tmp_path}")
    assert lines[0].startswith("1 of 2 runs cannot be done")
    assert lines[1].startswith("  1 run: digits teacher fraction=1 seed=0 batch_size=2000: batch_size=2000: ")
    assert lines[2].startswith("    digits at ")


def test_data_that_are_not_there_are_one_reason(tmp_path):
    (tmp_path / "file").touch()
    sweep = ["method=student,fitnet", "seed=0,1", f"dataset.data_dir={tmp_path / 'file'}", f"outputs={tmp_path}/out"]
    first, reason, *_ = refusal(*sweep)
    assert first.startswith("4 of 4 runs cannot be done")
    assert reason.startswith("  4 runs: dataset.name=digits: could not be prepared in ")
    with pytest.raises(ImpossibleRunsError, match="4 of 4 runs"):
        dry_run(jobs(["-m", *sweep]), together=1)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_dry_run_prepares_no_data_and_says_so(tmp_path):
    arguments = ["method=student", "fraction=0.05", f"dataset.data_dir={tmp_path}", f"outputs={tmp_path}"]
    text = dry_run(jobs(arguments), together=1)
    assert text.endswith("digits is not prepared yet; a run may still be refused because of its images.")
    assert not list(tmp_path.iterdir())


def test_the_hardware_of_another_machine_is_no_reason(tmp_path):
    runs = ["-m", "method=student", "fraction=0.05", "hardware=gpu,multi_gpu", f"outputs={tmp_path}"]
    require_possible(jobs(runs))
    require_possible(jobs(["method=student", "model.student.width=30000", f"outputs={tmp_path}"]))


def test_if_the_process_dies_the_command_goes_on(search_path, tmp_path, capfd):
    require_possible(jobs([search_path, "method=student", "model=deadly", f"outputs={tmp_path}"]))
    output = capfd.readouterr()
    assert output.err.startswith("warning: not all runs were checked before the first one; ")
    assert "SIGKILL ended its process" in output.err
    assert output.err.count("\n") == 1
    assert output.out == ""


def test_what_a_data_set_says_is_not_said_twice(tmp_path, capfd):
    images = np.random.default_rng(0).integers(0, 256, (90, 8, 8, 1), np.uint8)
    np.savez(tmp_path / "mine.npz", x=images, y=np.arange(90) % 3)
    data = ["dataset=arrays", f"dataset.path={tmp_path}/mine.npz", f"outputs={tmp_path}"]
    require_possible(jobs(["method=student", "batch_size=16", *data]))
    assert capfd.readouterr() == ("", "")


def test_a_run_from_python_raises_the_refusal_and_trains_no_teacher(teacher, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"^digits fitnet .*: method=fitnet needs feature points; teacher has none"):
        kd_bench.run(["method=fitnet", "epochs=1", *teacher])
    assert not list(tmp_path.iterdir())


def test_a_search_with_an_impossible_end_has_no_trial(tmp_path):
    pytest.importorskip("optuna")
    search = ["hydra/sweeper=search", "validation=0.1", "method=fitnet", "method.hint_point=choice(1,9)"]
    done = run("-m", *search, *SHORT, outputs=tmp_path / "outputs")
    assert done.returncode == 2
    assert "method.hint_point=9: must be below 3" in done.stderr
    assert not list(tmp_path.iterdir())


def test_runs_that_are_refused_at_their_turn_are_listed_apart_from_those_that_failed(search_path, tmp_path):
    sweep = ["method=at", "model=deadly,pointless", "seed=0,1", "epochs=1", "teacher.epochs=1", "hardware=cpu"]
    done = run("-m", search_path, *sweep, outputs=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT / "tests")})
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0].startswith("warning: not all runs were checked before the first one; ")
    place = lines.index("2 of 4 runs were refused; change the command:")
    assert lines[place + 1].startswith("  2 runs: method=at needs feature points; model.teacher has none: ")
    assert lines[place + 2 : place + 4] == [
        f"    digits at fraction=1 seed={seed} model=pointless teacher.epochs=1 epochs=1" for seed in (0, 1)
    ]
    assert lines[place + 4] == "2 of 4 runs are not done; the same command tries again:"
    assert all("/deadly/at/" in line for line in lines[place + 5 :])
    assert len(lines) == place + 7


def test_combinations_import_no_tensorflow():
    code = (
        "import sys; from kd_bench.launch import first_builds\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
