"""The two commands, as a user starts them."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHORT = ["epochs=2", "teacher.epochs=2", "batch_size=64", "hardware=cpu"]


def run(*arguments, outputs, env=None):
    command = [sys.executable, ROOT / "run.py", *arguments, f"outputs={outputs}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=400, env=env)


def aggregate(*arguments, outputs):
    command = [sys.executable, ROOT / "aggregate.py", "--outputs", outputs, *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def records(outputs):
    found = [json.loads(path.read_text()) for path in sorted(Path(outputs).rglob("result.json"))]
    return {(record["run"]["method"], record["run"]["fraction"], record["run"]["seed"]): record for record in found}
