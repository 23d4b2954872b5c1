"""The command `tune`: tunes methods by equally many trials, then tests the best setting of each."""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from omegaconf import OmegaConf

from kd_bench.config.compose import jobs
from kd_bench.config.paths import require_home
from kd_bench.installation import ROOT
from kd_bench.launch.refusals import refusing
from kd_bench.launch.signals import forwarding
from kd_bench.messages import protect_streams
from kd_bench.runs.command import begin_command
from kd_bench.training.interruption import SIGNALS, Interrupted, signal_status

_TRIALS_SEED = 1000
"""Of all trials: none that a setting is tested with, which would have been chosen for its luck."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Tunes and tests one method after the other; returns 0 if all runs are done. What is done is not done again."""
    protect_streams()
    options = _parse(arguments)
    begin_command()
    with refusing():
        require_home()
        for method in options.methods:
            jobs(_search(method, options))  # all of them can begin
    with forwarding():
        return max([_tune(method, options) for method in options.methods])


def _tune(method: str, options: argparse.Namespace) -> int:
    """Searches on held-out training images, then runs the best setting by the full protocol; returns the status."""
    with tempfile.TemporaryDirectory() as folder:
        status = _run(*_search(method, options), f"hydra.sweep.dir={folder}")
        if status:
            return status
        best = OmegaConf.load(Path(folder, "optimization_results.yaml")).best_params
    return _run(*_test(method, best, options))


def _search(method: str, options: argparse.Namespace) -> list[str]:
    trials = [f"hydra.sweeper.n_trials={options.trials}", f"hydra.sweeper.n_jobs={options.jobs}"]
    trial = [f"method={method}", f"seed={_TRIALS_SEED}", f"validation={options.validation}"]
    return ["-m", "hydra/sweeper=search", *trials, *_launcher(options), *options.overrides, *trial]


def _test(method: str, best: Mapping[str, object], options: argparse.Namespace) -> list[str]:
    chosen = [f"{key}={value}" for key, value in best.items()]
    label = [f"tuned.trials={options.trials}", f"tuned.keys=[{','.join(best)}]"]
    return ["-m", *_launcher(options), *options.overrides, f"method={method}", f"seed={options.seeds}", *chosen, *label]


def _launcher(options: argparse.Namespace) -> list[str]:
    chosen = any(override.startswith("hydra/launcher=") for override in options.overrides)
    return [] if chosen or options.jobs == 1 else ["hydra/launcher=joblib", f"hydra.launcher.n_jobs={options.jobs}"]


def _run(*arguments: str) -> int:
    importable = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    status = subprocess.run([sys.executable, "-m", "kd_bench", "run", *arguments], env=importable).returncode
    if status in map(signal_status, SIGNALS):
        raise Interrupted(status)
    return status


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Tune methods by equally many trials, then test the best of each.")
    add = parser.add_argument
    add("--methods", type=lambda names: names.split(","), required=True, metavar="NAMES", help="such as student,at")
    add("--trials", type=int, default=20, help="of each method (default: 20)")
    add("--validation", default="0.1", metavar="SHARE", help="of the images, held out in trials (default: 0.1)")
    add("--seeds", default="0,1,2", help="of the test (default: 0,1,2)")
    add("--jobs", type=int, default=1, help="trials asked for together, and runs at a time (default: 1)")
    add("overrides", nargs="*", metavar="KEY=VALUE", help="for all runs, as run.py takes them")
    options = parser.parse_args(arguments)
    for key, flag in {"method": "--methods", "seed": "--seeds", "validation": "--validation"}.items():
        if any(override.startswith(f"{key}=") for override in options.overrides):
            parser.error(f"{key}= is set for each run; write {flag}")
    return options
