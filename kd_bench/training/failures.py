"""Decides what a failed run keeps: a failure of the system is not a failure of the method."""

from dataclasses import dataclass

from kd_bench.errors import BenchError
from kd_bench.system_errors import headline, system_error
from kd_bench.training.callbacks import NonFiniteLossError

_FIRST = "The same command tries again from there; if it fails there again, its checkpoints are deleted."
_AGAIN = "It failed there twice, so its checkpoints were deleted: the same command starts over."


@dataclass(frozen=True)
class Failure:
    """How a run failed.

    Attributes:
        reason: for the record. It names the place if the code failed, so that the same failure has the same reason.
        message: for the user, one paragraph.
        is_bug: whether the code failed, so that the traceback helps.
        starts_over: whether nothing may go on from the checkpoints, because the same state would fail again.
    """

    reason: str
    message: str
    is_bug: bool = False
    starts_over: bool = False


def failure(problem: Exception, progress_text: str, earlier: str | None) -> Failure:
    """Returns how a run failed.

    Args:
        problem: what ended the run.
        progress_text: in words, the position of its newest checkpoint.
        earlier: the reason of its previous failure; None if the previous attempt did not fail.
    """
    name = type(problem).__name__
    if isinstance(problem, BenchError):
        return Failure(f"{name}: {problem}", str(problem), starts_over=isinstance(problem, NonFiniteLossError))
    if (cause := system_error(problem)) is not None:
        return Failure(f"{name}: {cause}", cause)
    reason = f"{name}: {headline(problem)} ({progress_text})"
    twice = reason == earlier
    return Failure(reason, f"{reason}. {_AGAIN if twice else _FIRST}", is_bug=True, starts_over=twice)
