"""The command as a user starts it: refused early, in one line, with nothing left on disk."""

import os
import subprocess
import sys

import numpy as np
import pytest
from helpers.command import ROOT, SHORT, run

from kd_bench.config.composer import NO_CHOICES


def command(*arguments, cwd, env=None):
    return subprocess.run(
        [sys.executable, ROOT / "run.py", *arguments], cwd=cwd, capture_output=True, text=True, env=env, timeout=400
    )


@pytest.mark.parametrize("argument", ["method.temprature=3", "+typo=1", "fraction=1.5", "method=fitnett", "seed=1,2,"])
def test_a_wrong_command_ends_in_one_line_and_leaves_nothing(argument, tmp_path):
    done = command(argument, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [["fraction=7"], ["-m", "fraction=1.0,7"], ["method=fitnett"]])
def test_a_refusal_imports_no_tensorflow(arguments, tmp_path):
    code = (
        "import sys; from kd_bench.launch import run\n"
        "try: run.main()\n"
        "except SystemExit as end: assert end.code == 2\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE)
    assert done.returncode == 0 and done.stderr.count(b"\n") == 1, done.stderr


def test_a_teacher_is_one_run_at_all_fractions(tmp_path):
    sweep = ["-m", "--dry-run", "method=teacher,student", "fraction=1.0,0.5,0.1", "seed=0,1"]
    assert command(*sweep, cwd=tmp_path).stdout.startswith("8 runs: 0 done before, 8 to do.\n")


@pytest.mark.parametrize(
    ("argument", "near"),
    [("method.temprature=3", "Did you mean temperature?"), ("-c job typo=1", "typo: there is no such key")],
)
def test_an_error_of_hydra_s_is_one_line_of_ours(argument, near, tmp_path):
    done = command(*argument.split(), cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert near in done.stderr


def test_a_sweep_with_one_wrong_value_starts_nothing(tmp_path):
    done = command("-m", "method=student", f"outputs={tmp_path}/outputs", "fraction=1.0,7", cwd=tmp_path)
    assert done.returncode == 2
    assert "fraction=7" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--cfg", "job"], "\nfraction: 7\n"),
        (["--info", "defaults"], "experiment/digits"),
        (["--cfg", "all"], "template: ${help_template:}"),
    ],
)
def test_a_command_that_only_shows_checks_nothing(arguments, part, tmp_path):
    done = command(*arguments, "fraction=7", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert part in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_config_of_the_user_s_finds_the_groups_of_this_package(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/config.yaml").write_text("defaults: [_self_, method: at]\nseed: 3\n")
    done = command("--config-path", "mine", "--cfg", "job", "method=sp", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "seed: 3" in done.stdout and "kd_bench.distillers.sp." in done.stdout


def test_hydra_s_own_help(tmp_path):
    assert "== Configuration groups ==" in command("--hydra-help", cwd=tmp_path).stdout


def test_the_shell_completes_choices(tmp_path):
    line = f"python {ROOT / 'run.py'} method=fi"
    done = command(
        "-sc", "query=bash", cwd=tmp_path, env=os.environ | {"COMP_LINE": line, "COMP_POINT": str(len(line))}
    )
    assert done.stdout.split() == ["method=fitnet"]
    assert "complete" in command("-sc", "install=bash", cwd=tmp_path).stdout


def test_help_lists_every_choice_with_a_line(tmp_path):
    (tmp_path / "method").mkdir()
    (tmp_path / "method/mine.yaml").write_text("# A method of mine.\n")
    text = command("-m", "seed=0,1", "typo=1", "--help", f"--config-dir={tmp_path}", cwd=tmp_path).stdout
    groups = [path for path in (ROOT / "conf").iterdir() if path.is_dir() and path.name not in NO_CHOICES]
    for group in groups:
        (section,) = [part for part in text.split("\n\n") if part.startswith(f"{group.name}:")]
        listed = dict(line.split(maxsplit=1) for line in section.splitlines()[1:])
        own = {"mine"} if group.name == "method" else set()
        assert listed.keys() == {path.stem for path in group.glob("*.yaml")} | own
    assert "A method of mine." in text
    assert "hydra/launcher: basic, joblib" in text
    assert "budget=steps|epochs" in text


def test_paths_are_relative_to_the_command_s_folder_even_if_the_job_changes_its_own(tmp_path):
    generator = np.random.default_rng(0)
    images, labels = generator.integers(0, 256, (90, 8, 8, 1), np.uint8), np.arange(90) % 3
    np.savez(tmp_path / "mine.npz", x=images, y=labels)
    data = ["dataset=arrays", "dataset.path=mine.npz", "outputs=results"]
    done = command("method=student", *SHORT, *data, "hydra.job.chdir=true", "hydra.run.dir=elsewhere", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.rglob("result.json"))) == len(list(tmp_path.glob("results/mine/*/*/*/*/result.json"))) == 1
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "mine.npz", "results"]


def test_hydra_s_own_files_stay_in_outputs(tmp_path):
    done = command("method=student", *SHORT, "fraction=0.1", "hydra/job_logging=default", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["outputs"]


@pytest.mark.parametrize("sweeper", ["basic", "optuna"])
def test_a_sweeper_that_does_not_suit_ends_in_one_line_and_leaves_nothing(sweeper, tmp_path):
    done = command("-m", f"hydra/sweeper={sweeper}", "seed=0,1", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"error: hydra/sweeper={sweeper}: ")
    assert not list(tmp_path.iterdir())


def test_the_runs_of_an_unlisted_sweep_are_checked(tmp_path):
    (tmp_path / "hydra/sweeper").mkdir(parents=True)
    sweeper = "_target_: hydra._internal.core_plugins.basic_sweeper.BasicSweeper\nmax_batch_size: null\nparams: {}\n"
    (tmp_path / "hydra/sweeper/searching.yaml").write_text(sweeper)
    arguments = ["-m", f"--config-dir={tmp_path}", "hydra/sweeper=searching", "method=student", "fraction=7"]
    done = command(*arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr == "error: fraction=7: must be a number above 0 and at most 1.\n"


def test_started_again_a_sweep_in_a_preset_does_what_is_missing(tmp_path):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment/study.yaml").write_text(
        "# @package _global_\ndefaults: [digits]\nexperiment: study\nepochs: 1\n"
        "hydra: {mode: MULTIRUN, sweeper: {params: {method: student, seed: '0,1'}}}\n"
    )
    arguments = [f"--config-dir={tmp_path}", "experiment=study"]
    assert run(*arguments, outputs=tmp_path / "out").returncode == 0
    records = sorted((tmp_path / "out").rglob("result.json"))
    assert len(records) == 2
    records[0].unlink()
    done = run(*arguments, outputs=tmp_path / "out")
    assert "2 runs: 1 done before, 1 to do" in done.stdout
    assert sorted((tmp_path / "out").rglob("result.json")) == records


def test_from_another_folder_tensorflow_is_imported_once_for_a_sweep(tmp_path):
    done = command("-m", "method=student", *SHORT, "seed=0,1", "fraction=0.1", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""  # what TensorFlow says as it is imported is held back once, by the server


def test_another_program_that_uses_hydra_does_not_notice_this_package(tmp_path):
    (tmp_path / "config.yaml").write_text("learning_rate: 0.1\n")
    (tmp_path / "app.py").write_text(
        "import hydra, sys\nfrom omegaconf import OmegaConf\n"
        "@hydra.main(version_base='1.3', config_path='.', config_name='config')\n"
        "def main(config):\n"
        "    assert not OmegaConf.has_resolver('home')\n"
        "    assert 'hydra_plugins.kd_bench_grid' in sys.modules\n"
        "    print(hydra.core.hydra_config.HydraConfig.get().runtime.config_sources)\n"
        "main()\n"
    )
    arguments = [sys.executable, "app.py", "hydra.output_subdir=null", "hydra.run.dir=."]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path) in done.stdout and "kd_bench" not in done.stdout and str(ROOT / "conf") not in done.stdout


def test_an_error_in_a_check_ends_the_command_before_it_makes_a_folder(tmp_path):
    code = "from kd_bench.launch import opening, run; opening.open_runs = lambda *_: 1 / 0; run.main()"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert not list(tmp_path.iterdir())
