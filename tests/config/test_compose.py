"""What a command line may say, and how it is refused: in one message, early, with nothing left on disk."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from kd_bench.config import compose
from kd_bench.errors import ConfigError

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"

REFUSED = {
    "method=fitnett": "Choose one of: ab, at, ",
    "model=resnet": "Choose one of: resnet_32x4_resnet_8x4, ",
    "dataset=cifar": "Choose one of: cifar10, cifar100, digits, fashion_mnist, tfds",
    "hardware=tpu": "Choose one of: auto, cpu, cpu_replicas, gpu, multi_gpu",
    "optimizer=sdg": "Choose one of: adam, sgd",
    "experiment=imagenet": "Choose one of: cifar100, cifar100_small, digits, fashion_mnist",
    "dataset_fraction=third": "Choose one of: full, half, quarter, tenth",
    "fraction=0": "above 0 and at most 1",
    "fraction=1.5": "above 0 and at most 1",
    "fraction=-0.5": "above 0 and at most 1",
    "fraction=nan": "above 0 and at most 1",
    "fraction=half": "above 0 and at most 1",
    "seed=-1": "a whole number at least 0",
    "seed=first": "a whole number at least 0",
    "seed=1.5": "a whole number at least 0",
    "seed=true": "a whole number at least 0",
    "subset_seed=-1": "a whole number at least 0",
    "batch_size=0": "a whole number at least 1",
    "epochs=0": "a whole number at least 1",
    "epochs=": "a whole number at least 1",
    "evaluate_every=0": "a whole number at least 1",
    "budget=minutes": "one of steps, epochs",
    "precision=half": "one of auto, float32, mixed_bfloat16, mixed_float16",
    "jit_compile=1": "one of auto, True, False",
    "deterministic=maybe": "true or false",
    "method.temprature=3": "Did you mean temperature?",
    "method.temperature=0": "above 0",
    "method.temperature=-4": "above 0",
    "method.temperature=hot": "a number above 0",
    "method.distill_weight=-1": "at least 0",
    "optimizer.learning_rate=0": "above 0",
    "optimizer.momentum=2": "at most 1",
    "optimizer.decay_at=0.5": "must be a list",
    "optimizer.lr=0.1": "there is no such key",
    "hardware.replicas=0": "at least 1 or null",
    "model.student.depth=deep": "a whole number",
    "dataset.padding=-1": "a whole number at least 0",
    "dataset=tfds": "dataset.name",
    "method._target_=a.B": "import path",
    "typo=1": "there is no such key",
    "+typo=1": "there is no such key",
    "+method.typo=1": "there is no such key",
    "++epoch=3": "Did you mean epochs?",
    "epochs": "key=value",
    "dataset.train_split=train[:90%]": "in quotes of its own",
    "seed=0,1": "add -m",
}


@pytest.mark.parametrize("argument", REFUSED)
def test_refused(argument):
    with pytest.raises(ConfigError) as refusal:
        compose.jobs([argument])
    message = str(refusal.value)
    assert REFUSED[argument] in message
    assert argument.lstrip("+").partition("=")[0] in message
    assert len(message) < 400


@pytest.mark.parametrize("argument", ["method.temprature=3", "+typo=1", "fraction=1.5", "method=fitnett"])
def test_refused_early_and_leaves_nothing(argument, tmp_path):
    started = time.perf_counter()
    done = subprocess.run([sys.executable, ROOT / "run.py", argument], cwd=tmp_path, capture_output=True, text=True)
    assert time.perf_counter() - started < 2
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_sweep_with_one_wrong_value_starts_nothing(tmp_path):
    command = [sys.executable, ROOT / "run.py", "-m", "method=student", f"outputs={tmp_path}/outputs", "fraction=1.0,7"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "fraction=7" in done.stderr
    assert not list(tmp_path.iterdir())


def test_composing_imports_no_tensorflow():
    code = "import sys; from kd_bench.config import compose; compose.jobs([]); assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def choices(group):
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


GROUPS = ["model", "method", "dataset", "dataset_fraction", "optimizer", "hardware", "experiment"]


@pytest.mark.parametrize(("group", "choice"), [(group, choice) for group in GROUPS for choice in choices(group)])
def test_every_file_composes(group, choice):
    needed = ["dataset.name=mnist"] if choice == "tfds" else []
    (run,) = compose.jobs([f"{group}={choice}", *needed])
    if group in ("model", "method", "dataset") and not needed:
        assert getattr(run, group).name == choice


def test_every_group_has_a_test():
    assert sorted(path.name for path in CONF.iterdir() if path.is_dir()) == sorted([*GROUPS, "network"])


@pytest.mark.parametrize("choice", choices("method"))
def test_method_configs_are_short_and_say_where_a_default_is_from(choice):
    lines = (CONF / "method" / f"{choice}.yaml").read_text().splitlines()
    assert len(lines) < 15
    for line in lines[4:]:
        assert "#" in line, line


def test_the_documented_sweep():
    runs = compose.jobs(["-m", "method=fitnet,at,fsp", "fraction=1.0,0.5,0.25,0.1"])
    assert len({run.directory for run in runs}) == 12


def test_a_fraction_by_number_or_by_name_is_the_same_run():
    (by_number,), (by_name,) = compose.jobs(["fraction=0.25"]), compose.jobs(["dataset_fraction=quarter"])
    assert by_number == by_name


def test_the_experiment_yields_to_the_command_line():
    (run,) = compose.jobs(["experiment=cifar100", "model=tiny", "epochs=3"])
    assert (run.dataset.name, run.model.name, run.epochs, run.teacher.epochs) == ("cifar100", "tiny", 3, 100)


def test_the_directory_is_a_function_of_what_changes_the_result():
    (base,) = compose.jobs([])
    same = [
        "hardware=cpu",
        "hardware.threads=1",
        "dataset.data_dir=/elsewhere",
        "jit_compile=false",
        "experiment=digits",
    ]
    assert all(compose.jobs([argument])[0].directory == base.directory for argument in same)
    others = ["seed=1", "subset_seed=1", "epochs=31", "method.temperature=5", "optimizer.learning_rate=0.2"]
    others += [
        "fraction=0.5",
        "precision=mixed_bfloat16",
        "budget=epochs",
        "teacher.epochs=7",
        "model.teacher.depth=22",
    ]
    directories = {compose.jobs([argument])[0].directory for argument in others}
    assert len(directories | {base.directory}) == len(others) + 1


def test_overrides_name_what_differs_from_the_preset():
    arguments = ["method=at", "method.beta=500", "optimizer.learning_rate=0.05", "epochs=40", "seed=3", "fraction=0.1"]
    (run,) = compose.jobs(arguments)
    assert run.overrides == {"method.beta": 500, "optimizer.learning_rate": 0.05, "epochs": 40}
    assert compose.jobs(["optimizer=adam"])[0].overrides == {"optimizer": "adam"}
    assert compose.jobs(["epochs=30", "hardware=cpu", "outputs=x"])[0].overrides == {}


def test_only_runs_alike_share_a_protocol():
    protocols = [compose.jobs([argument])[0].protocol for argument in ("seed=1", "fraction=0.5", "epochs=3")]
    assert protocols[0] == protocols[1] != protocols[2]


def test_a_student_run_asks_for_the_run_that_trains_its_teacher():
    arguments = ["method=at", "fraction=0.1", "seed=5", "epochs=3", "optimizer.learning_rate=0.3", "evaluate_every=2"]
    (student,), (teacher,) = compose.jobs(arguments), compose.jobs(["method=teacher"])
    assert student.teacher_run().directory == teacher.directory
    assert student.teacher_run().epochs == 30
    changed = compose.jobs(["method=at", "model.teacher.depth=22"])[0].teacher_run()
    assert changed.directory == compose.jobs(["method=teacher", "model.teacher.depth=22"])[0].directory
    assert changed.overrides == {"model.teacher.depth": 22}


def test_a_teacher_that_a_student_run_trains_is_labelled_as_if_asked_for_directly():
    (student,) = compose.jobs(
        ["method=at", "teacher.epochs=3", "teacher.seed=1", "epochs=7", "precision=mixed_bfloat16"]
    )
    (teacher,) = compose.jobs(["method=teacher", "epochs=3", "seed=1", "precision=mixed_bfloat16"])
    assert student.teacher_run().directory == teacher.directory
    assert student.teacher_run().overrides == teacher.overrides == {"epochs": 3, "precision": "mixed_bfloat16"}


def test_a_teacher_is_the_same_run_at_every_fraction():
    runs = compose.jobs(["-m", "method=teacher", "fraction=1.0,0.1"])
    assert len({run.directory for run in runs}) == 1


def test_help_lists_every_choice_with_a_line():
    done = subprocess.run([sys.executable, ROOT / "run.py", "--help"], capture_output=True, text=True)
    assert done.returncode == 0
    for group in GROUPS:
        (section,) = [part for part in done.stdout.split("\n\n") if part.startswith(f"{group}:")]
        listed = dict(line.split(maxsplit=1) for line in section.splitlines()[1:])
        assert listed.keys() == set(choices(group))
