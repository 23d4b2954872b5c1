"""The command `aggregate`, or `kd-bench table`: prints the results of all runs, or writes them to files."""

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

from kd_bench.errors import BenchError
from kd_bench.installation import program
from kd_bench.messages import one_line, pluralize, protect_streams, show, warn
from kd_bench.results.bundle import bundle_name, unbundle
from kd_bench.results.columns import COLUMNS
from kd_bench.results.frame import Runs, read_runs, with_hyper_parameters
from kd_bench.results.lengths import read_costs
from kd_bench.results.literature import read_published
from kd_bench.results.problems import list_problems, verify
from kd_bench.results.readme import block_names, update_blocks
from kd_bench.results.render import render_runs
from kd_bench.results.rows import STUDENT
from kd_bench.results.selection import Filters, comparable, select
from kd_bench.results.sources import UnreadableWarning, bundle_runs
from kd_bench.results.table import Table, build_tables
from kd_bench.results.text import FORMATS, PARTS, Style
from kd_bench.results.views import ACCURACY, BRIEF, GAINS, LENGTHS, LITERATURE, OVERVIEW, View


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the results of the sources, or writes them to files; returns 1 if a source has a problem."""
    protect_streams()
    options = _parse(arguments)
    try:
        problems = (_unbundle if options.unbundle else _show_results)(options)
    except (OSError, BenchError) as error:
        warn(one_line(f"{Path(sys.argv[0]).name}: {error}"))
        return 1
    return 1 if problems else 0


def _unbundle(options: argparse.Namespace) -> bool:
    (outputs,) = options.outputs
    restored, problems = unbundle(options.unbundle, outputs)
    show(f"{outputs}: {pluralize(restored, 'run')} restored from {options.unbundle}")
    for problem in problems:
        warn(one_line(problem))
    return bool(problems)


def _show_results(options: argparse.Namespace) -> bool:
    """Prints or writes the results; returns whether a run failed or a file was changed later."""
    runs = read_runs(options.outputs)
    verified = verify(runs) if options.verify else None
    for problem in [*list_problems(runs), *(verified.lines() if verified else [])]:
        warn(one_line(problem))
    if runs.frame.empty or (options.update and len(runs.failed) == len(runs.tabulated)):
        sources = ", ".join(map(str, options.outputs))
        if runs.unreadable:
            raise BenchError(f"{sources}: no run can be read")
        raise BenchError(f"{sources}: no run is done yet; start one: {program('run')} method=fitnet")
    action = _update if options.update else _bundle if options.bundle else _print
    left_out = _warn_of_unreadable(lambda: action(runs, options))
    return bool(len(runs.failed) or runs.unreadable or (verified and verified.altered) or left_out)


def _warn_of_unreadable(action: Callable[[], None]) -> bool:
    """Does something, then prints a line for each file that it could not read; returns whether there was one."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UnreadableWarning)
        action()
    messages = [str(warning.message) for warning in caught if issubclass(warning.category, UnreadableWarning)]
    for message in dict.fromkeys(messages):
        warn(one_line(f"unreadable: {message}"))
    return bool(messages)


def _print(runs: Runs, options: argparse.Namespace) -> None:
    if options.runs:
        show(render_runs(with_hyper_parameters(select(runs.frame, _filters(options))), options.format))
    elif options.html:
        from kd_bench.results.report import write_report

        write_report(_tables(runs, options), options.html, options.columns)
        show(str(options.html))
    elif options.plots:
        from kd_bench.results.pictures import write_pictures  # Altair takes half a second to import.

        pictures = _view(options).pictures(_tables(runs, options))
        show("\n".join(map(str, write_pictures(pictures, options.plots))))
    else:
        show(_view(options).text(_tables(runs, options), options.format))


def _bundle(runs: Runs, options: argparse.Namespace) -> None:
    chosen = select(runs.frame, _filters(options))
    bundle_runs(chosen, options.bundle)
    show(f"{options.bundle}: {pluralize(len(chosen), 'run')}")


