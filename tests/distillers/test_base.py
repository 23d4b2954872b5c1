"""The one training step, on every method: what moves, what stays, and what several replicas do to it."""

from dataclasses import dataclass

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.methods import LABELS, METHODS, build, one_step, small_batch

from kd_bench.complexity import multiply_adds
from kd_bench.config.signature import keyword_only
from kd_bench.distillers.base import Batch, Distiller, Stage, cross_entropy
from kd_bench.distillers.simkd import ReusedClassifier
from kd_bench.distillers.soft_logits import soft_logits_term
from kd_bench.distillers.student import Student
from kd_bench.distillers.teacher import Teacher
from kd_bench.errors import ConfigError
from kd_bench.networks.wide_resnet import wide_resnet


@dataclass(frozen=True)
class Step:
    """One step of a stage as a graph: what it began with, by the variables' ids, and what it logged."""

    distiller: Distiller
    stage: Stage
    before: dict[int, np.ndarray]
    logs: dict[str, float]


def step(distiller, number):
    stage = distiller.stages()[number]
    before = {id(variable): variable.numpy().copy() for variable in distiller.variables}
    return Step(distiller, stage, before, one_step(distiller, stage, graph=True))


@pytest.fixture(scope="module", params=METHODS)
def method(request):
    return request.param


@pytest.fixture(scope="module")
def steps(method):
    """A step of each stage of a method, each by a fresh distiller."""
    first = build(method)
    others = [build(method) for _ in first.stages()[1:]]
    return [step(distiller, number) for number, distiller in enumerate([first, *others])]


@pytest.fixture(scope="module")
def distiller(steps):
    """Of each method, after the step of its last stage; tests do not change it."""
    return steps[-1].distiller


def test_a_step_moves_every_variable_of_its_stage_and_no_other(steps):
    for step in steps:
        mine = {id(variable) for variable in step.stage.variables}
        for variable in step.distiller.variables:
            moved = not np.array_equal(step.before[id(variable)], variable.numpy())
            if id(variable) in mine:
                assert moved, f"{step.stage.name}: {variable.path} has no gradient"
            elif "moving" not in variable.path and variable.trainable:
                assert not moved, f"{step.stage.name}: {variable.path} is not the stage's"


def test_a_trained_teacher_stays_bit_identical(steps):
    for step in steps:
        if step.distiller.teacher_init == "pretrained":
            assert step.distiller.teacher.variables
            for variable in step.distiller.teacher.variables:
                np.testing.assert_array_equal(step.before[id(variable)], variable.numpy())


def test_every_term_is_logged_and_not_zero(steps):
    for step in steps:
        logs, terms = step.logs, step.stage.losses
        assert set(logs) >= {"loss", *terms}
        assert all(np.isfinite(logs[name]) and abs(logs[name]) > 0 for name in ("loss", *terms))
        assert logs["loss"] == pytest.approx(sum(logs[name] for name in terms), rel=1e-5)


def test_the_multiply_adds_of_every_step_can_be_counted(steps):
    for step in steps:
        assert step.distiller.step_multiply_adds > 0
    forward = multiply_adds(steps[-1].distiller.student)
    assert steps[-1].distiller.step_multiply_adds > 2.9 * 8 * forward  # of 8 images: forward, and nearly twice backward


def test_the_last_stage_is_the_main_one_and_trains_all_that_is_deployed(distiller):
    main = distiller.stages()[-1]
    assert main.is_main
    assert {id(v) for v in distiller.deployed.trainable_variables} <= {id(v) for v in main.variables}


def test_what_is_deployed_is_the_architecture_and_nothing_else(distiller):
    """SimKD alone deploys another network, which test_simkd.py counts."""
    width = 2 if isinstance(distiller, Teacher) else 1
    network = wide_resnet((8, 8, 1), 10, depth=10, width=width, stem_channels=8, stem_stride=1)
    assert distiller.student.count_params() == network.count_params()
    assert [layer.__class__ for layer in distiller.student.layers] == [layer.__class__ for layer in network.layers]
    assert (distiller.deployed is distiller.student) == (not isinstance(distiller, ReusedClassifier))


def test_the_main_stage_trains_what_is_deployed_and_then_the_own_parts_in_their_order():
    student = build("student").student
    layer, variable = keras.layers.Dense(2), keras.Variable([1.0], name="own")
    layer.build((None, 3))

    class Own(Student):
        def __init__(self, student):
            super().__init__(student, None)
            self.trained = [variable, layer]
            self.no_weight_decay = [variable]

    stage = Own(student).stages()[-1]
    expected = [*student.trainable_variables, variable, *layer.weights]
    assert [id(one) for one in stage.variables] == [id(one) for one in expected]
    assert list(stage.no_weight_decay) == [variable]


SWITCHES = {"simkd": ["method.distance=position"], "crd": [f"method.negatives={len(LABELS) + 1}"]}
"""By these, too, a method departs from its authors' values; and by the options whose names end in `_scaling`."""
ALWAYS = {"kd_svd": {"connector", "signs"}, "kd_eid": {"connector", "signs"}, "mhgd": {"connector"}}
"""What departs from them at the defaults, for networks of different widths."""


