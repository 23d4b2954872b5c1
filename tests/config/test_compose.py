"""What a command line may say, and how it is refused: in one message, early, with nothing left on disk."""

import gzip
import itertools
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from helpers.published import DIGITS_TEACHER

from kd_bench.config import compose
from kd_bench.errors import ConfigError

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf"

REFUSED = {
    "method=fitnett": "Choose one of: ab, at, ",
    "model=resnet": "Choose one of: keras_applications, resnet110_resnet20, ",
    "dataset=cifar": "Choose one of: arrays, cifar10, cifar100, digits, fashion_mnist, folder, imagenet, ",
    "hardware=tpu": "Choose one of: auto, cpu, cpu_replicas, gpu, multi_gpu",
    "optimizer=sdg": "Choose one of: adam, sgd",
    "teacher=mine": "Choose one of: file, trained",
    "experiment=mnist": "Choose one of: cifar100, cifar100_small, digits, fashion_mnist, imagenet, own, photos, ",
    "dataset_fraction=third": "Choose one of: full, half, quarter, tenth",
    "fraction=0": "above 0 and at most 1",
    "fraction=1.5": "above 0 and at most 1",
    "fraction=-0.5": "above 0 and at most 1",
    "validation=1": "a number at least 0 and below 1",
    "validation=-0.1": "at least 0 and below 1",
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
    "optimzer.learning_rate=0.1": "there is no such key. Did you mean optimizer?",
    "model.studnt.depth=10": "there is no such key. Did you mean student?",
    "method=kd": "there is no such method. Here it is soft_logits. Choose one of: ab, at",
    "method=FitNett": "there is no such method. Did you mean fitnet?",
    "model=tinny": "there is no such model. Did you mean tiny?",
    "hardware.replicas=0": "at least 1 or null",
    "hardware=multi_worker": "start several runs at once instead: docs/cluster.md",
    "hardware=nosuch": "there is no such hardware. Choose one of: auto, cpu, ",
    "model.student.depth=deep": "a whole number",
    "dataset.padding=-1": "a whole number at least 0",
    "dataset=tfds": "dataset.name",
    "method._target_=a.B": "import path",
    "typo=1": "there is no such key",
    "+typo=1": "there is no such key",
    "+method.typo=1": "there is no such key",
    "++epoch=3": "Did you mean epochs?",
    "epochs": "key=value",
    "dataset.train_split=train[:90%]": "in extra quotes",
    "seed=0,1": "add -m",
    "seed=1,2,": "cannot be read",
    "dataset.data_dir=~/x": "extra quotes",
    "outputs=~/x": "extra quotes",
    "outputs='~no_such_user/x'": "there is no such home",
    "outputs=": "the folder of all runs",
    "=3": "the key is missing",
    "+experiment=digits": "Write experiment=digits.",
    "~experiment": "choose another one with experiment=",
    "~optimizer.nesterov": "is missing",
    "method=null": "must be the name of a method",
    "method=[at,fsp]": "write -m method=at,fsp",
    "model.name=../../evil": "it must not be a complete path",
    "dataset.name=..": "it must not be a complete path",
    "dataset.name='~/png'": "it must not be a complete path",
    "method.label=Teacher": "the label of another method",
    "method.label=Student": "the label of another method",
    "optimizer.decay_at=[0.9,0.1]": "a list of rising values",
    "epochs=99999999999999999999": "at most 1000000",
    "batch_size=10000000": "at most 1000000",
    "method._target_=os.system": "no Python source",
    "hydra/launcher=nosuch": "Choose one of: basic, joblib",
    "hydra.mode=twice": "RUN, MULTIRUN",
    "dataset.test_split=train": "holds training images",
    "teacher=7": "must be the name of a teacher",
    "model.student.depth=${nosuch}": "'nosuch' not found",
}


@pytest.mark.parametrize("argument", REFUSED)
def test_refused(argument):
    with pytest.raises(ConfigError) as refusal:
        compose.jobs([argument])
    message = str(refusal.value)
    assert REFUSED[argument] in message
    assert argument.lstrip("+~").partition("=")[0] in message
    assert len(message) < 400
    assert "\n" not in message


def test_refused_of_two_arguments():
    for arguments, part in [
        (["-m", "hydra/sweeper=search", "hydra.sweeper.n_jobs=0"], "hydra.sweeper.n_jobs=0: must be a whole number"),
        (["-m", "typo=1,2"], "typo: there is no such key"),
        (["-m", "method=at,fitnett"], "method=fitnett: there is no such method. Did you mean fitnet?"),
        (["-m", "method=at,null"], "method=null: must be the name of a method"),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=abc"], "'abc' of type 'str' could not be converted"),
        (["-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=1,2"], "keys of Hydra cannot be swept"),
        (["method@teacher.method=student"], "does not train a teacher"),
        (["dataset.train_split='train[:90%]'", "dataset.test_split=train"], "dataset.test_split=train: holds training"),
        (["method=teacher", "validation=0.1"], "validation=0.1: a teacher is trained on all training images"),
        (["--hydra-help", "method=at"], "--hydra-help method=at: give it alone"),
        (["method=at", "--hydra-help", "seed=1"], "--hydra-help method=at seed=1: give it alone"),
        (["method=fitnet", "method.kd_weights=[1]"], "method.kd_weights=[1]: must be a list of 2 values"),
        (["method=dml", "kd_weight=0.9"], "kd_weight=0.9: method=dml has no trained teacher"),
        (["method=student", "kd_weight=0.9"], "kd_weight=0.9: method=student has no trained teacher"),
        (["method=at", "kd_weight=-1"], "kd_weight=-1: must be"),
        (["method=dml", "method._target_=kd_bench.distillers.dml.mutual_learning_loss"], "method.temperature"),
    ]:
        with pytest.raises(ConfigError, match=re.escape(part)):
            compose.jobs(arguments)


