"""The command that runs belong to: its id, under which nothing is tried twice, and its process, with which they end."""

import os
import socket
import uuid

import psutil

COMMAND = "KD_BENCH_COMMAND"
"""The environment variable with the id, for all processes of a command on all machines."""
PROCESS = "KD_BENCH_PROCESS"
"""The environment variable with the command's process: its number and its host."""
_ARRAY = "SLURM_ARRAY_JOB_ID"


def begin_command() -> None:
    """Gives this command an id, if it has none, and makes this process the command's.

    The tasks of a Slurm array are one command.
    """
    os.environ.setdefault(COMMAND, os.environ.get(_ARRAY) or uuid.uuid4().hex)
    os.environ[PROCESS] = f"{os.getpid()} {socket.gethostname()}"


def command_process() -> psutil.Process | None:
    """Returns the process of this command, if it is on this host; None outside of commands, or if it has ended."""
    number, _, host = os.environ.get(PROCESS, "").partition(" ")
    if not number or host != socket.gethostname():
        return None
    try:
        return psutil.Process(int(number))
    except psutil.NoSuchProcess:
        return None


def command_id() -> str:
    """Returns the id of this command; empty outside of commands."""
    return os.environ.get(COMMAND, "")
