"""A finished run whose network can be exported, and its data. TensorFlow is imported only to read the data."""

from functools import cached_property
from pathlib import Path

import numpy as np
import yaml

from kd_bench.config.schema import Named
from kd_bench.data.fractions import subset, take
from kd_bench.data.images import ImageDataset, Images
from kd_bench.errors import BenchError, DamageError
from kd_bench.runs.finished import FinishedRun
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.record import DONE, read_record
from kd_bench.seeds import seed_for

_EXAMPLES = 300


class Finished(FinishedRun):
    """A finished run with its predictions for the test set and its data."""

    @cached_property
    def predictions(self) -> np.ndarray:
        """The classes that it predicted for the test images, `[N]`."""
        return np.load(self.folder.predictions)

    @cached_property
    def dataset(self) -> ImageDataset:
        """Its data set.

        Raises:
            DataError: it cannot be read.
            BenchError: it is not the data of the run any more.
        """
        named = Named(**yaml.safe_load(self.folder.config.read_text(encoding="utf-8"))["dataset"])
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


def read_finished(path: Path) -> Finished:
    """Returns the finished run in a folder.

    Raises:
        BenchError: there is no finished run with a network and predictions of the test set.
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
        raise BenchError(f"{path}: this run predicted held-out training images; export a run with validation=0.")
    for file in (folder.config, folder.network, folder.predictions):
        if not file.is_file():
            raise BenchError(f"{file}: is missing; delete {folder.record} and start the run's command again.")
    for file in folder.altered(record):
        raise DamageError(f"{file}: is not what the run wrote (its checksum differs); delete it and repeat the run.")
    return Finished(folder, record)
