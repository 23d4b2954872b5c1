"""How training images are changed at random, besides the crops and flips of their data set."""

from dataclasses import dataclass, replace

from kd_bench.checks import NonNegative, NonNegativeInt, Probability


@dataclass(frozen=True)
class Augmentation:
    """Changes of the training images. 0 turns each of them off.

    Attributes:
        mixup: the parameter of the beta distribution by which MixUp weighs two images.
        cutmix: the parameter of the beta distribution that gives the area of the rectangle that CutMix exchanges.
        rand_augment: the number of operations that RandAugment applies to each batch.
        magnitude: the largest strength of these operations.
    """

    mixup: NonNegative = 0.0
    cutmix: Probability = 0.0
    rand_augment: NonNegativeInt = 0
    magnitude: Probability = 0.5

    @property
    def off(self) -> list[str]:
        """The keys of the changes that are off."""
        if self == replace(NO_AUGMENTATION, magnitude=self.magnitude):
            return ["augmentation"]
        return [f"augmentation.{name}" for name in ("mixup", "cutmix", "rand_augment") if not getattr(self, name)]

    @property
    def mixes(self) -> str | None:
        """The name of what mixes images, `mixup` or `cutmix`; None if nothing does."""
        return "mixup" if self.mixup else "cutmix" if self.cutmix else None


NO_AUGMENTATION = Augmentation()
