"""AT and VID read the maps that a group passes on, also where the ReLU lies between its sum and the next layer."""

from types import SimpleNamespace

import numpy as np
import pytest

from kd_bench.build import build
from kd_bench.config.compose import jobs
from kd_bench.config.network import MAPS


@pytest.mark.parametrize("method", ["at", "vid"])
def test_the_loss_depends_on_the_passed_maps_alone(method, generator):
    (config,) = jobs([f"method={method}", "model=tiny_mixed"])
    distiller = build(config, None).distiller
    images = generator.normal(size=(4, 8, 8, 1)).astype(np.float32)
    outputs = [network(images, training=False) for network in (distiller.student, distiller.teacher)]

    def loss(changed=None):
        student, teacher = (
            {kind: [2 * features + 1 if kind == changed else features for features in one[kind]] for kind in MAPS}
            for one in outputs
        )
        return float(distiller.distillation_loss(SimpleNamespace(student=student, teacher=teacher)))

    assert loss("passed") != pytest.approx(loss())
    assert loss("pre") == loss("post") == loss()
