"""A run in a process that kills itself at a chosen moment, as a power cut would."""

import multiprocessing
import os
import signal
import threading
from dataclasses import dataclass

from kd_bench.config import compose


@dataclass(frozen=True)
class After:
    """After so many seconds."""

    seconds: float

    def arm(self):
        """Starts the clock."""
        timer = threading.Timer(self.seconds, os.kill, (os.getpid(), signal.SIGKILL))
        timer.daemon = True
        timer.start()


@dataclass(frozen=True)
class InWrite:
    """In the n-th write of a whole file: half-written, written but not renamed, or renamed but not synchronised."""

    number: int
    moment: str

    def arm(self):
        """Replaces the two functions that write."""
        from kd_bench.runs import files

        write, folder, seen = files._write_synced, files._sync_folder, []

        def write_or_die(path, content):
            seen.append(path)
            if len(seen) == self.number and self.moment == "half":
                path.write_bytes(content[: len(content) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            write(path, content)
            if len(seen) == self.number and self.moment == "written":
                os.kill(os.getpid(), signal.SIGKILL)

        def folder_or_die(path):
            if len(seen) == self.number and self.moment == "renamed":
                os.kill(os.getpid(), signal.SIGKILL)
            folder(path)

        files._write_synced, files._sync_folder = write_or_die, folder_or_die


def attempt(arguments, kill=None):
    """Runs the run in a process of its own; returns its exit code, -9 if it was killed."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kd_bench.launch.preload"])
    process = context.Process(target=_run, args=(arguments, kill))
    process.start()
    process.join(300)
    assert process.exitcode is not None, "the run did not end"
    return process.exitcode


def _run(arguments, kill):
    from kd_bench import execution

    (config,) = compose.jobs(arguments)
    if kill is not None:
        kill.arm()
    if (teacher := config.teacher_run()) is not None:
        execution.run(teacher)
    execution.run(config)