def test_composing_imports_no_tensorflow():
    code = "import sys; from kd_bench.config import compose; compose.jobs([]); assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def choices(group):
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


GROUPS = [
    "model",
    "method",
    "teacher",
    "dataset",
    "dataset_fraction",
    "optimizer",
    "hardware",
    "callbacks",
    "experiment",
]


@pytest.mark.parametrize(("group", "choice"), [(group, choice) for group in GROUPS for choice in choices(group)])
def test_every_file_composes(group, choice, tmp_path):
    needed = {
        "tfds": ["dataset.name=mnist"],
        "folder": [f"dataset.root={_photos(tmp_path)}"],
        "arrays": [f"dataset.path={_arrays(tmp_path)}"],
        "imagenet": [f"dataset.root={_photos(tmp_path, 'train', 'val')}"],
        "photos": [f"dataset.root={_photos(tmp_path)}"],
        "file": [f"teacher.path={DIGITS_TEACHER}"],
    }.get(choice, [])
    (run,) = compose.jobs([f"{group}={choice}", *needed])
    if group in ("model", "method", "dataset") and not needed:
        assert getattr(run, group).name == choice


def _photos(folder, *parts):
    for part, name in itertools.product(parts or [""], ("cats", "dogs")):
        (folder / "photos" / part / name).mkdir(parents=True, exist_ok=True)
        (folder / "photos" / part / name / "0.png").touch()
    return folder / "photos"


def _arrays(folder):
    zipfile.ZipFile(folder / "a.npz", "w").close()
    return folder / "a.npz"


def test_every_group_has_a_test():
    folders = {path.name for path in CONF.iterdir() if path.is_dir()}
    assert folders == {*GROUPS, "hydra", "network", "published", "search"}


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
    assert run.variant == {"method.beta": 500, "optimizer.learning_rate": 0.05, "epochs": 40}
    assert compose.jobs(["optimizer=adam"])[0].variant == {"optimizer": "adam"}
    (tuned,) = compose.jobs(["optimizer=adam", "optimizer.learning_rate=0.01"])
    assert tuned.variant == {"optimizer": "adam", "optimizer.learning_rate": 0.01}
    (default,) = compose.jobs(["optimizer=adam", "optimizer.learning_rate=0.001"])
    assert default.variant == {"optimizer": "adam"}
    assert compose.jobs(["epochs=30", "hardware=cpu", "outputs=x"])[0].variant == {}


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
    assert changed.variant == {"model.teacher.depth": 22}


def test_a_teacher_that_a_student_run_trains_is_labelled_as_if_asked_for_directly():
    (student,) = compose.jobs(
        ["method=at", "teacher.epochs=3", "teacher.seed=1", "epochs=7", "precision=mixed_bfloat16"]
    )
    (teacher,) = compose.jobs(["method=teacher", "epochs=3", "seed=1", "precision=mixed_bfloat16"])
    assert student.teacher_run().directory == teacher.directory
    assert student.teacher_run().variant == teacher.variant == {"epochs": 3, "precision": "mixed_bfloat16"}


def test_a_teacher_is_the_same_run_at_every_fraction():
    runs = compose.jobs(["-m", "method=teacher", "fraction=1.0,0.1"])
    assert len({run.directory for run in runs}) == 1


def test_pairs_with_the_same_teacher_share_its_run():
    runs = [
        compose.jobs([f"model={model}", "dataset=cifar100"])[0] for model in ("resnet_56_resnet_20", "resnet_56_vgg_8")
    ]
    assert runs[0].directory != runs[1].directory
    (directory,) = {run.teacher_run().directory for run in runs}
    assert directory.match("outputs/cifar100/teachers/resnet/seed=0-*")
    assert {run.teacher_run().protocol for run in runs} == {runs[0].teacher_run().protocol}


@pytest.mark.parametrize("argument", ["teacher.seed=1", "teacher.epochs=2", "model.teacher.depth=22"])
def test_a_plain_student_depends_on_nothing_of_the_teacher(argument):
    (student,), (changed,) = compose.jobs(["method=student"]), compose.jobs(["method=student", argument])
    assert changed.directory == student.directory
    assert changed.protocol == student.protocol
    assert changed.variant == {}
    assert student.teacher_run() is None


