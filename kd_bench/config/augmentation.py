"""How training images are changed at random, besides the crops and flips of their data set."""

from dataclasses import dataclass

from kd_bench.checks import NonNegative, NonNegativeInt, Probability


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Changes of the training images. 0 turns each of them off.

    Attributes:
        mixup: the parameter of the beta distribution by which MixUp weighs two images.
        cutmix: the parameter of the beta distribution that gives the area of the rectangle that CutMix exchanges.
        rand_augment: the number of operations that RandAugment applies to each batch.
        magnitude: the largest strength of these operations.
        colour_jitter: how much brightness, contrast and saturation of each image may change, as a share of them.
    """

    mixup: NonNegative = 0.0
    cutmix: Probability = 0.0
    rand_augment: NonNegativeInt = 0
    magnitude: Probability
    colour_jitter: Probability = 0.0

    @property
    def mixes(self) -> str | None:
        """The name of what mixes images, `mixup` or `cutmix`; None if nothing does."""
        return "mixup" if self.mixup else "cutmix" if self.cutmix else None


NO_AUGMENTATION = Augmentation(magnitude=0.5)
