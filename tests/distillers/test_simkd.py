import keras
import numpy as np
import pytest
from helpers.methods import batch_of, build, one_step, small_batch

from kd_bench.complexity import multiply_adds
from kd_bench.distillers.soft_logits import soft_logits_term
from kd_bench.errors import ConfigError
from kd_bench.networks.wide_resnet import wide_resnet
from kd_bench.training.saving import ready_to_use


def test_what_is_deployed_ends_with_the_teachers_classifier_which_stays():
    distiller = build("simkd")
    classifier = distiller.teacher.get_layer("logits")
    before = classifier.get_weights()
    one_step(distiller, distiller.stages()[0])
    outputs = distiller.deployed(small_batch()[0], training=False)
    kernel, bias = classifier.get_weights()
    np.testing.assert_allclose(outputs["logits"], outputs["embedding"].numpy() @ kernel + bias, rtol=1e-4, atol=1e-5)
    for old, new in zip(before, (kernel, bias), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_students_own_classifier_is_not_trained_and_not_deployed():
    distiller = build("simkd")
    own = {id(variable) for variable in distiller.student.get_layer("logits").variables}
    assert not own & {id(variable) for variable in distiller.stages()[0].variables}
    assert not own & {id(variable) for variable in distiller.deployed.variables}


def test_the_costs_are_those_of_the_deployed_network():
    distiller = build("simkd")
    assert multiply_adds(distiller.deployed) > multiply_adds(distiller.student)
    # The projector: 1x1 from 32 to 32, 3x3, 1x1 to 64 channels, with batch norms; 640 + 10 for the classifier.
    convolutions, norms = 32 * 32 + 9 * 32 * 32 + 32 * 64, 4 * (32 + 32 + 64)
    own_classifier = 32 * 10 + 10
    expected = distiller.student.count_params() - own_classifier + convolutions + norms + 64 * 10 + 10
    assert distiller.deployed.count_params() == expected


@pytest.mark.filterwarnings("ignore:__array__ implementation")  # Keras's, in `save`
def test_the_saved_network_answers_like_the_deployed_one(tmp_path):
    distiller = build("simkd")
    one_step(distiller, distiller.stages()[0])
    images = 255 * np.random.default_rng(0).random((4, 8, 8, 1), np.float32)
    path = tmp_path / "network.keras"
    ready_to_use(distiller.deployed, np.array([100.0]), np.array([50.0])).save(path)
    expected = distiller.deployed((images - 100) / 50, training=False)["logits"]
    np.testing.assert_allclose(keras.saving.load_model(path)(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("distance", "reference"),
    [
        ("code", lambda own, theirs: ((own - theirs) ** 2).mean()),
        ("position", lambda own, theirs: np.mean(np.linalg.norm(own - theirs, axis=-1) ** 2)),
        ("paper", lambda own, theirs: np.mean(np.linalg.norm((own - theirs).reshape(len(own), -1), axis=1) ** 2)),
    ],
)
def test_the_term_is_the_chosen_distance_of_the_projected_maps(distance, reference):
    distiller = build("simkd", ["method.weight=3", f"method.distance={distance}"])
    batch = batch_of(distiller)
    own, theirs = batch.student["projected"].numpy(), batch.teacher["post"][-1].numpy()
    assert float(distiller.distillation_loss(batch)) == pytest.approx(3 * reference(own, theirs), rel=1e-5)
    sums = {"code": 1, "position": 64, "paper": 64 * own.shape[1] * own.shape[2]}
    assert distiller.weight == 3 * sums[distance]
    assert distiller.effective == ({} if distance == "code" else {"weight": distiller.weight})


def test_soft_logits_beside_it_train_what_is_deployed():
    distiller = build("simkd", ["method.weight=0"])
    distiller.extra_losses["kd"] = soft_logits_term(1.0, 4.0)
    (stage,) = distiller.stages()
    before = [variable.numpy().copy() for variable in stage.variables]
    one_step(distiller, stage)
    assert all(not np.array_equal(old, new.numpy()) for old, new in zip(before, stage.variables, strict=True))


def test_layers_of_equal_names_do_not_meet():
    """A run builds each network with names from the start, and then the projector."""
    kind = type(build("simkd"))
    networks = []
    for width in (1, 2):
        keras.backend.clear_session()
        networks.append(wide_resnet((8, 8, 1), 10, depth=10, width=width, stem_channels=8, stem_stride=1))
    keras.backend.clear_session()
    assert kind(*networks, weight=1.0, distance="position", reduction=2).deployed.output["logits"].shape == (None, 10)


@pytest.mark.parametrize(("student_size", "teacher_size"), [((16, 16, 1), 2), ((16, 16, 1), 1)])
def test_the_larger_map_is_pooled(student_size, teacher_size):
    distiller = build("simkd", shape=student_size, stem_stride=teacher_size)
    assert np.isfinite(one_step_on(distiller, student_size))


def one_step_on(distiller, shape):
    batch = batch_of(distiller, shape=shape)
    return float(distiller.distillation_loss(batch))


def test_a_last_point_that_the_classifier_does_not_read_is_refused():
    trained = build("simkd")
    outputs = dict(trained.teacher.output)
    outputs["post"] = outputs["post"][:2] + outputs["post"][:1]
    teacher = keras.Model(trained.teacher.input, outputs)
    with pytest.raises(ConfigError, match=r"^SimKD: the teacher's last feature point has 16 channels"):
        type(trained)(trained.student, teacher, weight=1.0, distance="position", reduction=2)
