"""A GPU for each job: locks that die with their holder, chosen in the process that trains.

Environment variables cannot give a job its GPU: runs are forked from a server whose environment was fixed when it
started. And a job's number says nothing about which GPU is free.
"""

import contextlib
import getpass
import os
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

_PAUSE = 1.0
"""Seconds from one try to the next, on average."""
_claimed: list[BaseFileLock] = []
"""Held until this process ends."""


def claim(names: Sequence[str], count: int, jobs_per_device: int = 1) -> list[int]:
    """Claims free devices of this machine for this process until it ends or claims again; waits until there are enough.

    Args:
        names: of all devices, unique on this machine.
        count: how many this process needs, at most as many as there are.
        jobs_per_device: how many processes may share a device.

    Returns:
        The places of the claimed devices in `names`, ascending.
    """
    _release(_claimed)
    waited = False
    while True:
        claimed = _claim_free(names, count, jobs_per_device)
        if len(claimed) == count:
            _claimed.extend(claimed.values())
            return sorted(claimed)
        _release(list(claimed.values()))  # two jobs that keep a part of what both need would wait for ever
        if not waited:
            print(
                f"Waits for {count} free of {len(names)} GPUs; hardware.jobs_per_gpu={jobs_per_device + 1} would let "
                "jobs share them.",
                flush=True,
            )
            waited = True
        time.sleep(_PAUSE * random.uniform(0.5, 1.5))


def gpu_names(count: int) -> list[str]:
    """Returns a name on this machine for each GPU that TensorFlow sees.

    Args:
        count: how many it sees.
    """
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    names = visible if len(visible) == count else list(map(str, range(count)))
    # Slurm gives a job devices of its own, which each job may see as number 0.
    job = os.environ.get("SLURM_JOB_ID")
    return [f"job-{job}-{name}" if job else name for name in names]


def _release(locks: list[BaseFileLock]) -> None:
    while locks:
        locks.pop().release()


def _claim_free(names: Sequence[str], count: int, jobs_per_device: int) -> dict[int, BaseFileLock]:
    """Returns a lock for each device claimed, by its place; empty devices come before shared ones."""
    # Temporary files are the machine's own, as are its GPUs, wherever the outputs folders lie.
    folder = Path(tempfile.gettempdir(), f"kd_bench-{getpass.getuser()}")
    folder.mkdir(exist_ok=True)
    claimed: dict[int, BaseFileLock] = {}
    for share in range(jobs_per_device):
        for place, name in enumerate(names):
            if len(claimed) < count and place not in claimed:
                with contextlib.suppress(Timeout):
                    lock = FileLock(folder / f"gpu-{name}-{share}.lock", fallback_to_soft=False, is_singleton=False)
                    lock.acquire(timeout=0)
                    claimed[place] = lock
    return claimed
