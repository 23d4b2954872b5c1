"""The config in a run's folder can be given back to the command: it is the same run, or another with other values."""

import pytest
import yaml
from helpers.published import DIGITS_TEACHER

from kd_bench.config.compose import jobs

RUNS = [
    ["method=student"],
    ["method=teacher"],
    ["method=fitnet", "fraction=0.1", "seed=3", "epochs=7", "kd_weight=0.5"],
    ["method=kd_svd", "experiment=cifar100_small", "model.teacher.width=3", "evaluate_every=5"],
    ["method=at", "optimizer=adam", "optimizer.learning_rate=0.02", "augmentation.mixup=0.2", "model=tiny_mixed"],
    ["method=at", "teacher=file", f"teacher.path={DIGITS_TEACHER}", "teacher.points=[a,b,c]"],
    ["method=mhgd", "model=keras_applications", "dataset=cifar100", "hardware=cpu", "precision=float32"],
]


@pytest.fixture
def given_back(tmp_path):
    """Returns the run by the config that a run stores, and by further values."""

    def composed(run, *more):
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(run.stored(), sort_keys=False))
        (found,) = jobs([f"--config-path={tmp_path}", *more])
        return found

    return composed


@pytest.mark.parametrize("arguments", RUNS, ids=lambda arguments: arguments[0])
def test_a_stored_config_is_the_same_run(arguments, given_back):
    (run,) = jobs(arguments)
    found = given_back(run)
    assert (found.digest, found.protocol, found.directory) == (run.digest, run.protocol, run.directory)
    assert (found.variant, found.title) == (run.variant, run.title)
    assert found.stored() == run.stored()


def test_other_values_make_another_run_of_the_same_row(given_back):
    (run,) = jobs(["method=at", "method.beta=5", "fraction=0.1"])
    (wanted,) = jobs(["method=at", "method.beta=5", "fraction=0.5", "seed=2"])
    found = given_back(run, "fraction=0.5", "seed=2")
    assert (found.digest, found.variant) == (wanted.digest, wanted.variant)


def test_a_value_that_is_given_comes_before_the_stored_one(given_back):
    (run,) = jobs(["method=at", "method.beta=5", "epochs=3"])
    assert given_back(run, "method.beta=7").variant == {"method.beta": 7.0, "epochs": 3}


def test_a_sweep_can_start_from_a_stored_config(given_back, tmp_path):
    (run,) = jobs(["method=at", "epochs=3"])
    given_back(run)
    runs = jobs([f"--config-path={tmp_path}", "-m", "seed=0,1", "fraction=1.0,0.1"])
    assert [(one.seed, one.fraction) for one in runs] == [(0, 1.0), (0, 0.1), (1, 1.0), (1, 0.1)]
    assert {one.epochs for one in runs} == {3}
