"""Prints the results table of everything in outputs/: python aggregate.py [--update README.md]."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from kd_bench.errors import BenchError
from kd_bench.results.outputs import Outputs, load_outputs
from kd_bench.results.problems import list_problems, verify_files
from kd_bench.results.readme import MarkerError, update_block
from kd_bench.results.render import FORMATS, render_runs, render_tables
from kd_bench.results.table import build_tables


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints, or writes into a file, what the outputs folder holds; returns 1 if anything in it is wrong."""
    options = _parse(arguments)
    outputs = load_outputs(options.outputs)
    altered = verify_files(outputs) if options.verify else []
    for problem in [*list_problems(outputs), *altered]:
        print(problem, file=sys.stderr)
    if not outputs.finished or (options.update and len(outputs.failed) == len(outputs.finished)):
        print(f"{options.outputs}: no run is done yet; start one: python run.py method=fitnet", file=sys.stderr)
        return 1
    try:
        _publish(outputs, options)
    except BrokenPipeError:  # Whoever read the output (head, less) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, BenchError, MarkerError) as error:
        print(f"aggregate.py: {error}", file=sys.stderr)
        return 1
    return 1 if outputs.failed or outputs.unreadable or altered else 0


def _publish(outputs: Outputs, options: argparse.Namespace) -> None:
    if options.runs:
        print(render_runs(outputs, options.format), flush=True)
    elif options.update:
        update_block(options.update, render_tables(build_tables(outputs), "markdown"))
        print(f"{options.update}: results updated")
    else:
        print(render_tables(build_tables(outputs), options.format), flush=True)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Print the results table of all runs, with mean, spread and n.")
    parser.add_argument("--outputs", type=Path, default=Path("outputs"), help="where the runs are (default: outputs)")
    parser.add_argument("--format", choices=FORMATS, default="markdown", help="(default: markdown)")
    view = parser.add_mutually_exclusive_group()
    view.add_argument("--runs", action="store_true", help="one line per run instead of the tables")
    view.add_argument("--update", type=Path, metavar="FILE", help="write the tables between FILE's results markers")
    parser.add_argument("--verify", action="store_true", help="compare each file with its checksum in the record")
    options = parser.parse_args(arguments)
    if options.update and options.format != "markdown":
        parser.error("--update writes Markdown; leave --format out")
    return options


if __name__ == "__main__":
    sys.exit(main())
