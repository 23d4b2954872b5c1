"""Which maps AT and VID read where the ReLU lies between a group's sum and the next layer."""

from types import SimpleNamespace

import numpy as np
import pytest

from kd_bench.build import build
from kd_bench.config.compose import jobs


@pytest.mark.parametrize("method", ["at", "vid"])
@pytest.mark.parametrize(("arguments", "tap"), [([], "passed"), (["+method.tap=raw"], "raw")])
def test_the_loss_depends_on_the_chosen_maps_alone(method, arguments, tap, generator):
    (config,) = jobs([f"method={method}", "model=tiny_mixed", *arguments])
    distiller = build(config, None).distiller
    images = generator.normal(size=(4, 8, 8, 1)).astype(np.float32)
    outputs = [network(images, training=False) for network in (distiller.student, distiller.teacher)]

    def loss(changed):
        student, teacher = ({**one, changed: [2 * features + 1 for features in one[changed]]} for one in outputs)
        return float(distiller.distillation_loss(SimpleNamespace(student=student, teacher=teacher)))

    other = {"passed": "raw", "raw": "passed"}[tap]
    assert loss(tap) != pytest.approx(loss(other))
    assert loss(other) == pytest.approx(loss("pre"))
