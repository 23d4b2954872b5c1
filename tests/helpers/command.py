"""The two commands, as a user starts them."""

import contextlib
import io
import json
import subprocess
import sys
import time
from pathlib import Path

from kd_bench.results.command import main

ROOT = Path(__file__).parents[2]
SHORT = ["epochs=2", "teacher.epochs=2", "batch_size=64", "hardware=cpu"]


def run(*arguments, outputs, env=None, cwd=None):
    command = [sys.executable, ROOT / "run.py", *arguments, f"outputs={outputs}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=400, env=env, cwd=cwd)


def started(*arguments, outputs, env=None):
    """Starts the command in a session of its own, as a terminal does, and does not wait for it."""
    command = [sys.executable, ROOT / "run.py", *arguments, f"outputs={outputs}"]
    pipe, both = subprocess.PIPE, subprocess.STDOUT
    return subprocess.Popen(command, stdout=pipe, stderr=both, text=True, start_new_session=True, env=env)


def wait_for(folder, pattern):
    """Waits until there is a file like this, and returns all of them."""
    wait_until(lambda: any(folder.glob(pattern)))
    return sorted(folder.glob(pattern))


def wait_until(reached, seconds=120):
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, f"not reached in {seconds} s"
        time.sleep(0.02)


def aggregate(*arguments, outputs=None):
    """Runs the command in this process, which has imported pandas; test_aggregate.py also starts the script."""
    out, err, argv = io.StringIO(), io.StringIO(), sys.argv
    sources = [] if outputs is None else ["--outputs", str(outputs)]
    sys.argv = ["aggregate.py", *sources, *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main()
    except SystemExit as end:  # of argparse
        status = end.code
    finally:
        sys.argv = argv
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


def records(outputs):
    found = [json.loads(path.read_text()) for path in sorted(Path(outputs).rglob("result.json"))]
    return {(record["run"]["method"], record["run"]["fraction"], record["run"]["seed"]): record for record in found}
