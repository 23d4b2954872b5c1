"""What a command does before its first run: it refuses what cannot be done, and says what is done and what is to do."""

import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from kd_bench.config.command_line import DRY_RUN
from kd_bench.config.compose import is_search, require_sweeper, run_of
from kd_bench.config.schema import RunConfig
from kd_bench.errors import ConfigError
from kd_bench.launch.closing import tell_results
from kd_bench.launch.dry_run import dry_run
from kd_bench.launch.first_builds import require_possible
from kd_bench.launch.summary import summary
from kd_bench.launch.sweep_lists import delete_finished_lists, write_lists
from kd_bench.messages import say, show
from kd_bench.runs.files import storing
from kd_bench.runs.standing import read_standing


def opening(*, dry_run: bool) -> str:
    """Returns the override with which Hydra calls `Opening` before it makes a folder."""
    target = f"{Opening.__module__}.{Opening.__qualname__}"
    return f"++hydra.callbacks.opening={{_target_:{target},dry_run:{str(dry_run).lower()}}}"


class OpeningError(BaseException):
    """Carries an exception out of Hydra, which turns those of callbacks into warnings; `__cause__` is the exception."""


class Opening(Callback):
    """Opens a command: checks a single run, or the sweeper of several, which then opens its own runs."""

    def __init__(self, dry_run: bool) -> None:
        self.dry_run = dry_run

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Checks a run before Hydra makes a folder for it."""
        HydraConfig.instance().set_config(config)
        with _raising():
            open_runs(config, [run_of(config)])

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Checks the choice of the sweeper before Hydra makes it."""
        HydraConfig.instance().set_config(config)
        with _raising():
            require_sweeper(config.hydra)
            if self.dry_run and is_search(config.hydra):
                raise ConfigError(f"{DRY_RUN}: a search chooses its runs by their results; they cannot be listed.")


@contextlib.contextmanager
def _raising() -> Iterator[None]:
    try:
        yield
    except Exception as problem:
        raise OpeningError from problem


def open_runs(config: DictConfig, runs: Sequence[RunConfig], together: int = 1) -> None:
    """Ends the program with status 0 if there is nothing to do, because all runs are done, or are only to be listed.

    Args:
        config: what Hydra composed for the command.
        runs: all of the command.
        together: how many of them the launcher does at a time.

    Raises:
        BenchError: some runs cannot be done; nothing is left on disk.
    """
    if config.hydra.callbacks.opening.dry_run:
        show(dry_run(runs, together))
        sys.exit(0)
    standings = [read_standing(run) for run in runs]
    if len(runs) > 1 or standings[0].done or any(standings[0].remarks.values()):
        say(summary(standings))
    if all(one.done is not None for one in standings):
        delete_finished_lists(runs)
        tell_results(runs, repeat=True)
        sys.exit(0)
    require_possible(runs)
    _require_room(runs)
    write_lists(runs)


def _require_room(runs: Sequence[RunConfig]) -> None:
    """Raises `StorageError` if an outputs folder of the runs cannot be written."""
    for outputs in {Path(run.outputs) for run in runs}:
        with storing(outputs):
            outputs.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=outputs).close()
