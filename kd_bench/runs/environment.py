"""Facts about the software and the machine of a run. A fact that cannot be found is None; no function here raises."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import kd_bench
from kd_bench.installation import REPOSITORY

_CODE = ("kd_bench", "conf", "hydra_plugins", "run.py", "tune.py")
"""What of the repository can change a result."""
_GIT_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
"""The variables that git sets in a hook, where they name the repository of the hook."""
PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "tensorflow-datasets", "hydra-core")


def versions() -> dict[str, str | None]:
    """Returns the versions of Python, of kd_bench and of the packages that can change a result."""
    packages = {package: _version(package) for package in PACKAGES}
    return {"python": platform.python_version(), "kd_bench": kd_bench.__version__, **packages}


def machine() -> dict[str, str | int | None]:
    """Returns the machine's platform, processor and memory, and what it computes with on CPUs."""
    return {
        "platform": platform.platform(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_bytes": _memory_bytes(),
        "onednn": _uses_onednn(),
    }


def _uses_onednn() -> bool | None:
    """Returns whether TensorFlow computes with oneDNN, which is settled when it is loaded; None before."""
    if "tensorflow" not in sys.modules:
        return None
    from tensorflow.python.util import _pywrap_util_port  # No public function tells.

    return bool(_pywrap_util_port.IsMklEnabled())


def git_revision(sources: Iterable[Path] = (), directory: Path | None = REPOSITORY) -> dict[str, str | bool | None]:
    """Returns the checked-out revision, and whether the code of a run differs from it; None if it is not known.

    It is not known without git, outside the repository, and for a copy in a repository that does not track it.

    Args:
        sources: the files of the code. One that is not in the repository differs from its revision.
        directory: the repository.
    """
    unknown: dict[str, str | bool | None] = {"revision": None, "dirty": None}
    if directory is None:  # a repository around the installed package is the user's
        return unknown
    try:
        revision = _git(directory, "rev-parse", "HEAD")
        changed = _git(directory, "status", "--porcelain", "--untracked-files=no", "--", *_CODE)
        names = _git(directory, "ls-files", "-z").split("\0")
        if names == [""]:  # the repository is around an unpacked copy, and is another one
            return unknown
        tracked = {Path(directory, name).resolve() for name in names}
        return {"revision": revision, "dirty": bool(changed) or not tracked.issuperset(map(Path.resolve, sources))}
    except (OSError, subprocess.SubprocessError):
        return unknown


def peak_memory_bytes() -> int | None:
    """Returns the peak memory of this process; None if the system does not report it (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def processor() -> str | None:
    """Returns the processor's name. On Linux, `platform` does not find it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or None
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or None)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _git(directory: Path, *arguments: str) -> str:
    # In a container the repository often belongs to another user. Its code runs here anyway, so git may read it.
    command = ["git", "--no-optional-locks", "-c", "safe.directory=*", "-C", str(directory), *arguments]
    variables = {name: value for name, value in os.environ.items() if name not in _GIT_VARIABLES}
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30, env=variables)
    return done.stdout.strip()
