"""What a finished run predicted for each test image, beside the right classes: `kd_bench.load_predictions`."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from kd_bench.config.paths import require_home
from kd_bench.export.finished import read_finished


class Predictions(NamedTuple):
    """The classes of the test images, in the order of the data set's `test`.

    Attributes:
        labels: the right classes, int32 `[N]`.
        predictions: the classes that the run's network predicts after its last epoch, int32 `[N]`.
        class_names: the names of the classes 0 to K-1; their numbers if the data set has no names.
    """

    labels: np.ndarray
    predictions: np.ndarray
    class_names: tuple[str, ...]


def load_predictions(run: str | Path, *, data_dir: str | None = None) -> Predictions:
    """Returns what a finished run predicted for each test image, for a confusion matrix. Reads its data set.

    Args:
        run: the folder of the run.
        data_dir: the folder of the prepared sets of TensorFlow Datasets, if it is not the usual one.

    Raises:
        BenchError: there is no finished run with predictions of the test set, or its data are other ones now.
        DamageError: a file is not what the run wrote.
    """
    require_home()
    finished = read_finished(Path(run), data_dir, with_network=False)
    dataset = finished.dataset
    names = dataset.class_names or tuple(map(str, range(dataset.num_classes)))
    return Predictions(dataset.test.labels, finished.predictions, names)
