"""A finished run whose network can be exported, and its data. TensorFlow is imported only to read the data."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kd_bench.checks import Label
from kd_bench.config import TARGET
from kd_bench.config.schema import Named
from kd_bench.data.fractions import subset, take
from kd_bench.data.images import ImageDataset, Images
from kd_bench.documents import read_yaml
from kd_bench.errors import BenchError, DamageError
from kd_bench.runs.files import read_file
from kd_bench.runs.finished import FinishedRun
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.record import DONE, Record, read_record
from kd_bench.seeds import seed_for
from kd_bench.typed import to_dataclass

_EXAMPLES = 300


_KNOWN = (
    "kd_bench.data.datasets.load_dataset",
    "kd_bench.data.folder.load_folder",
    "kd_bench.data.arrays.load_arrays",
)
"""The functions that a record may name. A record can come from anybody: no other function is called."""


@dataclass(frozen=True)
class _Config:
    dataset: dict[str, Any]


@dataclass(frozen=True)
class _Places:
    """Where the data of a run are. That is no fact of a run, so that only its config says it."""

    root: Label | None = None
    path: Label | None = None
    streaming: bool | None = None
    data_dir: Label | None = None


@dataclass(frozen=True)
class Finished(FinishedRun):
    """A finished run with its predictions for the test set and its data.

    Attributes:
        data: what makes its data set.
    """

    data: Named

    @cached_property
    def predictions(self) -> np.ndarray:
        """The classes that it predicted for the test images, `[N]`.

        Raises:
            DamageError: the file does not hold them.
        """
        images = len(self.dataset.test)
        try:
            predictions = np.load(self.folder.predictions, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as problem:
            raise DamageError(f"{self.folder.predictions}: cannot be read ({problem}).") from problem
        if predictions.shape != (images,) or predictions.dtype != np.int32:
            raise DamageError(f"{self.folder.predictions}: does not hold the classes of the {images} test images.")
        return np.array(predictions)

    @cached_property
    def dataset(self) -> ImageDataset:
        """Its data set.

        Raises:
            DataError: it cannot be read.
            BenchError: it is not the data of the run any more.
        """
        named = self.data
        dataset: ImageDataset = named.build(named.name)
        if dataset.fingerprint != self.record.setting.data:
            raise BenchError(
                f"{self.folder}: its data set {named.name} has other images now (fingerprint {dataset.fingerprint}, in "
                f"the record {self.record.setting.data}); restore the data, or repeat the run with redo=true."
            )
        return dataset

    def examples(self) -> np.ndarray:
        """Returns a few hundred of the images that it learned from, uint8 `[M,H,W,C]`; always the same."""
        train, run = self.dataset.train, self.record.run
        learned: Images = take(train, subset(train.labels, run.fraction, run.subset_seed))
        random = np.random.default_rng(seed_for(run.seed, "export"))
        return learned.read(random.permutation(len(learned))[:_EXAMPLES])


def read_finished(
    path: Path, data_dir: str | None = None, trusted: Collection[str] = (), *, with_network: bool = True
) -> Finished:
    """Returns the finished run in a folder.

    Args:
        path: the folder, which anybody may have made.
        data_dir: the folder of the prepared sets of TensorFlow Datasets, if it is not the usual one.
        trusted: the import paths of functions of the user that may make the data set.
        with_network: whether its network is needed, too.

    Raises:
        BenchError: there is no finished run with predictions of the test set and the network, or its data set is made
            by a function that is not trusted.
        DamageError: a file is not what the run wrote.
    """
    folder = RunFolder(path)
    if not folder.record.is_file():
        begun = folder.config.is_file()
        problem = "this run is not finished; start its command again" if begun else "is not the folder of a run"
        raise BenchError(f"{path}: {problem}. A finished run has a {folder.record.name}.")
    record = read_record(folder.record)
    if record.status != DONE:
        raise BenchError(f"{path}: this run failed ({record.reason}); start its command again.")
    if record.config.get("validation"):
        raise BenchError(f"{path}: this run predicted held-out training images; choose a run with validation=0.")
    results = (folder.network, folder.predictions) if with_network else (folder.predictions,)
    for file in (folder.config, *results):
        if not file.is_file():
            raise BenchError(f"{file}: is missing; delete {folder.record} and start the run's command again.")
    for file in results:
        if file.name not in record.files:
            raise DamageError(f"{file}: the record has no checksum of it; repeat the run.")
    for file in folder.altered(record):
        raise DamageError(f"{file}: is not what the run wrote (its checksum differs); delete it and repeat the run.")
    return Finished(folder, record, _data(folder, record, data_dir, trusted))


def _data(folder: RunFolder, record: Record, data_dir: str | None, trusted: Collection[str]) -> Named:
    """Returns what makes the data set of a run, by its record; by its config only where own images are."""
    facts = record.config.get("dataset")
    if not isinstance(facts, dict):
        raise DamageError(f"{folder.record}: names no data set; repeat the run.")
    if facts.get(TARGET) not in (*_KNOWN, *trusted):
        raise BenchError(
            f"{folder.record}: its data set is made by {facts.get(TARGET)}, which is not part of kd_bench, and which "
            "this command would call; if you trust it, add --trust and its name."
        )
    config = _config(folder)
    if config.data_dir is not None and data_dir is None:
        raise BenchError(
            f"{folder.config}: its data are in {config.data_dir}; if you trust this folder, add --data-dir with it."
        )
    places = asdict(config) | {"data_dir": data_dir if config.data_dir is not None else None}
    return Named.parse("dataset", facts | {name: value for name, value in places.items() if value is not None})


def _config(folder: RunFolder) -> _Places:
    try:
        content = read_yaml(read_file(folder.config))
        return to_dataclass(_Places, to_dataclass(_Config, content, ignore_unknown=True).dataset, ignore_unknown=True)
    except (OSError, ValueError) as problem:
        raise DamageError(f"{folder.config}: cannot be read ({problem}); repeat the run.") from problem
