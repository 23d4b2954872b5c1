"""Runs and their data from Python, in a script or a notebook: `kd_bench.run`, `kd_bench.load_data`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kd_bench.config.compose import jobs
from kd_bench.config.forget import forget
from kd_bench.config.paths import require_home
from kd_bench.config.schema import RunConfig
from kd_bench.errors import ConfigError, RunFailedError
from kd_bench.launch import processes
from kd_bench.launch.first_builds import require_possible
from kd_bench.launch.signals import forwarding
from kd_bench.runs.record import Record
from kd_bench.runs.standing import read_standing
from kd_bench.training.interruption import Interrupted

if TYPE_CHECKING:  # it imports TensorFlow
    from kd_bench.data.images import ImageDataset


def run(overrides: Sequence[str] = (), *, config_dir: str | Path | None = None) -> Record:
    """Does a run in a process of its own, after its teacher if that is missing; a run that is done is not repeated.

    Files go where the command `run` writes them: `outputs` of the current folder, or `outputs=folder`.

    Args:
        overrides: Choices and values as on the command line, e.g. `["method=at", "fraction=0.1"]`.
        config_dir: A folder with config groups of your own, as with `--config-dir`.

    Returns:
        The record of the run: `scores.last_accuracy` is its accuracy on the test set, in [0, 1].

    Raises:
        ConfigError: A key or a value is wrong, or data, networks and method do not fit. Nothing is trained or left on
            disk.
        RunFailedError: The run failed; it is recorded as failed, and the next call tries again.
        KeyboardInterrupt: The run was asked to stop. It has saved its state, and the next call continues.
    """
    config = _config(overrides, config_dir)
    try:
        with forwarding():
            require_possible([config])
            outcome = processes.run(config)
    except Interrupted:
        raise KeyboardInterrupt("the run has saved its state; the same call continues") from None
    record = read_standing(config).done
    if record is not None:
        return record
    refused = outcome.status == processes.ExitStatus.REFUSED
    raise (ConfigError if refused else RunFailedError)(outcome.reason or f"{config.title} failed")


def load_data(overrides: Sequence[str], *, config_dir: str | Path | None = None) -> "ImageDataset":
    """Returns the data set of a run, with the run's own split: what a teacher may learn from, and the test images.

    Args:
        overrides: Choices and values as on the command line, e.g. `["dataset=folder", "dataset.root=photos"]`.
        config_dir: A folder with config groups of your own, as with `--config-dir`.

    Returns:
        The data set: `train` and `test`, each with `pixels` uint8 `[N,H,W,C]` and `labels` int `[N]`; `class_names`.
        Of images that stay on disk or encoded, `read(indices)` returns the pixels as they are tested.

    Raises:
        ConfigError: A key or a value is wrong.
        DataError: The data cannot be used.
    """
    dataset = _config(overrides, config_dir).dataset
    return dataset.build(dataset.name)


def _config(overrides: Sequence[str], config_dir: str | Path | None) -> RunConfig:
    """Returns the checked config of the one run that is asked for."""
    for override in overrides:
        if override.startswith("-"):
            raise ConfigError(f"{override}: flags are for the command line; give choices and values, e.g. method=at.")
    require_home()
    forget()
    flags = [] if config_dir is None else ["--config-dir", str(config_dir)]
    configs = jobs([*flags, *overrides])
    if len(configs) != 1:
        raise ConfigError(f"{' '.join(overrides)}: are {len(configs)} runs; call this function for each of them.")
    return configs[0]
