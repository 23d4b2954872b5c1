"""Opens a run in a tracking service, or opens it again if the run is resumed. The service's callback writes to it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from kd_bench.runs.lock import machine_locks

_DIGEST = "kd_bench.digest"
"""The tag by which MLflow finds a run again."""


@dataclass(frozen=True)
class LoggedRun:
    """What a tracking service is told about a run.

    Attributes:
        title: a short description.
        digest: identifies its config.
        facts: its config, as in its record.
        logs: the folder for the files of its callbacks.
        resumed: whether it goes on from a checkpoint.
    """

    title: str
    digest: str
    facts: dict[str, Any]
    logs: Path
    resumed: bool


@contextmanager
def wandb_run(
    run: LoggedRun,
    *,
    project: str,
    entity: str | None,
    mode: Literal["online", "offline", "disabled"] | None,
) -> Iterator[None]:
    """Opens the run of Weights & Biases whose id is the digest. A run that starts over replaces earlier attempts."""
    import wandb

    opened = wandb.init(
        project=project,
        entity=entity,
        mode=mode,
        id=run.digest,
        name=run.title,
        config=run.facts,
        dir=run.logs,
        resume="allow" if run.resumed else None,
    )
    status = 1
    try:
        yield
        status = 0
    finally:  # its own context manager would print a traceback when a run is interrupted
        opened.finish(exit_code=status)


@contextmanager
def mlflow_run(run: LoggedRun, *, experiment: str, tracking_uri: str | None) -> Iterator[None]:
    """Opens the newest run of MLflow with the digest as a tag, if the run is resumed; else a new one."""
    import mlflow

    if tracking_uri is not None:
        mlflow.set_tracking_uri(tracking_uri)
    # MLflow fails if two processes make the same database or the same experiment at once.
    with FileLock(machine_locks() / "mlflow.lock", fallback_to_soft=False):
        mlflow.set_experiment(experiment)
        opened = _mlflow_run(run)
    with opened:
        yield


def _mlflow_run(run: LoggedRun) -> AbstractContextManager:
    import mlflow
    import pandas as pd

    query = {"order_by": ["attributes.start_time DESC"], "max_results": 1, "output_format": "list"}
    earlier = mlflow.search_runs(filter_string=f"tags.`{_DIGEST}` = '{run.digest}'", **query) if run.resumed else []
    if earlier:
        return mlflow.start_run(run_id=earlier[0].info.run_id)
    started = mlflow.start_run(run_name=run.title, tags={_DIGEST: run.digest})
    mlflow.log_params(pd.json_normalize(run.facts).iloc[0].to_dict())
    return started
