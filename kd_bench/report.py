"""From a run's config and outcome to the parts of its record. Imports no TensorFlow."""

import datetime
from typing import Any

from kd_bench.config import RunConfig
from kd_bench.runs import environment
from kd_bench.runs.metrics import read_metrics
from kd_bench.runs.record import FAILED, Cost, Record, Run, Scores, Setting
from kd_bench.seeds import seed_for

NETWORK_NAME = "network.keras"
"""The trained network: the student, without what its method added to it."""
PREDICTIONS_NAME = "predictions.npy"
"""Its classes of the test images, `[N]` int32."""


def title(config: RunConfig) -> str:
    """Returns the run in a few words, for messages."""
    variant = "".join(f" {key}={value}" for key, value in config.overrides.items())
    return f"{config.dataset.name} {config.method.name} fraction={config.fraction:g} seed={config.seed}{variant}"


def record_scores(config: RunConfig, teacher: Record | None, final: dict[str, Any]) -> Scores:
    """Returns the scores from the run's metrics and from its last pass over the test set.

    Args:
        config: of a run whose metrics are written.
        teacher: the record of its teacher, if it had a trained one.
        final: the scores of the last pass, by their names in `Scores`.
    """
    evaluations = [line for line in read_metrics(config.directory) if "test_accuracy" in line]
    best = max(evaluations, key=lambda line: line["test_accuracy"])
    return Scores(
        last_accuracy=evaluations[-1]["test_accuracy"],
        best_accuracy=best["test_accuracy"],
        best_epoch=best["epoch"],
        teacher_accuracy=teacher.scores.last_accuracy if teacher else None,
        teacher_digest=teacher.run.digest if teacher else None,
        **final,
    )


def record_failure(config: RunConfig, reason: str) -> Record:
    """Returns the record of a run that failed."""
    setting = record_setting(config, config.precision, replicas=0)
    return Record(
        status=FAILED,
        reason=reason,
        run=record_identity(config),
        scores=Scores(),
        cost=Cost(),
        setting=setting,
        config=config.facts(),
    )


def record_identity(config: RunConfig) -> Run:
    """Returns what was asked for."""
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
        overrides=config.overrides,
    )


def record_setting(config: RunConfig, precision: str, replicas: int) -> Setting:
    """Returns where and with what the run happened, now."""
    purposes = ("initialisation", "shuffle", "augmentation", "method")
    return Setting(
        precision=precision,
        replicas=replicas,
        seeds={purpose: seed_for(config.seed, purpose) for purpose in purposes},
        versions=environment.versions(),
        machine=environment.machine(),
        git=environment.git_revision(),
        code=config.code,
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )
