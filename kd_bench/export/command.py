"""The command `export`: writes the networks of finished runs in other formats, and measures them."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from kd_bench.config.paths import require_home
from kd_bench.errors import BenchError
from kd_bench.export.finished import Finished, read_finished
from kd_bench.export.packages import require_packages
from kd_bench.installation import program
from kd_bench.launch.quiet import quietly
from kd_bench.messages import protect_streams, show, warn
from kd_bench.runs import environment
from kd_bench.runs.exports import ARTEFACTS, Export, artefact

_INT8 = "litert_int8"
_FORMATS = [form for form in ARTEFACTS if form != _INT8]
_DEFAULT = ["saved_model", "litert"]
_NOTE = (
    "Accuracy is on the test set, in %; Differ counts the test images that get another class than in the run. Latency "
    "is the median of single images. Both times are of calls from Python, on one thread of {processor}."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exports the networks of the runs; returns 1 if one cannot be exported, 2 if nothing can begin."""
    protect_streams()
    options = _parse(arguments)
    forms = list(dict.fromkeys([*options.formats, *([_INT8] if options.int8 else [])]))
    try:
        require_home()
        runs = [read_finished(path, options.data_dir, options.trust) for path in options.runs]
        for form in forms:
            require_packages(form)
    except BenchError as problem:
        _complain(problem)
        return 2
    exported = [_export(run, forms) for run in runs]
    if any(exported):
        show(_NOTE.format(processor=environment.processor() or "an unknown processor"))
    return 0 if all(len(one) == len(forms) for one in exported) else 1


def _export(run: Finished, forms: Sequence[str]) -> list[Export]:
    """Exports one run's network, and prints its table; returns what was exported."""
    with quietly():  # TensorFlow is imported
        from kd_bench.export.formats import load_network, use_one_thread

    use_one_thread()
    try:
        network, _ = load_network(run.folder.network), run.dataset
    except BenchError as problem:
        _complain(problem)
        return []
    exported = [export for form in forms if (export := _attempt(run, network, form)) is not None]
    if exported:
        show(_table(run, exported))
    return exported


def _attempt(run: Finished, network: Any, form: str) -> Export | None:
    """Exports a run's network in a format; returns None, and says why, if that is impossible."""
    from kd_bench.export.exporting import export

    try:
        return export(run, network, form)
    except BenchError as problem:
        _complain(problem)
        return None


def _complain(problem: BenchError) -> None:
    warn(" ".join(["error:", *str(problem).split()]))


def _table(run: Finished, exported: Sequence[Export]) -> str:
    images = f"Images/s, {exported[0].batch_size} at a time"
    header = ["Format", "File", "Size, kB", "Latency, ms", images, "Accuracy", "Differ"]
    lines = [_line(run, export) for export in exported]
    recorded = f"In the run: {100 * (run.record.scores.last_accuracy or 0):.2f} % of {exported[0].images} test images."
    return "\n\n".join([f"### {run.folder}", tabulate(lines, header, "github", disable_numparse=True), recorded]) + "\n"


def _line(run: Finished, export: Export) -> list[str]:
    return [
        export.format,
        artefact(run.folder, export.format).relative_to(run.folder.path).as_posix(),
        f"{export.size_bytes / 1000:,.1f}",
        "-" if export.latency_ms is None else f"{export.latency_ms:,.3f}",
        "-" if export.images_per_second is None else f"{export.images_per_second:,.0f}",
        f"{100 * export.accuracy:.2f}",
        str(export.differing),
    ]


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=program("export"),
        description="Export the networks of finished runs, check them on the test set, and measure size and time.",
    )
    add = parser.add_argument
    add("runs", type=Path, nargs="+", metavar="RUN", help="the folder of a finished run")
    add("--formats", nargs="+", choices=_FORMATS, default=_DEFAULT, help=f"(default: {' '.join(_DEFAULT)})")
    add("--data-dir", metavar="FOLDER", help="the folder of prepared data sets, if a run had its own dataset.data_dir")
    add("--trust", nargs="+", default=[], metavar="TARGET", help="your own functions that make the runs' data sets")
    add("--int8", action="store_true", help="also LiteRT in 8-bit integers")
    return parser.parse_args(arguments)