def _update(_: Runs, options: argparse.Namespace) -> None:
    """Writes the blocks of files. A named block shows the source with this name; a block without a name shows all.

    The block `name.lengths` shows the lengths of the source `name`, `.overview` the methods in all sources, and so on.
    """
    for path in options.update:
        contents = {block: _block(block, path, options) for block in block_names(path)}
        update_blocks(path, contents)
        show(f"{path}: results updated")


_BLOCKS: dict[str, dict[str, Any]] = {
    "presets": {"presets_only": True},
    **{view: {"view": view} for view in (GAINS, LENGTHS, LITERATURE, BRIEF, OVERVIEW)},
}
"""The options that a block's ending sets."""


def _block(block: str, path: Path, options: argparse.Namespace) -> str:
    """Returns what a file's block shows, and writes its pictures."""
    name, ending = block.partition(".")[::2]
    sources = [source for source in options.outputs if name in ("", bundle_name(source))]
    if name and len(sources) != 1:
        raise BenchError(f"{path}: its block {block} needs exactly one {name}.jsonl in --outputs")
    if ending not in ("", *_BLOCKS):
        raise BenchError(f"{path}: its block {block} needs one of the views {', '.join(_BLOCKS)}")
    options = argparse.Namespace(**vars(options) | _sibling_files(sources, options) | _BLOCKS.get(ending, {}))
    tables, view = _tables(read_runs(sources), options), _view(options)
    text = view.text(tables, "markdown")
    if not options.plots:
        return text
    from kd_bench.results.pictures import markdown_images, write_pictures

    pictures = write_pictures(view.pictures(tables, name), options.plots)
    return "\n\n".join(filter(None, [text, markdown_images(pictures, path.parent)]))


def _sibling_files(sources: Sequence[Path], options: argparse.Namespace) -> dict[str, Path]:
    """Returns the options that are not given and whose files are beside a bundle, such as `<name>.costs.json`."""
    found: dict[str, Path] = {}
    for source in reversed(sources):
        files = {"costs": f"{bundle_name(source)}.costs.json", "literature": "literature.csv"}
        paths = {name: source.with_name(file) for name, file in files.items() if getattr(options, name) is None}
        found |= {name: path for name, path in paths.items() if path.is_file()}
    return found


def _view(options: argparse.Namespace) -> View:
    costs = read_costs(options.costs) if options.costs else None
    published = read_published(options.literature) if options.literature else None
    style = Style(options.without, dict(options.names))
    return View(options.view, options.columns, costs, published, style)


def _tables(runs: Runs, options: argparse.Namespace) -> list[Table]:
    filters = _filters(options)
    if runs.tabulated.empty:
        raise BenchError("all runs belong to searches (validation above 0): no table shows them; --runs lists them")
    shown = select(runs.tabulated, filters).index
    return build_tables(comparable(runs.tabulated, filters), shown, options.reference, runs.unfinished, runs.repeats)


def _filters(options: argparse.Namespace) -> Filters:
    return Filters(**{field.name: getattr(options, field.name) for field in fields(Filters)})


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Print the results table of all runs: mean, deviation, number of seeds."
    )
    add = parser.add_argument
    sources = "outputs folders and bundles (.jsonl, .jsonl.gz); default: outputs"
    add("--outputs", type=Path, nargs="+", action="extend", metavar="SOURCE", help=sources)
    add("--format", choices=FORMATS, default="markdown", help="(default: markdown)")
    add("--reference", default=STUDENT, metavar="ROW", help="row to compare with (default: Student)")
    add("--plots", type=Path, metavar="FOLDER", help="draw pictures (SVG) into FOLDER")
    add("--verify", action="store_true", help="compare each file with its checksum in the record")
    add("--costs", type=Path, metavar="FILE", help="costs of steps by benchmarks.cost, for --lengths")
    add("--columns", nargs="+", choices=COLUMNS, default=(), help="more columns of the tables")
    add("--without", nargs="+", choices=PARTS, default=(), help="what the tables leave out")
    names = "names of rows in print, e.g. Soft_logits=KD"
    add("--names", nargs="+", type=_pair, default=(), metavar="ROW=NAME", help=names)
    parser.set_defaults(view=ACCURACY)
    _add_filters(parser)
    _add_views(parser)
    options = parser.parse_args(arguments)
    options.outputs = options.outputs or [Path("outputs")]  # a default would be extended, too
    _refuse_contradictions(parser, options)
    if options.literature:
        options.view = LITERATURE
    return options


