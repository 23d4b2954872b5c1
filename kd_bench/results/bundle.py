"""A bundle: the records of many runs in one file, to commit, to copy or to put back into an outputs folder.

One line of JSON per run, in the order of their folders. The same runs always give the same file. A file with the ending
`.gz` is compressed. Beside `x.jsonl`, the folder `x.networks/` holds the networks of the teachers, named by digest.
"""

import gzip
import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kd_bench.checks import Label, NonNegativeInt, Probability
from kd_bench.config import TEACHER_METHOD
from kd_bench.documents import json_checksum, read_json
from kd_bench.errors import BenchError, DamageError
from kd_bench.runs.files import make_folder, read_file, storing, write_atomically
from kd_bench.runs.folder import RunFolder, require_valid_folder
from kd_bench.runs.record import DONE, Record, RecordError, document_text, read_document, read_record
from kd_bench.typed import to_dataclass

ENDINGS = (".jsonl", ".jsonl.gz")

_LARGEST = 2**30
"""The largest bundle in bytes, decompressed. Twenty thousand runs have a tenth of it."""

Curve = list[tuple[NonNegativeInt, Probability]]
"""The test accuracy, in [0, 1], after each evaluated epoch (counted from 1)."""


@dataclass(frozen=True)
class Entry:
    """A run in a bundle.

    Attributes:
        folder: The run's folder, relative to the outputs folder, with `/` between its parts.
        curve: The test accuracy per epoch.
        record: Its record, with the record's own checksum.
    """

    folder: Label
    curve: Curve
    record: dict[str, Any]


def is_bundle(path: Path) -> bool:
    """Returns whether the path names a bundle, by its ending."""
    return path.name.endswith(ENDINGS)


def bundle_name(path: Path) -> str:
    """Returns a bundle's file name without its endings: "digits" of `docs/data/digits.jsonl.gz`."""
    return path.name.removesuffix(".gz").removesuffix(".jsonl")


def network_path(bundle: Path, record: Record) -> Path:
    """Returns the path of the network of a teacher in the bundle."""
    return bundle.with_name(f"{bundle_name(bundle)}.networks") / f"{record.run.digest}.keras"


def write_bundle(path: Path, entries: Iterable[Entry]) -> None:
    """Writes a bundle.

    Raises:
        BenchError: The name is not a bundle's, or two runs have the same folder.
        StorageError: The file cannot be written.
    """
    if not is_bundle(path):
        raise BenchError(f"{path}: a bundle's name ends in {' or '.join(ENDINGS)}")
    ordered = sorted(entries, key=lambda entry: entry.folder)
    folder, times = Counter(entry.folder for entry in ordered).most_common(1)[0]
    if times > 1:
        raise BenchError(
            f"{path}: {times} runs have the folder {folder}; bundle them separately, or select runs with a filter"
        )
    content = "".join(f"{_line(entry)}\n" for entry in ordered).encode()
    make_folder(path.parent)
    write_atomically(path, gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def read_bundle(path: Path) -> tuple[list[Entry], list[str]]:
    """Returns a bundle's runs, and a message for each damaged line.

    Raises:
        BenchError: The file cannot be read at all.
    """
    try:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as stream:
            content = stream.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise EOFError(f"it has more than {_LARGEST} bytes")
        lines = content.splitlines()
    except (OSError, EOFError, zlib.error) as error:
        raise BenchError(f"{path}: cannot be read ({error}); is it a bundle?") from error
    entries, problems = [], []
    for number, line in enumerate(lines, start=1):
        try:
            entries.append(_parse(line))
        except ValueError as error:
            problems.append(f"{path}: line {number} {error}; restore the file, or bundle the runs again")
    return entries, problems


def unbundle(path: Path, outputs: Path) -> tuple[int, list[str]]:
    """Puts a bundle's runs back into an outputs folder, so that a sweep finds them done.

    Runs that are done there already are not changed. Each folder keeps its line of the bundle, with the accuracies per
    epoch; a bundle has no other files of a run.

    Returns:
        The number of runs that were put back, and a message for each run that could not be put back.

    Raises:
        BenchError: The bundle cannot be read.
        StorageError: The outputs folder cannot be written.
    """
    entries, problems = read_bundle(path)
    restored = 0
    for entry in entries:
        try:
            restored += _restore(entry, path, outputs)
        except BenchError as error:
            problems.append(str(error))
        except ValueError as error:
            problems.append(f"{path}: {entry.folder}: {error}")
    return restored, problems


def check_network(path: Path, content: bytes, record: Record) -> bytes:
    """Returns the content of a run's network.

    Raises:
        DamageError: The content is not what the run wrote.
    """
    if hashlib.sha256(content).hexdigest() != record.files.get(RunFolder(path).network.name):
        raise DamageError(f"{path}: is not the network that its run wrote (its checksum differs)")
    return content


def _line(entry: Entry) -> str:
    document = asdict(entry)
    return json.dumps({"checksum": json_checksum(document), **document}, ensure_ascii=False)


def _parse(line: bytes) -> Entry:
    document = read_json(line)
    if not isinstance(document, dict):
        raise ValueError("is not an entry of a bundle")
    checksum = document.pop("checksum", None)
    entry = to_dataclass(Entry, document)
    if checksum != json_checksum(document):
        raise ValueError("is not what was written (its checksum differs)")
    require_valid_folder(entry.folder)
    return entry


def _restore(entry: Entry, bundle: Path, outputs: Path) -> bool:
    record = read_document(entry.record)
    folder = RunFolder(outputs / entry.folder)
    if not _is_wanted(record, folder.record):
        return False
    folder.make()
    with storing(folder.path):
        for path in (folder.metrics, folder.network, folder.predictions):  # of an attempt that failed
            path.unlink(missing_ok=True)
    if record.run.method == TEACHER_METHOD and record.status == DONE:
        _restore_network(network_path(bundle, record), record, folder)
    write_bundle(folder.bundled, [entry])
    write_atomically(folder.record, document_text(entry.record))
    return True


def _is_wanted(record: Record, path: Path) -> bool:
    if not path.exists():
        return True
    try:
        return record.status == DONE and read_record(path).status != DONE
    except RecordError:
        return True


def _restore_network(source: Path, record: Record, folder: RunFolder) -> None:
    try:
        content = read_file(source)
    except OSError as error:
        raise DamageError(
            f"{source}: cannot be read ({error.strerror}); without it the teacher must be trained again: {folder} "
            "is not put back"
        ) from error
    write_atomically(folder.network, check_network(source, content, record))
