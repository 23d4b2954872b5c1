"""Runs with training options: they resume bit for bit, leave the teacher alone, and name their rows."""

import json
import shutil
import signal

import keras
import numpy as np
import pytest
from helpers.command import aggregate, records
from helpers.compare import assert_same_run, attempts
from helpers.kills import InWrite, attempt

from kd_bench.config.compose import jobs
from kd_bench.errors import ConfigError

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras's, in `save`
STUDENT = [
    "label_smoothing=0.1",
    "augmentation.rand_augment=1",
    "optimizer.schedule=cosine",
    "optimizer.warmup=0.1",
    "optimizer.global_clipnorm=1",
    "optimizer.ema_momentum=0.9",
]
SHORT = ["fraction=0.2", "epochs=4", "batch_size=32", "budget=epochs", "teacher.epochs=1"]
RUN = ["method=fitnet", "hardware=cpu", "deterministic=true", *SHORT, *STUDENT, "augmentation.mixup=0.2"]
STEPS = 259 // 32
NEEDS_LABELS = "method._target_=helpers.needs_labels.NeedsLabels"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """A run of two stages with every option on (MixUp for CutMix), and its teacher without any."""
    folder = tmp_path_factory.mktemp("options")
    assert attempt([*RUN, f"outputs={folder}"]) == 0
    return folder


def folder_of(outputs):
    (folder,) = outputs.glob("digits/tiny/fitnet/*/*/")
    return folder


def test_a_killed_run_ends_as_if_nothing_had_happened(outputs, tmp_path):
    shutil.copytree(outputs / "digits" / "teachers", tmp_path / "digits" / "teachers")
    arguments = [*RUN, f"outputs={tmp_path}"]
    assert attempt([*arguments, "checkpoint_every=5"], InWrite(7, "half")) == -signal.SIGKILL
    assert attempt([*arguments, "checkpoint_every=5"]) == 0
    ((_, step),) = attempts(folder_of(tmp_path))[1:]
    assert step % STEPS, "within an epoch"
    assert_same_run(folder_of(outputs), folder_of(tmp_path))


def test_the_saved_network_is_the_average_that_was_evaluated(outputs):
    folder = folder_of(outputs)
    record = json.loads((folder / "result.json").read_text())
    (config,) = jobs(["method=student"])
    test = config.dataset.build(config.dataset.name).test
    predictions = keras.saving.load_model(folder / "network.keras").predict(test.pixels, verbose=0).argmax(axis=1)
    assert np.mean(predictions == test.labels) == record["scores"]["last_accuracy"]
    np.testing.assert_array_equal(predictions, np.load(folder / "predictions.npy"))


def test_the_row_is_named_and_the_teacher_is_trained_as_before(outputs):
    config = {method: record["config"] for (method, _, _), record in records(outputs).items()}
    assert not {"label_smoothing", "augmentation"} & set(config["teacher"])
    assert config["fitnet"]["augmentation"] == {"mixup": 0.2, "rand_augment": 1, "magnitude": 0.5}
    table = aggregate(outputs=outputs).stdout
    for shown in ("augmentation.mixup=0.2", "label_smoothing=0.1", "optimizer.ema_momentum=0.9"):
        assert table.count(shown) == 1, table


def test_off_is_as_if_there_were_no_options():
    (plain,), (off,) = jobs(["method=at"]), jobs(["method=at", "label_smoothing=0", "optimizer.schedule=stepped"])
    assert plain.digest == off.digest and not off.variant
    assert not {"label_smoothing", "augmentation"} & (set(plain.facts()) | set(plain.facts()["teacher"]))
    assert not {"schedule", "warmup", "global_clipnorm", "ema_momentum"} & set(plain.facts()["optimizer"])


@pytest.mark.parametrize("option", [*STUDENT, "augmentation.mixup=0.2", "augmentation.cutmix=1"])
def test_an_option_makes_another_run_of_student_or_teacher(option):
    (plain,), (own,), (taught,) = (jobs(["method=at", *more]) for more in ([], [option], [f"teacher.{option}"]))
    (teacher,) = jobs(["method=teacher", option])
    key = option.partition("=")[0]
    assert own.digest != plain.digest and list(own.variant) == [key]
    assert own.teacher_run().digest == plain.teacher_run().digest
    assert taught.digest != plain.digest and list(taught.variant) == [f"teacher.{key}"]
    assert taught.teacher_run().digest == teacher.digest != plain.teacher_run().digest


@pytest.mark.parametrize(
    ("without_effect", "on"),
    [
        ("augmentation.magnitude=0.9", "augmentation.mixup=1"),
        ("optimizer.decay_at=[0.5]", "optimizer.schedule=cosine"),
    ],
)
def test_a_key_without_effect_changes_nothing(without_effect, on):
    (one,), (other,) = jobs(["method=at", on]), jobs(["method=at", on, without_effect])
    assert (one.digest, one.variant) == (other.digest, other.variant)


@pytest.mark.parametrize(("schedule", "changed"), [("cosine", "decay_factor=0.5"), ("cosine", "schedule=stepped")])
def test_the_same_keys_of_an_own_optimizer_are_never_left_out(tmp_path, schedule, changed):
    (tmp_path / "optimizer").mkdir()
    target = "_target_: helpers.own_optimizer.cosine_to_a_share"
    values = f"learning_rate: 0.1\nschedule: {schedule}\ndecay_factor: 0.1\n"
    (tmp_path / "optimizer" / "own.yaml").write_text(f"{target}\n{values}")
    arguments = ["method=student", "optimizer=own", "--config-dir", str(tmp_path)]
    (one,), (other,) = jobs(arguments), jobs([*arguments, f"optimizer.{changed}"])
    assert one.digest != other.digest
    assert {"schedule", "decay_factor"} < set(one.facts()["optimizer"])
    assert {"schedule", "decay_factor"} < set(other.facts()["optimizer"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["augmentation.mixup=0.2", "augmentation.cutmix=1"], "augmentation.cutmix=1: augmentation.mixup=0.2 already"),
        (["augmentation.cutmix=2"], "augmentation.cutmix=2: must be a number at least 0 and at most 1"),
        (["label_smoothing=1"], "label_smoothing=1: must be a number at least 0 and below 1"),
        (["optimizer.global_clipnorm=0"], "optimizer.global_clipnorm=0: must be a number above 0 or null"),
        (["optimizer.schedule=exponential"], "optimizer.schedule=exponential: must be one of stepped, cosine"),
        ([NEEDS_LABELS, "augmentation.mixup=0.2"], "augmentation.mixup=0.2: method=student needs the one label of"),
    ],
)
def test_what_cannot_be_is_refused_in_a_line(arguments, message):
    with pytest.raises(ConfigError) as refused:
        jobs(["method=student", *arguments])
    assert str(refused.value).startswith(message) and "\n" not in str(refused.value)