def _refuse_contradictions(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    if options.update and options.format != "markdown":
        parser.error("--update writes Markdown; leave --format out")
    if options.html and options.format != "markdown":
        parser.error("--html writes HTML; leave --format out")
    if options.plots and (options.runs or options.html or options.bundle or options.unbundle):
        parser.error("--plots draws tables; leave --runs, --html, --bundle and --unbundle out")
    if options.columns and (options.runs or options.view != ACCURACY or options.bundle or options.unbundle):
        parser.error(
            "--columns is for tables of accuracies; leave --runs, --gains, --lengths, --bundle, --unbundle out"
        )
    if (options.names or options.without) and (
        options.format not in ("markdown", "latex")
        or options.view not in (ACCURACY, GAINS)
        or any((options.runs, options.html, options.literature, options.bundle, options.unbundle))
    ):
        parser.error("--names and --without are for tables of accuracies and gains in Markdown and LaTeX")
    if options.costs and options.view != LENGTHS and not options.update:
        parser.error("--costs is for --lengths and for --update")
    if options.unbundle and len(options.outputs) != 1:
        parser.error("--unbundle needs one folder: --outputs FOLDER")


def _add_views(parser: argparse.ArgumentParser) -> None:
    add = parser.add_mutually_exclusive_group().add_argument
    view = partial(add, dest="view", action="store_const")
    add("--runs", action="store_true", help="one line per run instead of the tables")
    view("--gains", const=GAINS, help="tables of gains over the reference, with intervals")
    view("--lengths", const=LENGTHS, help="accuracies beside a student that trains longer")
    add("--literature", type=Path, metavar="FILE", help="gains beside the published ones of a CSV file")
    add("--html", type=Path, metavar="FILE", help="write a page to look at: tables, pictures and runs")
    add("--update", type=Path, nargs="+", metavar="FILE", help="write tables between results markers")
    add("--bundle", type=Path, metavar="FILE", help="write the chosen runs into one file")
    add("--unbundle", type=Path, metavar="FILE", help="restore a bundle's runs into --outputs")


def _add_filters(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("filters", "separate several values with commas")
    for name in ("dataset", "model", "experiment", "methods"):
        group.add_argument(f"--{name}", type=_list_of(str), default=(), metavar="NAMES")
    group.add_argument("--fractions", type=_list_of(float), default=(), metavar="FRACTIONS", help="e.g. 1.0,0.25")
    group.add_argument("--seeds", type=_list_of(int), default=(), metavar="SEEDS", help="e.g. 0,1,2")
    group.add_argument("--presets-only", action="store_true", help="only runs with all settings of their preset")


def _pair(text: str) -> tuple[str, str]:
    """Returns the row and its name in print; the row's own name can have equals signs, as in `AT (beta=5)=AT`."""
    row, equals, name = text.rpartition("=")
    if not (row and equals and name):
        raise argparse.ArgumentTypeError(f"{text}: write ROW=NAME")
    return row, name


def _list_of(item_type: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    def values(text: str) -> list[Any]:
        return [item_type(part) for part in text.split(",")]

    values.__name__ = f"list of {item_type.__name__}"  # argparse prints this name in its messages.
    return values
