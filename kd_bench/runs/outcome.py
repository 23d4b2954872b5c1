"""Makes a run's record from its config and its outcome. Imports no TensorFlow."""

import datetime
from dataclasses import replace
from typing import Any

from kd_bench.config.schema import RunConfig
from kd_bench.runs import environment
from kd_bench.runs.command import command_id
from kd_bench.runs.record import DONE, FAILED, Cost, Record, Run, Scores, Setting
from kd_bench.seeds import seed_for


def record_done(config: RunConfig, **outcome: Any) -> Record:
    """Returns the record of a run that is done.

    Args:
        config: the run's config.
        **outcome: further fields of `Record`.
    """
    return Record(status=DONE, run=_choices(config), config=config.facts(), **outcome)


def record_failure(config: RunConfig, reason: str) -> Record:
    """Returns the record of a run that failed under this command."""
    failed = setting(config, config.precision, replicas=0)
    return Record(
        status=FAILED,
        reason=reason,
        run=_choices(config),
        scores=Scores(),
        cost=Cost(),
        setting=replace(failed, attempts=[{"command": command_id()}]),
        config=config.facts(),
    )


def scores(metrics: list[dict[str, Any]], final: dict[str, Any]) -> Scores:
    """Returns a run's scores.

    Args:
        metrics: all lines of its metrics.
        final: the scores after the last epoch except the accuracy, by their names in `Scores`.
    """
    evaluations = [line for line in metrics if "test_accuracy" in line]
    best = max(evaluations, key=lambda line: line["test_accuracy"])
    return Scores(
        last_accuracy=evaluations[-1]["test_accuracy"],
        best_accuracy=best["test_accuracy"],
        best_epoch=best["epoch"],
        **final,
    )


def stage_costs(metrics: list[dict[str, Any]], steps: dict[str, int]) -> dict[str, Any]:
    """Returns the cost of each stage, by its names in `Cost`; empty for a run that has no epochs.

    Args:
        metrics: all lines of its metrics.
        steps: stage name -> number of steps.
    """
    lines = {stage: [line for line in metrics if line["stage"] == stage and line["epochs"]] for stage in steps}
    if not all(lines.values()):
        return {}
    multiply_adds = {stage: stage_lines[-1]["multiply_adds"] for stage, stage_lines in lines.items()}
    return {
        "stage_seconds": {
            stage: round(sum(line["seconds"] for line in stage_lines), 3) for stage, stage_lines in lines.items()
        },
        "stage_multiply_adds": {stage: count and count * steps[stage] for stage, count in multiply_adds.items()},
    }


def setting(config: RunConfig, precision: str, replicas: int) -> Setting:
    """Returns the software, the machine and the seeds of a run that ends now."""
    purposes = ("initialisation", "shuffle", "augmentation", "method")
    return Setting(
        precision=precision,
        replicas=replicas,
        seeds={purpose: seed_for(config.seed, purpose) for purpose in purposes},
        versions=environment.versions(),
        machine=environment.machine(),
        git=environment.git_revision(config.sources),
        code=config.code,
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def _choices(config: RunConfig) -> Run:
    """Returns the choices of the user."""
    return Run(
        experiment=config.experiment,
        dataset=config.dataset.name,
        model=config.model.name,
        method=config.method.name,
        label=config.method.label,
        fraction=config.fraction,
        seed=config.seed,
        subset_seed=config.subset_seed,
        budget=config.budget,
        digest=config.digest,
        protocol=config.protocol,
        variant=config.variant,
    )
