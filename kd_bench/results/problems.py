"""Lists problems of runs, as lines for the terminal."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kd_bench.config.checksums import file_checksum
from kd_bench.messages import pluralize
from kd_bench.results.frame import Runs, run_paths
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.record import read_record


def list_problems(runs: Runs) -> list[str]:
    """Returns a line for each kind of problem, and one for each record that cannot be read."""
    lines = [f"unreadable: {message}" for message in runs.unreadable]
    lines += _problem_line("failed", run_paths(runs.failed))
    lines += _problem_line("left out (a newer record of the same run counts)", run_paths(runs.repeats))
    lines += _problem_line("unfinished (still running, or interrupted: run the same command again)", runs.unfinished)
    return lines


@dataclass
class Verified:
    """What a comparison of all files with their checksums found.

    Attributes:
        runs: the number of runs in outputs folders; those in bundles have no files.
        files: the number of files that were compared.
        altered: a line for each file that its run did not write like this, or that cannot be read.
        missing: a line for each file that is not there. Networks may be deleted to save space.
    """

    runs: int = 0
    files: int = 0
    altered: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Returns what was found, as lines for the terminal."""
        missing = f", {len(self.missing)} missing" if self.missing else ""
        counted = f"verified {pluralize(self.files, 'file')} of {pluralize(self.runs, 'run')}{missing}"
        return [*self.altered, *self.missing, counted]


def verify(runs: Runs) -> Verified:
    """Compares each file beside a record with its checksum in the record."""
    verified = Verified()
    for path in run_paths(runs.frame):
        folder = RunFolder(Path(path))
        if folder.record.is_file():  # not in a bundle
            verified.runs += 1
            for name, checksum in read_record(folder.record).files.items():
                _compare(folder.path / name, checksum, verified)
    return verified


def _compare(path: Path, checksum: str, verified: Verified) -> None:
    try:
        if not path.is_file():
            verified.missing.append(f"missing: {path}")
            return
        same = file_checksum(path) == checksum
    except OSError as problem:
        verified.altered.append(f"unreadable: {path}: cannot be read ({problem.strerror})")
        return
    verified.files += 1
    if not same:
        verified.altered.append(f"altered: {path} (its checksum is not the one in its run's record)")


def _problem_line(problem: str, paths: Sequence[str]) -> list[str]:
    """Returns a line that counts the places and names the first few."""
    shown = 3
    more = ", ..." if len(paths) > shown else ""
    return [f"{len(paths)} {problem}: {', '.join(paths[:shown])}{more}"] if paths else []
