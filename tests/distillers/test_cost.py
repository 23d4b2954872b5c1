"""The multiply-adds of a training step."""

from helpers.methods import build, one_step

from kd_bench.complexity import multiply_adds

IMAGES = 8
"""Of a small batch."""


def counted(method, number, *overrides):
    """Returns the multiply-adds of a step of a stage for one image, and those of the networks' forward passes."""
    distiller = build(method, overrides)
    one_step(distiller, distiller.stages()[number], graph=True)
    networks = (distiller.student, distiller.teacher)
    student, teacher = (multiply_adds(network) if network is not None else 0 for network in networks)
    return distiller.step_multiply_adds / IMAGES, student, teacher


def test_a_plain_student_costs_three_forward_passes_but_for_the_gradient_of_the_images():
    step, student, _ = counted("student", 0)
    stem = 8 * 8 * 9 * 8
    assert step == 3 * student - stem


def test_soft_logits_add_the_forward_pass_of_the_teacher():
    step, _, teacher = counted("soft_logits", 0)
    assert step == counted("student", 0)[0] + teacher


def test_a_method_that_reads_early_maps_does_not_pay_for_the_rest_of_the_teacher():
    step, *_ = counted("at", 0)
    assert counted("student", 0)[0] < step < counted("soft_logits", 0)[0]


def test_a_second_gradient_costs_a_second_way_back():
    """KD-SVD's clip needs the gradients of both terms, each by its own way through the student."""
    (clipped, student, _), (plain, _, _) = (counted("kd_svd", 0, f"method.clip={clip}") for clip in ("ramp", "none"))
    assert 1.8 * student < clipped - plain < 2 * student
