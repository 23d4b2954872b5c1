"""Tells a failure of the surroundings (disk, memory, network, device) from one of the code."""

import errno
import os
import re

_CHECK_DISK = "Check the disk, or the network file system that it lies on"
_FREE_SPACE = "Free some space there"
_MORE_MEMORY = "Allow the run more memory (ulimit -v, the batch job's limit), or set a smaller batch_size"
_REMEDIES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), _FREE_SPACE),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "Check its permissions"),
    **dict.fromkeys((errno.EIO, errno.ESTALE, errno.EREMOTEIO, errno.ETIMEDOUT, errno.ENOTCONN), _CHECK_DISK),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "Raise the limit of open files (ulimit -n)"),
    **dict.fromkeys((errno.ENOMEM, errno.EAGAIN), _MORE_MEMORY),
    errno.ENOENT: "Put it back",
}
"""Error number -> what to do."""
_AGAIN = "then run the same command again: finished work is not lost."

_DEVICE_MEMORY = re.compile("out of memory|CUDA|cuDNN|cuBLAS|OOM when allocating", re.IGNORECASE)
_NUMBERS = {os.strerror(number): number for number in errno.errorcode}
_FILE = re.compile(rf"(?:^|\s)(?P<place>/[^;\n]*); (?P<reason>{'|'.join(map(re.escape, _NUMBERS))})")
"""TensorFlow's message about a file: `path; reason`."""
_PYTHON = re.compile(r"\[Errno (?P<number>\d+)\] (?P<reason>[^:\n]+)(?:: '(?P<place>[^'\n]+)')?")
"""Python's message in an error of TensorFlow, which called a Python function."""
_NOISE = re.compile(r" at 0x[0-9a-f]+|\[?\[?\{\{.*?\}\}(\]\])?\s*|\s*\[Op:.*|^Hint: .*", re.MULTILINE)
"""What differs from process to process, and TensorFlow's notes."""
_LONGEST = 300
"""Characters of a message that are shown."""
_TENSORFLOW = {
    "UnavailableError": "Check the connection to the other devices",
    "AbortedError": "Check the connection to the other devices",
    "DataLossError": "Make the damaged file again: for a prepared data set, delete its folder",
}
"""TensorFlow's errors that no code of a method raises -> what to do."""


def surroundings(problem: BaseException) -> str | None:
    """Returns what failed around the run and what to do, in one paragraph; None if the code failed.

    TensorFlow's errors are known by their names, so that this module does not import it.
    """
    if isinstance(problem, OSError):
        return _of_system(problem)
    if isinstance(problem, MemoryError):
        return _paragraph("the memory is full", headline(problem), _MORE_MEMORY)
    if isinstance(problem, RuntimeError) and "can't start new thread" in str(problem):
        return _paragraph("no thread can be started", "", "Raise the limit of processes (ulimit -u) or of memory")
    return _of_tensorflow(problem) if _is_tensorflows(problem) else None


def headline(problem: BaseException) -> str:
    """Returns the message of an error in one line, which is the same whenever the same error is raised."""
    lines = [line.strip() for line in _NOISE.sub("", str(problem)).splitlines() if line.strip()] or [""]
    return lines[-1 if _is_tensorflows(problem) else 0][:_LONGEST]  # TensorFlow's begin with a traceback


def cannot_be_written(place: object, problem: OSError, remedy: str = "") -> str:
    """Returns the sentences about a place that cannot be written; `remedy` replaces the usual one."""
    if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = remedy or "Make it writable, or set outputs= to a writable folder."
    return f"{place}: cannot be written: {_reason(problem)}. {remedy or _remedy(problem.errno)}"


def _of_system(problem: OSError) -> str | None:
    if problem.errno is None:  # raised by a library or a method, which says what it likes
        return None
    places = [os.fsdecode(one) for one in (problem.filename, problem.filename2) if isinstance(one, str | bytes)]
    place = f"{' and '.join(places)}: " if places else ""
    return f"{place}{_reason(problem)}. {_remedy(problem.errno)}"


def _is_tensorflows(problem: BaseException) -> bool:
    return type(problem).__module__.startswith("tensorflow.")


def _of_tensorflow(problem: BaseException) -> str | None:
    kind, message = type(problem).__name__, str(problem)
    if found := _FILE.search(message):
        return f"{found['place']}: {found['reason']}. {_remedy(_NUMBERS[found['reason']])}"
    if found := _PYTHON.search(message):
        place = f"{found['place']}: " if found["place"] else ""
        return f"{place}{found['reason']}. {_remedy(int(found['number']))}"
    if kind == "ResourceExhaustedError" or (kind == "InternalError" and _DEVICE_MEMORY.search(message)):
        return _paragraph("the memory of a device is full, or the device failed", headline(problem), _MORE_MEMORY)
    return _paragraph(kind, headline(problem), _TENSORFLOW[kind]) if kind in _TENSORFLOW else None


def _paragraph(what: str, detail: str, remedy: str) -> str:
    return f"{what}{f' ({detail})' if detail else ''}. {remedy}, {_AGAIN}"


def _remedy(number: int | None) -> str:
    return f"{_REMEDIES.get(number or 0, 'Correct that')}, {_AGAIN}"


def _reason(problem: OSError) -> str:
    return problem.strerror or str(problem)
