"""The pairs that are measured, with the project's own configs. Random images cost as much time as real ones."""

from dataclasses import dataclass
from functools import cached_property

import keras
import numpy as np

from benchmarks import PAIR_NAMES
from kd_bench.config import compose
from kd_bench.config.schema import RunConfig
from kd_bench.data.images import ImageDataset, Images
from kd_bench.distillers.base import Distiller


@dataclass(frozen=True)
class Pair:
    """A preset with its teacher and student.

    Attributes:
        name: the name in tables.
        overrides: the overrides that compose the preset.
        shape: the shape of an image.
        num_classes: the number of classes, K.
        train_images: the number of images in the full training set.
        steps: the number of steps that are timed together.
        rounds: the number of rounds of a comparison.
    """

    name: str
    overrides: tuple[str, ...]
    shape: tuple[int, int, int]
    num_classes: int
    train_images: int
    steps: int
    rounds: int

    @property
    def is_big(self) -> bool:
        """Whether a step takes seconds."""
        return self.steps == 1

    def config(self, method: str = "student") -> RunConfig:
        """Returns the run's config with a method's default hyper-parameters."""
        (config,) = compose.jobs([*self.overrides, f"method={method}"])
        return config

    @property
    def batch_size(self) -> int:
        """The batch size, B."""
        return self.config().batch_size

    @property
    def steps_per_epoch(self) -> int:
        """The steps per epoch over the full training set."""
        return self.train_images // self.batch_size

    def teacher(self) -> keras.Model:
        """Builds the teacher. It is not trained, because that does not change its speed."""
        return self.config().model.teacher.build(self.shape, self.num_classes)

    def student(self) -> keras.Model:
        """Builds the student."""
        return self.config().model.student.build(self.shape, self.num_classes)

    def distiller(self, method: str) -> Distiller:
        """Builds a method on new networks."""
        config = self.config(method)
        kind: type[Distiller] = config.method.load()
        keras.utils.set_random_seed(0)
        student = self.teacher() if kind.network == "teacher" else self.student()
        distiller: Distiller = config.method.build(student, None if kind.teacher_init is None else self.teacher())
        distiller.prepare(self.dataset.train.labels, self.batch_size)
        return distiller

    @cached_property
    def dataset(self) -> ImageDataset:
        """Random images with the set's shape and number, and the augmentation of the preset."""
        generator = np.random.default_rng(0)
        pixels = generator.integers(0, 256, (self.train_images, *self.shape), np.uint8)
        labels = generator.integers(0, self.num_classes, self.train_images).astype(np.int32)
        images = Images(pixels, labels)
        mean, std = (np.full(self.shape[-1:], value, np.float32) for value in (127.5, 73.9))
        parameters = self.config().dataset.parameters
        augmentation = {"padding": parameters["padding"], "flip": parameters["flip"]}
        return ImageDataset(self.name, images, images, self.num_classes, mean, std, **augmentation)


DIGITS = Pair("digits, tiny", ("experiment=digits",), (8, 8, 1), 10, 1297, steps=20, rounds=21)
FASHION = Pair(
    "fashion_mnist, wrn_16_2_wrn_10_1", ("experiment=fashion_mnist",), (28, 28, 1), 10, 60_000, steps=4, rounds=9
)
CIFAR = Pair("cifar100, wrn_40_4_wrn_16_4", ("experiment=cifar100",), (32, 32, 3), 100, 50_000, steps=1, rounds=5)
SMALL = Pair(
    "cifar100, wrn_16_2_wrn_10_1_stride_2", ("experiment=cifar100_small",), (32, 32, 3), 100, 50_000, steps=2, rounds=15
)
PAIRS = dict(zip(PAIR_NAMES, (DIGITS, FASHION, CIFAR), strict=True)) | {"cifar100_small": SMALL}
