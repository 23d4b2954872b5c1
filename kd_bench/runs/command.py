"""The id of the command that runs belong to: what failed under it is not tried again by it, on any machine."""

import os
import uuid

COMMAND = "KD_BENCH_COMMAND"
"""The environment variable with the id, for all processes of a command on all machines."""
_ARRAY = "SLURM_ARRAY_JOB_ID"


def begin_command() -> None:
    """Gives this command an id, if it has none. The tasks of a Slurm array are one command."""
    os.environ.setdefault(COMMAND, os.environ.get(_ARRAY) or uuid.uuid4().hex)


def command_id() -> str:
    """Returns the id of this command; empty outside of commands."""
    return os.environ.get(COMMAND, "")
