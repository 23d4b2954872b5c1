"""Two networks of different kinds distil."""

import keras
import numpy as np
import pytest
from helpers.methods import BATCH_SIZE, LABELS, METHODS, one_step
from hydra.utils import get_class

from kd_bench.config import compose


@pytest.mark.parametrize("method", METHODS)
def test_a_resnet_teaches_a_vgg(method):
    keras.utils.set_random_seed(0)
    (config,) = compose.jobs([f"method={method}", "model=tiny_mixed"])
    kind = get_class(config.method.target)
    teacher = None if kind.teacher_init is None else config.model.teacher.build((8, 8, 1), 10)
    distiller = config.method.build(config.model.student.build((8, 8, 1), 10), teacher)
    distiller.prepare(LABELS, BATCH_SIZE)
    for stage in distiller.stages():
        logs = one_step(distiller, stage)
        assert all(np.isfinite(value) for value in logs.values())