def test_effective_holds_the_used_values_that_are_not_the_authors_by_the_names_of_hyperparameters(method, distiller):
    options = options_of(distiller)
    switches = [f"method.{name}=true" for name in options if name.endswith("_scaling")] + SWITCHES.get(method, [])
    distiller = build(method, switches) if switches else distiller
    assert set(distiller.effective) <= set(options)
    assert dict(distiller.effective) == {name: getattr(distiller, name) for name in distiller.effective}
    always = ALWAYS.get(method, set())
    assert set(distiller.effective) >= always
    assert bool(set(distiller.effective) - always) == bool(switches)


def options_of(distiller):
    return keyword_only("method", f"{type(distiller).__module__}.{type(distiller).__name__}")


def test_the_smallest_length_of_a_stage_is_a_hyperparameter_of_its_name(distiller):
    assert {f"{stage.name}_min_steps" for stage in distiller.stages() if stage.min_steps} <= set(options_of(distiller))


def test_a_variable_without_gradient_is_refused_by_name():
    student = build("student").student
    unused = keras.Variable([1.0], name="unused")

    distiller = Student(student, None)
    distiller.trained = [unused]
    with pytest.raises(RuntimeError, match="unused"):
        one_step(distiller, distiller.stages()[0])


def test_a_method_without_a_loss_says_so():
    distiller = Distiller(build("student").student, None)
    with pytest.raises(NotImplementedError, match="Distiller"):
        one_step(distiller, distiller.stages()[0])


def test_progress_and_epoch_count_the_stage():
    distiller = build("student")
    seen = []

    def loss(batch):
        seen.append((int(batch.step), batch.steps, float(batch.epoch), float(batch.progress)))
        return distiller.task_loss(batch)

    stage = Stage("main", {"task": loss}, [distiller.student])
    distiller.begin(stage, keras.optimizers.SGD(0.1), 2, 2, run_eagerly=True)
    for _ in range(4):
        distiller.train_step(small_batch())
    assert seen == [(0, 4, 0.0, 0.0), (1, 4, 0.0, 0.25), (2, 4, 1.0, 0.5), (3, 4, 1.0, 0.75)]


def test_eager_and_graph_agree():
    def logs(eager):
        distiller = build("at")
        distiller.begin(distiller.stages()[0], keras.optimizers.SGD(0.1), 1, 1, run_eagerly=eager)
        step = distiller.train_step if eager else tf.function(distiller.train_step, autograph=False)
        return {name: float(value) for name, value in step(small_batch()).items()}

    assert logs(True) == pytest.approx(logs(False), rel=1e-5)


@pytest.mark.parametrize("one", ["at", "fsp", "kd_eid"])
def test_soft_logits_beside_a_method_add_their_gradient(one):
    """Also where a method clips its own gradients, and where its main stage needs no teacher."""

    def moved(weight):
        distiller = build(one)
        if weight:
            distiller.extra_losses["kd"] = soft_logits_term(weight, 4.0)
        stage = distiller.stages()[-1]
        before = [variable.numpy().copy() for variable in stage.variables]
        distiller.begin(stage, keras.optimizers.SGD(1.0), 1, 1, run_eagerly=True)
        logs = distiller.train_step(small_batch())
        return [start - variable.numpy() for start, variable in zip(before, stage.variables, strict=True)], logs

    (plain, without), (once, logs), (twice, _) = moved(0), moved(0.5), moved(1.0)
    assert "kd" not in without
    assert float(logs["loss"]) == pytest.approx(float(without["loss"]) + float(logs["kd"]), rel=1e-5)
    added = [one - none for one, none in zip(once, plain, strict=True)]
    assert max(np.abs(part).max() for part in added) > 1e-3
    for part, double, none in zip(added, twice, plain, strict=True):
        np.testing.assert_allclose(double - none, 2 * part, atol=1e-5 * max(1, np.abs(none).max()))


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_with_smoothed_and_mixed_labels(smoothing, mixed, generator):
    logits, labels = generator.normal(size=(8, 10)), generator.integers(0, 10, 8)
    shares = np.eye(10)[labels]
    shares = 0.7 * shares + 0.3 * shares[::-1] if mixed else shares
    wanted = -(((1 - smoothing) * shares + smoothing / 10) * np.log(softmax(logits))).sum(axis=1).mean()
    given = tf.constant(shares, tf.float32) if mixed else tf.constant(labels)
    assert float(cross_entropy(given, tf.constant(logits), smoothing)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("one", ["student", "dml", "soft_logits"])
def test_every_network_that_learns_labels_learns_smoothed_ones(one):
    sharp, smooth = build(one), build(one)
    smooth.label_smoothing = 0.2
    logs = [one_step(distiller, distiller.stages()[-1]) for distiller in (sharp, smooth)]
    for name in logs[0]:
        assert (logs[0][name] != logs[1][name]) == (name in ("loss", "task", "peer_task")), name


@pytest.mark.parametrize("attribute", ["labels", "indices"])
def test_mixed_images_have_no_label_and_no_place(attribute):
    images, labels, indices = small_batch()
    batch = Batch(build("student"), images, tf.one_hot(labels, 10), indices, 0, 1, 1)
    with pytest.raises(ConfigError, match=r"^augmentation: Student needs the one label .* augmentation.cutmix to 0\.$"):
        getattr(batch, attribute)
