"""Reads runs from outputs folders and bundles, both in the same way."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from kd_bench.checks import Printable
from kd_bench.config import TEACHER_METHOD
from kd_bench.errors import BenchError, DamageError
from kd_bench.installation import program
from kd_bench.results.bundle import (
    ENDINGS,
    Curve,
    Entry,
    check_network,
    is_bundle,
    network_path,
    read_bundle,
    write_bundle,
)
from kd_bench.runs.exports import Export, read_exports
from kd_bench.runs.files import make_folder, read_file, write_atomically
from kd_bench.runs.folder import RunFolder, find_runs, read_folder_record
from kd_bench.runs.metrics import read_metrics
from kd_bench.runs.record import DONE, Record, read_document, read_record, record_document


@dataclass(frozen=True)
class FoundRun:
    """A finished run, done or failed. `folder` is relative to `source`: an outputs folder, or a bundle."""

    source: str
    folder: str
    record: Record


@dataclass(frozen=True)
class FoundRuns:
    """The runs of all sources.

    Attributes:
        runs: The finished runs.
        unfinished: The folders of runs without a record: still running, or interrupted.
        unreadable: A message for each record that cannot be read, or is not where it belongs.
    """

    runs: list[FoundRun] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


class UnreadableWarning(UserWarning):
    """A file beside a record cannot be read: what it would show is left out."""


def read_sources(sources: Iterable[Path]) -> FoundRuns:
    """Reads all records of outputs folders and bundles. A record that cannot be read gives a message, not an error.

    Raises:
        BenchError: A source is missing, is neither a folder nor a bundle, or is a bundle that cannot be read at all.
    """
    found = FoundRuns()
    for source in sources:
        _check(source)
        read = _read_bundle if is_bundle(source) else _read_folder
        read(source, found)
    return found


def _check(source: Path) -> None:
    if not source.exists():
        raise BenchError(f"{source}: there is no such folder or bundle; start a run: {program('run')} method=fitnet")
    if source.is_file() and not is_bundle(source):
        raise BenchError(f"{source}: is neither a folder nor a bundle, whose name ends in {' or '.join(ENDINGS)}")


def read_curves(source: Path, folders: Iterable[str]) -> dict[str, Curve]:
    """Returns the test accuracy per epoch of these runs of a source, by folder; empty if it is not known."""
    if is_bundle(source):
        curves = {entry.folder: entry.curve for entry in read_bundle(source)[0]}
        return {folder: curves[folder] for folder in folders}
    return {folder: _curve(RunFolder(source / folder)) for folder in folders}


def read_entries(source: Path, folders: Iterable[str]) -> list[Entry]:
    """Returns these runs of a source as entries of a bundle."""
    if is_bundle(source):
        chosen = set(folders)
        return [entry for entry in read_bundle(source)[0] if entry.folder in chosen]
    run_folders = {folder: RunFolder(source / folder) for folder in folders}
    return [
        Entry(folder, _curve(run_folder), record_document(read_record(run_folder.record)))
        for folder, run_folder in run_folders.items()
    ]


def read_network(source: Path, entry: Entry) -> bytes:
    """Returns the trained network of a run of a source.

    Raises:
        DamageError: The network is not what the run wrote.
        BenchError: The network is missing.
    """
    record = read_document(entry.record)
    path = network_path(source, record) if is_bundle(source) else RunFolder(source / entry.folder).network
    try:
        return check_network(path, read_file(path), record)
    except OSError as error:
        raise BenchError(
            f"{path}: cannot be read ({error.strerror}); bundle teachers with their networks, or leave them out with "
            "--methods"
        ) from error


def read_run_exports(source: Path, folder: str) -> list[Export]:
    """Returns what was measured of the exported networks of a run of a source. A bundle has none.

    Files that cannot be read give a warning.
    """
    run_folder = RunFolder(source / folder)
    if is_bundle(source) or not run_folder.exports.is_dir():
        return []
    try:
        return read_exports(run_folder, read_record(run_folder.record).files.get(run_folder.network.name, ""))
    except DamageError as problem:
        warnings.warn(str(problem), UnreadableWarning, stacklevel=2)
        return []


def bundle_runs(runs: pd.DataFrame, path: Path) -> None:
    """Writes a bundle of the runs, and their teachers' networks beside it.

    Args:
        runs: Rows of the runs' data frame.
        path: The bundle.

    Raises:
        BenchError: A teacher's network is missing or is not what the run wrote, or two runs have the same folder.
        StorageError: A file cannot be written.
    """
    entries = []
    for name, group in runs.groupby("source"):
        source = Path(str(name))
        entries += read_entries(source, group["folder"])
        for entry in read_entries(source, group.loc[_is_trained_teacher(group), "folder"]):
            network = network_path(path, read_document(entry.record))
            make_folder(network.parent)
            write_atomically(network, read_network(source, entry))
    write_bundle(path, entries)


def _is_trained_teacher(runs: pd.DataFrame) -> pd.Series:
    return (runs["method"] == TEACHER_METHOD) & (runs["status"] == DONE)


def _curve(folder: RunFolder) -> Curve:
    try:
        if folder.bundled.exists() and not folder.metrics.exists():
            return _bundled_curve(folder)
        lines = read_metrics(folder.metrics)
    except BenchError as problem:
        warnings.warn(str(problem), UnreadableWarning, stacklevel=2)
        return []
    return [(line["epoch"], line["test_accuracy"]) for line in lines if "test_accuracy" in line]


def _bundled_curve(folder: RunFolder) -> Curve:
    entries, problems = read_bundle(folder.bundled)
    if problems:
        raise DamageError(problems[0])
    if [read_document(entry.record) for entry in entries] != [read_record(folder.record)]:
        raise DamageError(f"{folder.bundled}: is not of the run in its folder; delete the file")
    return entries[0].curve


def _read_folder(outputs: Path, found: FoundRuns) -> None:
    for folder, has_record in find_runs(outputs, found.unreadable):
        if folder.path.as_posix() not in Printable():
            found.unreadable.append(f"{folder}: the name of this folder is no text that can be shown; rename it")
            continue
        if not has_record:
            found.unfinished.append(folder.path.as_posix())
            continue
        try:
            record = read_folder_record(folder)
        except BenchError as error:
            found.unreadable.append(str(error))
            continue
        found.runs.append(FoundRun(outputs.as_posix(), folder.path.relative_to(outputs).as_posix(), record))


def _read_bundle(path: Path, found: FoundRuns) -> None:
    entries, problems = read_bundle(path)
    found.unreadable.extend(problems)
    for entry in entries:
        try:
            found.runs.append(FoundRun(path.as_posix(), entry.folder, read_document(entry.record)))
        except ValueError as error:
            found.unreadable.append(f"{path}: {entry.folder}: {error}")
