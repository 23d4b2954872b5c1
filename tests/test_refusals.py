"""What only the data or the networks show to be wrong: one line with the key, and nothing of the run on disk."""

import pytest
from helpers.command import run

from kd_bench.build import build
from kd_bench.config.compose import jobs
from kd_bench.errors import ConfigError, DataError

REFUSED = {
    "hardware=gpu": ["hardware.replicas=1: TensorFlow sees 0 GPUs here", "try hardware=cpu"],
    "model.student.stem_stride=16": ["(8, 8, 1) are too small for the strides [16, ", "Choose larger images"],
    "model.student.width=30000": [
        "model=tiny: the networks do not fit into the memory (OOM when allocating",
        "240000])",
    ],
    "model.student.depth=11": ["depth=11"],
    "fraction=0.002": ["fraction=0.002 keeps 3 of 1297 images", "the smallest fraction with every class is"],
    "batch_size=2000": ["batch_size=2000", "there are only 1297 training images"],
    "dataset.data_dir=/dev/null": ["/dev/null", "dataset.data_dir="],
    "dataset.train_split=validation": ["dataset.train_split=validation", "splits train, test"],
    "dataset.padding=8": ["dataset.padding=8", "8x8"],
    "dataset.name=mydata": ["dataset.name=mydata", "no such set"],
}


@pytest.mark.parametrize("argument", REFUSED)
def test_refused_when_it_is_built(argument):
    (config,) = jobs(["method=student", argument])
    with pytest.raises((ConfigError, DataError)) as refusal:
        build(config, None)
    assert all(part in str(refusal.value) for part in REFUSED[argument]), str(refusal.value)


def test_a_hint_that_no_network_has_is_refused():
    (config,) = jobs(["method=fitnet", "method.hint_point=3"])
    with pytest.raises(ConfigError, match=r"^method.hint_point=3: must be below 3, the number of feature points\.$"):
        build(config, None)


@pytest.mark.parametrize("threads", [0, 100_000])
def test_more_threads_than_a_system_has_are_refused_before_they_are_started(threads):
    with pytest.raises(ConfigError, match=rf"^hardware.threads={threads}: must be .* at least 1 and at most 1024"):
        jobs(["method=student", f"hardware.threads={threads}"])


def test_a_refused_run_leaves_nothing_and_is_no_failed_run(tmp_path):
    done = run("method=student", "fraction=0.002", "epochs=1", outputs=tmp_path / "outputs")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ") and "fraction=0.002 keeps 3" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_sweep_with_a_refused_run_does_not_begin(tmp_path):
    done = run("-m", "method=student", "fraction=0.002,0.1", "epochs=1", outputs=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: 1 of 2 runs cannot be done, so that none was started; change the command:")
    assert "fraction=0.002 keeps 3" in done.stderr
    assert list(tmp_path.iterdir()) == []
