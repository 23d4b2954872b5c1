"""The list of a sweep's runs in its outputs folder, by which the status also knows the runs that have not begun.

A list is named by its content: copies of a command, and the same command again, have one list. Anybody may have
written one.
"""

import contextlib
import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kd_bench.checks import Label
from kd_bench.config.schema import RunConfig
from kd_bench.documents import read_json
from kd_bench.errors import BenchError, StorageError
from kd_bench.launch.refusals import Refused
from kd_bench.messages import warn
from kd_bench.runs.files import read_file, write_atomically
from kd_bench.runs.folder import RunFolder, require_valid_folder
from kd_bench.runs.standing import find_standing
from kd_bench.typed import to_dataclass


@dataclass(frozen=True)
class _Sweep:
    """The content of a list: the title of each run by its folder, which is relative to the outputs folder."""

    runs: dict[Label, Label]

    def __post_init__(self) -> None:
        for folder in self.runs:
            require_valid_folder(folder)


def write_lists(runs: Sequence[RunConfig]) -> None:
    """Writes the list of a sweep into its outputs folders. If that fails, it warns: the runs can be done without."""
    titles: dict[str, dict[str, str]] = defaultdict(dict)
    for run in runs if len(runs) > 1 else ():
        titles[run.outputs][run.directory.relative_to(run.outputs).as_posix()] = run.title
    for outputs, listed in titles.items():
        content = json.dumps({"runs": listed}, ensure_ascii=False, indent=1)
        name = f".sweep-{hashlib.sha256(content.encode()).hexdigest()[:16]}.json"
        try:
            write_atomically(Path(outputs, name), content)
        except StorageError as problem:
            warn(f"warning: the status cannot count the runs that have not begun: {problem}")


def read_lists(outputs: Path, problems: list[str]) -> dict[Path, dict[Path, str]]:
    """Returns the lists in an outputs folder: by their files, the title of each run by its folder.

    Args:
        outputs: the outputs folder.
        problems: gets a message for each list that cannot be used.
    """
    found = {}
    for path in sorted(outputs.glob(".sweep-*.json")):
        try:
            titles = to_dataclass(_Sweep, read_json(read_file(path))).runs
        except FileNotFoundError:  # its runs are done now
            continue
        except OSError as problem:
            problems.append(f"{path}: cannot be read ({problem.strerror})")
        except ValueError as problem:
            problems.append(f"{path}: is not the list of a sweep ({problem}); delete it")
        else:
            found[path] = {outputs / folder: title for folder, title in titles.items()}
    return found


def delete_finished_lists(runs: Sequence[RunConfig], refused: Sequence[Refused] = ()) -> None:
    """Deletes all lists in the outputs folders of these runs of which each run is done, or was refused at its turn."""
    ended = {one.run.directory for one in refused}
    for outputs in {Path(run.outputs) for run in runs}:
        for path, titles in read_lists(outputs, []).items():
            with contextlib.suppress(OSError, BenchError):  # a run that cannot be read is not done
                if all(folder in ended or find_standing(RunFolder(folder)).done for folder in titles):
                    path.unlink(missing_ok=True)
