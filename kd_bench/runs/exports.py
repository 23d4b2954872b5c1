"""The networks that were exported from a run, and what was measured of each: a JSON file beside it, written last."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from kd_bench.checks import Label, NonNegative, NonNegativeInt, PositiveInt, Probability
from kd_bench.documents import read_json
from kd_bench.errors import DamageError
from kd_bench.runs.files import read_file, write_atomically
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.record import Sha256
from kd_bench.typed import to_dataclass

ARTEFACTS = {
    "saved_model": "saved_model",
    "litert": "network.tflite",
    "litert_int8": "network_int8.tflite",
    "onnx": "network.onnx",
    "pytorch": "network.pth",
}
"""Format -> the name of its file or folder in the run's folder `export`."""


@dataclass(frozen=True, kw_only=True)
class Export:
    """A network in another format, as it was measured.

    Attributes:
        format: one of `ARTEFACTS`.
        network: the SHA-256 of the `network.keras` from which it was made.
        size_bytes: of all its files.
        images: the number of test images.
        accuracy: on the test set, in [0, 1].
        differing: the number of test images with another class than in the run's predictions.
        latency_ms: the median over single images, on one thread; None if the format's own program did not execute it.
        images_per_second: in batches of `batch_size`, on one thread; from the median over batches. None likewise.
        processor: the name of the machine's processor.
        versions: of the packages that made and executed it.
        finished: ISO 8601, in UTC.
    """

    format: Label
    network: Sha256
    size_bytes: NonNegativeInt
    images: PositiveInt
    accuracy: Probability
    differing: NonNegativeInt
    latency_ms: NonNegative | None
    batch_size: PositiveInt
    images_per_second: NonNegative | None
    processor: str | None
    versions: dict[Label, Label]
    finished: Label

    @property
    def agreement(self) -> float:
        """How often it predicts the class that the run predicted, in [0, 1]."""
        return 1 - self.differing / self.images


def artefact(folder: RunFolder, export_format: str) -> Path:
    """Returns the path of the network in a format: a folder for `saved_model`, else a file."""
    return folder.exports / ARTEFACTS[export_format]


def measurements(folder: RunFolder, export_format: str) -> Path:
    """Returns the path of what was measured of the network in a format."""
    return folder.exports / f"{export_format}.json"


def write_export(folder: RunFolder, export: Export) -> None:
    """Writes what was measured beside the exported network.

    Raises:
        StorageError: it cannot be written.
    """
    write_atomically(measurements(folder, export.format), json.dumps(asdict(export), indent=2) + "\n")


def read_exports(folder: RunFolder, network: str) -> list[Export]:
    """Returns what was measured of a run's exported networks, in the order of `ARTEFACTS`.

    Args:
        folder: the run's folder.
        network: the SHA-256 of the run's network. Exports of an earlier network, before a repetition, do not count.

    Raises:
        DamageError: a file cannot be read.
    """
    paths = [measurements(folder, export_format) for export_format in ARTEFACTS]
    exports = [_read(path) for path in paths if path.exists()]
    return [export for export in exports if export.network == network]


def _read(path: Path) -> Export:
    try:
        export = to_dataclass(Export, read_json(read_file(path)))
        if export.format != path.stem:
            raise ValueError(f"it is of the format {export.format}")
        return export
    except (OSError, ValueError) as error:
        raise DamageError(f"{path}: cannot be read ({error}); delete it, or export the run again") from error
