"""Finds the runs that cannot be done before the first run of a command: builds their data, networks and methods once.

The builds are in a process of their own and on the CPU, because the command may run on a login node without the
hardware of the runs. What cannot be told there is told by each run when its turn comes.
"""

import contextlib
import io
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from kd_bench.config.schema import Named, RunConfig
from kd_bench.errors import ConfigError, DataError, SmallMachineError
from kd_bench.launch import server
from kd_bench.launch.combinations import (
    Combination,
    combination,
    each_once,
    is_prepared,
    missing_data,
    to_build,
)
from kd_bench.launch.deaths import cause_of_death, server_died
from kd_bench.launch.refusals import ImpossibleRunsError, Refused
from kd_bench.launch.signals import heard
from kd_bench.launch.sweep import with_teachers
from kd_bench.messages import protect_streams, warn
from kd_bench.runs.standing import read_standing

if TYPE_CHECKING:  # it imports TensorFlow
    from kd_bench.data.images import ImageDataset

_CPU = Named("kd_bench.training.hardware.strategy", {"device": "cpu", "replicas": None, "threads": 1}, "cpu")

Result = TypeVar("Result")


class _Finding(NamedTuple):
    """What cannot be used or built, and why."""

    what: Named | Combination
    reason: str


def require_possible(runs: Sequence[RunConfig], *, prepare: bool = True) -> None:
    """Builds what may be refused, each combination once, before the first of these runs starts.

    Args:
        runs: of the command.
        prepare: whether data sets that are missing are prepared. If not, nothing is written, and what depends on
            them is not built.

    Raises:
        ImpossibleRunsError: some runs cannot be done; it names each reason once.
    """
    to_do = [run for run in runs if read_standing(run).done is None]
    findings = list(_findings(to_build(with_teachers(runs)), missing_data(with_teachers(to_do)), prepare))
    refused = [Refused(run, reason) for run in to_do if findings and (reason := _reason(run, findings))]
    if refused:
        raise ImpossibleRunsError(refused, len(runs))


def _reason(run: RunConfig, findings: Iterable[_Finding]) -> str | None:
    """Returns why a run cannot be done: for a reason of its own, or of its teacher."""
    own, teacher = _own_reason(run, findings), run.teacher_run()
    if own or teacher is None or read_standing(teacher).done is not None:
        return own
    reason = _own_reason(teacher, findings)
    return reason and f"{teacher.title}: {reason}"


def _own_reason(run: RunConfig, findings: Iterable[_Finding]) -> str | None:
    kinds = (run.dataset, combination(run))
    return next((found.reason for found in findings if found.what in kinds), None)


def _findings(runs: Sequence[RunConfig], missing: Sequence[Named], prepare: bool) -> Iterator[_Finding]:
    """Yields what a process finds that builds these runs and reads the missing data. It may die: then says so."""
    if not runs and not missing:
        return
    try:
        process, reader = server.start(_child, runs, missing, prepare, heard())
    except (EOFError, OSError) as problem:
        _say_unfinished(server_died(problem))
        return
    with reader, contextlib.suppress(EOFError):
        while True:
            yield reader.recv()
    process.join()
    if process.exitcode:
        _say_unfinished(cause_of_death(process.exitcode))


def _say_unfinished(reason: str) -> None:
    warn(f"warning: not all runs were checked before the first one; each is checked when its turn comes: {reason}")


def _child(
    runs: Sequence[RunConfig],
    missing: Sequence[Named],
    prepare: bool,
    signals: Sequence[signal.Signals],
    findings: Connection,
) -> None:
    protect_streams()
    for number in signals:  # it has nothing to save
        signal.signal(number, signal.SIG_DFL)
    server.end_with_command()
    with contextlib.suppress(BrokenPipeError):  # the command has ended
        for dataset in each_once([*missing, *(run.dataset for run in runs)]):
            own = [run for run in runs if run.dataset == dataset]
            with _hidden(bars=dataset in missing):
                for finding in _found(dataset, own, prepare):
                    findings.send(finding)


@contextlib.contextmanager
def _hidden(bars: bool) -> Iterator[None]:
    """Hides what the body prints, because each run prints it again; not the progress of a download."""
    errors = contextlib.nullcontext() if bars else contextlib.redirect_stderr(io.StringIO())
    with contextlib.redirect_stdout(io.StringIO()), errors:
        yield


def _found(dataset: Named, runs: Sequence[RunConfig], prepare: bool) -> Iterator[_Finding]:
    """Yields why the data set, or the combinations of these runs with it, cannot be used. Reads the images once."""
    images, reason = _tried(partial(_images, dataset, prepare))
    if reason is not None:
        yield _Finding(dataset, reason)
    if images is not None:
        yield from _refused_builds(runs, images)


def _images(dataset: Named, prepare: bool) -> "ImageDataset | None":
    """Returns the images; None if they would have to be prepared and must not be."""
    from kd_bench.data.preparation import require_preparable

    given = dataset.parameters
    if prepare:
        return dataset.build(dataset.name)
    if is_prepared(dataset):
        in_memory = {**given, "streaming": False} if "streaming" in given else given
        return replace(dataset, parameters=in_memory).build(dataset.name)
    require_preparable(dataset.name, given.get("data_dir"), given.get("manual_dir"))
    return None


def _refused_builds(runs: Sequence[RunConfig], images: "ImageDataset") -> Iterator[_Finding]:
    """Yields the combinations that cannot be built. The runs come with small fractions first."""
    from kd_bench.build import build

    possible: set[str] = set()
    for run in runs:
        one = combination(run)
        if one.facts not in possible:
            here = replace(run, hardware=_CPU, deterministic=False)
            parts, reason = _tried(partial(build, here, None, images))
            if parts is not None:
                possible.add(one.facts)
            if reason is not None:
                yield _Finding(one, reason)


def _tried(action: Callable[[], Result]) -> tuple[Result | None, str | None]:
    """Returns the result of an action, and why it is refused; neither if this process cannot tell."""
    try:
        return action(), None
    except SmallMachineError:
        return None, None
    except (ConfigError, DataError) as problem:
        return None, str(problem)
    except Exception:  # noqa: BLE001 - the run raises it again, and reports it with its traceback
        return None, None
