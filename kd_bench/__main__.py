"""The command `kd-bench`: starts one of its commands, of which the repository has some as scripts."""

import importlib
import sys
from pathlib import Path

from kd_bench.messages import protect_streams, show, warn

_COMMANDS = {
    "run": ("kd_bench.launch.run", "train one run, or with -m a sweep (run.py)"),
    "table": ("kd_bench.results.command", "print the results of all runs (aggregate.py)"),
    "status": ("kd_bench.launch.status", "list the runs: done, running, interrupted, failed, to do"),
    "tune": ("kd_bench.launch.tune", "tune methods by equally many trials, then test the best of each (tune.py)"),
    "export": ("kd_bench.export.command", "write the networks of runs as SavedModel, LiteRT or ONNX, and measure them"),
}
"""Command -> its module, which has a function `main`, and its help."""


def main() -> int:
    """Starts a command with the remaining arguments; returns its exit status."""
    protect_streams()
    name, *arguments = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        show(_help())
        return 0
    if name not in _COMMANDS:
        warn(f"error: {name}: there is no such command. Choose one of: {', '.join(_COMMANDS)}.")
        return 2
    module, _ = _COMMANDS[name]
    started = "kd-bench" if Path(sys.argv[0]).name == "kd-bench" else "python -m kd_bench"
    sys.argv = [f"{started} {name}", *arguments]  # Hydra and argparse read it
    return importlib.import_module(module).main()


def _help() -> str:
    lines = [f"  {name:<8}{text}" for name, (_, text) in _COMMANDS.items()]
    return "\n".join(["usage: kd-bench COMMAND ...; kd-bench COMMAND --help says more", "", *lines])


if __name__ == "__main__":
    sys.exit(main())
