"""A GPU for each job: the process that trains locks a free GPU, and the lock ends with the process.

Environment variables cannot choose the GPU of a job: runs are forked from a server, and its environment was fixed when
it started. And the number of a job does not tell which GPU is free.
"""

import contextlib
import os
import random
import time
from collections.abc import Sequence

from filelock import BaseFileLock, FileLock, Timeout

from kd_bench.messages import say
from kd_bench.runs.lock import machine_locks

_PAUSE = 1.0
"""Average seconds between two tries."""
_claimed: list[BaseFileLock] = []
"""The locks of this process, held until it ends."""


def claim(names: Sequence[str], count: int, jobs_per_device: int = 1) -> list[int]:
    """Claims free devices for this process, until it ends or claims again. Waits until enough devices are free.

    Args:
        names: the names of all devices, unique on this machine.
        count: how many devices this process needs; at most `len(names)`.
        jobs_per_device: how many processes may share a device.

    Returns:
        The indices in `names` of the claimed devices, ascending.
    """
    _release(_claimed)
    waited = False
    while True:
        claimed = _claim_free(names, count, jobs_per_device)
        if len(claimed) == count:
            _claimed.extend(claimed.values())
            return sorted(claimed)
        _release(list(claimed.values()))  # two jobs that each keep a part of what they need would wait forever
        if not waited:
            say(
                f"Waits until {count} of {len(names)} GPUs are free; hardware.jobs_per_gpu={jobs_per_device + 1} lets "
                "jobs share them."
            )
            waited = True
        time.sleep(_PAUSE * random.uniform(0.5, 1.5))


def gpu_names(count: int) -> list[str]:
    """Returns a name, unique on this machine, for each GPU that TensorFlow sees.

    Args:
        count: how many GPUs TensorFlow sees.
    """
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    names = visible if len(visible) == count else list(map(str, range(count)))
    # Slurm gives each job its own devices, and every job may see its device as number 0.
    job = os.environ.get("SLURM_JOB_ID")
    return [f"job-{job}-{name}" if job else name for name in names]


def _release(locks: list[BaseFileLock]) -> None:
    while locks:
        locks.pop().release()


def _claim_free(names: Sequence[str], count: int, jobs_per_device: int) -> dict[int, BaseFileLock]:
    """Returns index in `names` -> lock for the claimed devices; empty devices come before shared ones."""
    # A temporary folder belongs to one machine, as GPUs do; an outputs folder may be shared by several machines.
    folder = machine_locks()
    claimed: dict[int, BaseFileLock] = {}
    for slot in range(jobs_per_device):
        for index, name in enumerate(names):
            if len(claimed) < count and index not in claimed:
                with contextlib.suppress(Timeout):
                    lock = FileLock(folder / f"gpu-{name}-{slot}.lock", fallback_to_soft=False, is_singleton=False)
                    lock.acquire(timeout=0)
                    claimed[index] = lock
    return claimed