def test_mutual_learning_depends_on_the_teacher_s_architecture_alone():
    plain, epochs, depth = (
        compose.jobs(["method=dml", *more])[0] for more in ([], ["teacher.epochs=2"], ["model.teacher.depth=22"])
    )
    assert plain.directory == epochs.directory != depth.directory
    assert (epochs.variant, depth.variant) == ({}, {"model.teacher.depth": 22})
    assert plain.teacher_run() is None


def test_what_a_teacher_does_not_use_does_not_label_it():
    arguments = ["method=teacher", "teacher.epochs=2", "budget=epochs", "subset_seed=3", "model.student.depth=16"]
    (teacher,), (plain,) = compose.jobs(arguments), compose.jobs(["method=teacher"])
    assert teacher.directory == plain.directory
    assert teacher.variant == {}


def test_replicas_need_not_share_the_batch_of_a_teacher_that_is_not_used():
    arguments = ["hardware=cpu_replicas", "hardware.replicas=3", "batch_size=63"]
    compose.jobs(["method=student", *arguments])
    with pytest.raises(ConfigError, match=r"teacher\.batch_size=64"):
        compose.jobs(["method=at", *arguments])


@pytest.mark.parametrize("name", ["cifar10_corrupted/brightness_1", "mnist:3.0.1"])
def test_a_name_of_tensorflow_datasets_is_a_folder_in_outputs(name):
    (run,) = compose.jobs(["dataset=tfds", f"dataset.name={name}"])
    assert run.directory.is_relative_to(f"outputs/{name}/wrn_16_2_wrn_10_1_any_size")


def test_a_tilde_is_the_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    (run,) = compose.jobs(["outputs='~/x'"])
    assert run.directory.is_relative_to("/home/me/x/digits")


def test_two_slices_of_a_split_can_be_told_apart_by_the_set_alone():
    (run,) = compose.jobs(["dataset.train_split='train[:90%]'", "dataset.test_split='train[90%:]'"])
    assert run.dataset.parameters["test_split"] == "train[90%:]"


def test_a_constant_rate_is_an_empty_list():
    (run,) = compose.jobs(["optimizer.decay_at=[]"])
    assert run.optimizer.parameters["decay_at"] == []


@pytest.mark.parametrize("method", ["soft_logits", "student", "teacher"])
def test_a_run_on_the_test_set_is_the_run_that_it_was_before_there_was_validation(method):
    (run,), (explicit,) = compose.jobs([f"method={method}"]), compose.jobs([f"method={method}", "validation=0.0"])
    assert run == explicit
    assert "validation" not in run.facts()
    assert "validation" not in str(run.directory)


def test_a_run_under_validation_is_another_run_apart_from_the_others_with_the_same_teacher():
    (run,), (plain,) = compose.jobs(["method=at", "validation=0.1", "fraction=0.5"]), compose.jobs(["method=at"])
    assert run.directory.match("outputs/digits/validation=0.1/tiny/at/fraction=0.5/seed=0-*")
    assert run.protocol != plain.protocol
    assert run.variant == {"validation": 0.1}
    assert run.teacher_run().digest == plain.teacher_run().digest


def test_soft_logits_beside_a_method_are_a_run_of_their_own_with_the_same_teacher():
    (run,), (plain,) = compose.jobs(["method=at", "kd_weight=0.9"]), compose.jobs(["method=at", "kd_temperature=2"])
    assert (run.method.label, run.method.name, run.variant) == ("AT + KD", "at", {"kd_weight": 0.9})
    assert run.protocol != plain.protocol
    assert run.teacher_run().digest == plain.teacher_run().digest
    assert plain.variant == {}
    assert not {"kd_weight", "kd_temperature"} & plain.facts().keys()


def test_soft_logits_that_are_not_standardized_are_the_run_that_they_were_before_there_was_the_option():
    (plain,) = compose.jobs(["method=soft_logits", "experiment=cifar100_small", "budget=epochs"])
    with gzip.open(ROOT / "docs/data/cifar100_small.jsonl.gz", "rt") as bundle:
        published = {json.loads(line)["folder"] for line in bundle}
    assert str(plain.directory.relative_to("outputs")) in published


@pytest.mark.parametrize("method", ["soft_logits", "dkd", "ctkd"])
def test_standardized_logits_are_a_run_of_their_own(method):
    plain, standardized = compose.jobs(["-m", f"method={method}", "method.standardize=false,true"])
    assert plain.variant == {}
    assert standardized.digest != plain.digest
    assert standardized.variant == {"method.standardize": True}


def test_a_model_that_is_not_its_presets_is_in_the_titles_of_the_run_and_of_its_teacher():
    (run,), (teacher,) = (
        compose.jobs([f"method={method}", "model=tiny_mixed", "seed=1"]) for method in ("at", "teacher")
    )
    assert run.title == "digits at fraction=1 seed=1 model=tiny_mixed"
    assert run.teacher_run().title == "digits teacher fraction=1 seed=0 model=tiny_mixed"
    assert run.teacher_run().variant == teacher.variant == {"model": "tiny_mixed"}
    for usual in (["model=tiny"], ["experiment=cifar100_small"], ["experiment=own", "dataset=cifar10"]):
        assert not compose.jobs(usual)[0].variant
