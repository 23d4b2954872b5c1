"""Why the process of a run died, in words."""

import resource
import signal
import tempfile

from kd_bench.system_errors import system_error

_NAMES = {one.value: one.name for one in signal.Signals}
_OUT_OF_MEMORY = "if nobody sent it, the machine was out of memory: try a smaller batch_size."
_CRASH = (
    "a native library crashed. On CPUs, the environment variable TF_ENABLE_ONEDNN_OPTS=0 avoids a known crash of "
    "oneDNN: in convolutions with stride 2 and few channels (a 1x1 kernel with fewer than 16 input channels)."
)
_HINTS: dict[int, str] = {
    signal.SIGKILL: _OUT_OF_MEMORY,
    signal.SIGSEGV: _CRASH,
    signal.SIGABRT: _CRASH,
    signal.SIGILL: _CRASH,
    signal.SIGFPE: _CRASH,
    signal.SIGBUS: f"a file that it reads was cut short or its disk failed, or {_CRASH}",
}
"""Signal -> what it means. Only SIGKILL can come from a machine without memory."""


def cause_of_death(status: int) -> str:
    """Returns why a process died, by its exit code: minus the number of a signal, or a status."""
    if status >= 0:
        return f"its process ended with status {status}."
    name, hint = _NAMES.get(-status, f"signal {-status}"), _HINTS.get(-status, "")
    if hint.endswith(_CRASH) and (limit := _limit()):
        hint = f"the memory that is allowed is too little ({limit}), or {hint}"
    return f"{name} ended its process{f'; {hint}' if hint else '.'}"


def server_died(problem: EOFError | OSError) -> str:
    """Returns why no process could be started for a run."""
    if "AF_UNIX path too long" in str(problem):
        return f"{tempfile.gettempdir()}: its path is too long for sockets; set the environment variable TMPDIR."
    if isinstance(problem, OSError):
        return f"its process cannot be started: {system_error(problem) or problem}"
    limit = _limit() or "the limit of the batch job or container"
    return (
        "its process cannot be started: the server that loads TensorFlow died, mostly for lack of memory. Allow the "
        f"command more ({limit}), then run it again."
    )


def _limit() -> str:
    """Returns the limit of this process's memory in words; empty without one. TensorFlow aborts if it is reached."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return "" if limit == resource.RLIM_INFINITY else f"ulimit -v is {limit // 1024} kB"
