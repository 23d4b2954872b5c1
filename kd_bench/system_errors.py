"""Tells a failure of the system (disk, memory, network, device) from one of the code."""

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
_FILE = re.compile(rf"(?:^|\s)(?P<path>/[^;\n]*); (?P<reason>{'|'.join(map(re.escape, _NUMBERS))})")
"""TensorFlow's message about a file: `path; reason`."""
_PYTHON = re.compile(r"\[Errno (?P<number>\d+)\] (?P<reason>[^:\n]+)(?:: '(?P<path>[^'\n]+)')?")
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


def system_error(problem: BaseException) -> str | None:
    """Returns what failed around the run and what to do, in one paragraph; None if the code failed.

    TensorFlow's errors are known by their names, so that this module does not import it.
    """
    if isinstance(problem, OSError):
        return _os_error(problem)
    if isinstance(problem, MemoryError):
        return _paragraph("the memory is full", headline(problem), _MORE_MEMORY)
    if isinstance(problem, RuntimeError) and "can't start new thread" in str(problem):
        return _paragraph("no thread can be started", "", "Raise the limit of processes (ulimit -u) or of memory")
    return _tensorflow_error(problem) if _is_from_tensorflow(problem) else None


def headline(problem: BaseException) -> str:
    """Returns the message of an error in one line, which is the same whenever the same error is raised."""
    lines = [line.strip() for line in _NOISE.sub("", str(problem)).splitlines() if line.strip()] or [""]
    return lines[-1 if _is_from_tensorflow(problem) else 0][:_LONGEST]  # TensorFlow's begin with a traceback


def cannot_be_written(target: object, problem: OSError, remedy: str = "") -> str:
    """Returns the sentences about a place that cannot be written; `remedy` replaces the usual one."""
    if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = remedy or "Make it writable, or set outputs= to a writable folder."
    return f"{target}: cannot be written: {_reason(problem)}. {remedy or _remedy(problem.errno)}"


def _os_error(problem: OSError) -> str | None:
    if problem.errno is None:  # raised by a library or a method, which says what it likes
        return None
    paths = [os.fsdecode(path) for path in (problem.filename, problem.filename2) if isinstance(path, str | bytes)]
    prefix = f"{' and '.join(paths)}: " if paths else ""
    return f"{prefix}{_reason(problem)}. {_remedy(problem.errno)}"


def _is_from_tensorflow(problem: BaseException) -> bool:
    return type(problem).__module__.startswith("tensorflow.")


def _tensorflow_error(problem: BaseException) -> str | None:
    name, message = type(problem).__name__, str(problem)
    if found := _FILE.search(message):
        return f"{found['path']}: {found['reason']}. {_remedy(_NUMBERS[found['reason']])}"
    if found := _PYTHON.search(message):
        prefix = f"{found['path']}: " if found["path"] else ""
        return f"{prefix}{found['reason']}. {_remedy(int(found['number']))}"
    if name == "ResourceExhaustedError" or (name == "InternalError" and _DEVICE_MEMORY.search(message)):
        return _paragraph("the memory of a device is full, or the device failed", headline(problem), _MORE_MEMORY)
    return _paragraph(name, headline(problem), _TENSORFLOW[name]) if name in _TENSORFLOW else None


def _paragraph(what: str, detail: str, remedy: str) -> str:
    return f"{what}{f' ({detail})' if detail else ''}. {remedy}, {_AGAIN}"


def _remedy(number: int | None) -> str:
    return f"{_REMEDIES.get(number or 0, 'Correct that')}, {_AGAIN}"


def _reason(problem: OSError) -> str:
    return problem.strerror or str(problem)
