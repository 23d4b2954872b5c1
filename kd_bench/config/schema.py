"""The typed schema of `conf/`: the values of a run's config, their meaning, and what they must fulfil together.

Imports no TensorFlow, so that typos are reported within a second.
"""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from kd_bench.checks import (
    Count,
    Label,
    Name,
    NonNegative,
    NonNegativeInt,
    PartialShare,
    Positive,
    PositiveInt,
    Printable,
    Share,
    check,
    check_keys,
)
from kd_bench.config import TEACHER_METHOD, WITH_SOFT_LOGITS, code, identity, title, variant_of_teacher
from kd_bench.config.augmentation import Augmentation
from kd_bench.config.component import Component, read_target
from kd_bench.config.hydra import hydra_settings
from kd_bench.config.identity import PRETRAINED
from kd_bench.config.named_network import with_networks
from kd_bench.config.network import LAYERS, Network
from kd_bench.config.paths import expanded
from kd_bench.config.signature import check_names, class_constant
from kd_bench.config.teacher_file import has_weights_alone, read_teacher_file
from kd_bench.errors import ConfigError
from kd_bench.typed import annotations


@dataclass(frozen=True)
class Named(Component):
    """A component whose name is part of a run's folder."""

    name: str = ""

    @classmethod
    def parse(cls, key: str, node: Any) -> Self:
        """Reads a config node that has a `_target_` and a `name`."""
        component = super().parse(key, node)
        return replace(component, name=check(f"{key}.name", node.get("name"), Name))


@dataclass(frozen=True)
class Labelled(Named):
    """A distiller; `label` is the name of its row in the table."""

    label: str = ""

    @classmethod
    def parse(cls, key: str, node: Any) -> Self:
        """Reads a config node that has a `_target_`, a `name` and a `label`."""
        named = super().parse(key, node)
        return replace(named, label=check(f"{key}.label", node.get("label"), Label))

    def beside_soft_logits(self) -> Self:
        """Returns the method with the label of its combination with soft logits."""
        return replace(self, label=self.label.removesuffix(WITH_SOFT_LOGITS) + WITH_SOFT_LOGITS)


@dataclass(frozen=True)
class Observer(Component):
    """A Keras callback, which sees the run and must not change it.

    Attributes:
        tracker: makes what is open while the callback is used, such as a run of a tracking service; None without one.
    """

    tracker: Component | None = None

    @classmethod
    def parse(cls, key: str, node: Any) -> Self:
        """Reads a config node with a `_target_`, and perhaps a `tracker` and the `extra` of this project that it needs.

        Any library's callback can be the target, so only the names of its parameters are checked.
        """
        target = read_target(key, node)
        _require_extra(key, node.get("extra"))
        own = ("_target_", "extra", "tracker")
        parameters = {name: value for name, value in node.items() if name not in own}
        check_names(key, target, parameters)
        tracker = Component.parse(f"{key}.tracker", node["tracker"]) if node.get("tracker") else None
        return cls(target, parameters, tracker)


@dataclass(frozen=True)
class Pair:
    """The architectures of a teacher and a student."""

    name: Name
    teacher: Network
    student: Network

    @property
    def has_own_networks(self) -> bool:
        """Whether a network of the pair is the user's own."""
        return self.teacher.is_own or self.student.is_own


@dataclass(frozen=True, kw_only=True)
class TeacherProtocol:
    """How the teacher of a pair is trained. The training settings of its students do not change it."""

    method: Labelled
    seed: NonNegativeInt
    epochs: Count
    batch_size: Count
    label_smoothing: PartialShare = 0.0
    augmentation: Augmentation
    optimizer: Component

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the teacher's run that differ from its students' runs, by their names in `RunConfig`."""
        names = ("seed", "epochs", "batch_size", "label_smoothing", "augmentation", "optimizer")
        return {name: getattr(self, name) for name in names}

    @property
    def variant(self) -> dict[str, Any]:
        """What always names its run and its students' runs: nothing, because only differences from the preset do."""
        return {}


@dataclass(frozen=True)
class TeacherFile:
    """A trained network as the teacher of a pair. Its run evaluates it.

    Attributes:
        method: of the run, for its name.
        path: of the Keras file, or of a file with the weights of the pair's teacher.
        checksum: the SHA-256 of the file.
        normalisation: the images that the network takes: `none`, 0 to 255; `zero_to_one`, 0 to 1; `minus_one_to_one`,
            -1 to 1; `dataset`, with the mean 0 and the standard deviation 1 of each channel of the training set;
            `cifar100`, the same by the numbers of RepDistiller and mdistiller; `imagenet`, by those of torchvision.
        points: the layers that are feature points, as of a `Network`.
        embedding: the layer of the embedding.
    """

    method: Labelled
    path: str
    checksum: str
    normalisation: Literal["none", "zero_to_one", "minus_one_to_one", "dataset", "cifar100", "imagenet"]
    points: Any = None
    embedding: str | None = None

    def at(self, network: Path) -> "TeacherFile":
        """Returns the file as its run left it: the Keras file that it copied, or made of the weights."""
        return replace(self, path=str(network), normalisation="none" if self.has_weights_alone else self.normalisation)

    @property
    def has_weights_alone(self) -> bool:
        """Whether the file has the weights of the pair's teacher, and not a network."""
        return has_weights_alone(Path(self.path))

    @property
    def layers(self) -> dict[str, Any]:
        """The values that name layers."""
        return {name: value for name in LAYERS if (value := getattr(self, name)) is not None}

    @property
    def settings(self) -> dict[str, Any]:
        """As of `TeacherProtocol`: an evaluation has no seed."""
        return {"seed": 0}

    @property
    def variant(self) -> dict[str, Any]:
        """What always names its run and its students' runs."""
        own = {} if self.normalisation == "none" else {"teacher.normalisation": self.normalisation}
        layers = {f"teacher.{name}": value for name, value in self.layers.items()}
        return {"teacher": f"file {self.checksum[:8]}"} | own | layers


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """A search that chose some of a run's values: the number of its trials (0 without a search) and the keys."""

    trials: NonNegativeInt = 0
    keys: list[str]


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One run. A key with a default is newer than some runs: the default is what they did, and no fact (`identity`).

    Attributes:
        experiment: the name of the run's preset.
        seed: the seeds of initialisation, shuffling and augmentation are derived from it.
        subset_seed: chooses the training images of a fraction.
        fraction: the fraction of the training set that the run uses.
        validation: the share of the fraction's images that are held out. The run trains on the others and is evaluated
            on the held-out images. With 0, it trains on all and is evaluated on the test set.
        budget: `steps` gives each fraction the number of steps of the full set; `epochs` gives each fraction the same
            number of passes over its images.
        epochs: the number of epochs in the main stage. With `budget=steps`, an epoch has the steps of the full set.
        batch_size: the number of images per step, over all replicas.
        evaluate_every: epochs between two evaluations on the test set; the last epoch always has one.
        checkpoint_every: steps between two checkpoints; None writes one after each epoch.
        precision: the precision of the networks; losses are always computed in float32. `auto` depends on the device.
        jit_compile: whether XLA compiles the step; `auto` compiles it only on a single GPU.
        deterministic: whether operations that can differ between runs are avoided. This makes training slower.
        label_smoothing: the share of each label that cross-entropy spreads evenly over all classes.
        augmentation: how the training images are changed, besides crops and flips.
        kd_weight: the weight of a soft-logits term beside the method's own losses, in its main stage; 0 for none.
        kd_temperature: the temperature of that term.
        outputs: the folder of all runs.
        tuned: the search that chose some of the values.
        redo: whether a finished run is repeated if it was made by other code.
        callbacks: what else sees the training, by name.
        variant: the values that differ from the preset, by key. They are part of the row's name in the table.
    """

    experiment: str
    seed: NonNegativeInt
    subset_seed: NonNegativeInt
    fraction: Share
    validation: PartialShare = 0.0
    budget: Literal["steps", "epochs"]
    epochs: Count
    batch_size: Count
    evaluate_every: PositiveInt
    checkpoint_every: PositiveInt | None
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"]
    jit_compile: Literal["auto", True, False]
    deterministic: bool
    label_smoothing: PartialShare = 0.0
    augmentation: Augmentation
    kd_weight: NonNegative
    kd_temperature: Positive
    outputs: str
    tuned: Tuned
    redo: bool
    callbacks: dict[str, Observer]
    model: Pair
    method: Labelled
    dataset: Named
    optimizer: Component
    hardware: Named
    teacher: TeacherProtocol | TeacherFile
    variant: dict[str, Any]

    @classmethod
    def parse(cls, node: Mapping[str, Any], preset: Mapping[str, Any], choices: Mapping[str, Any]) -> Self:
        """Checks a composed config, given as plain containers, and returns the run.

        Args:
            node: the composed config.
            preset: its preset in the same form. What differs from it names the run.
            choices: the config in the same form with all its choices of groups and no other value set.

        Raises:
            ConfigError: a value has the wrong type, is out of range, unknown or missing; the message names it.
        """
        check_keys("", node, [field.name for field in fields(cls)], optional=["variant"])
        named = check("variant", node.get("variant", {}), dict[str, Any])  # of a run whose config is given back
        config = _parse("", {**node, "variant": {}}, cls)
        config = replace(
            config,
            method=config.method.beside_soft_logits() if config.kd_weight else config.method,
            outputs=_folder(config.outputs),
            # A teacher is always trained on the full data: its run is the same at all fractions.
            fraction=1.0 if config.is_teacher else config.fraction,
            seed=0 if config.evaluated else config.seed,
        )
        config = replace(config, variant=identity.shown(config, named | identity.differences(node, preset, choices)))
        config.require_consistency()
        return config

    def require_consistency(self) -> None:
        """Checks values that depend on each other.

        Raises:
            ConfigError: two values contradict each other; the message names one of them.
        """
        if self.is_teacher and self.validation:
            raise ConfigError(
                f"validation={self.validation:g}: a teacher is trained on all training images; leave validation out."
            )
        if self.kd_weight and self.teacher_init != PRETRAINED:
            raise ConfigError(
                f"kd_weight={self.kd_weight:g}: method={self.method.name} has no trained teacher whose soft logits it "
                "could add; leave kd_weight out for it."
            )
        self._require_mixing()
        wrong = {"Teacher": not self.is_teacher, "Student": self.is_teacher or self.teacher_init is not None}
        if wrong.get(self.method.label):
            raise ConfigError(f"method.label={self.method.label}: is the label of another method; choose another one.")
        if class_constant("teacher.method", self.teacher.method.target, "network") != "teacher":
            raise ConfigError(f"teacher.method._target_={self.teacher.method.target}: does not train a teacher.")
        self._require_names()
        _require_held_out_images(self.dataset.parameters)
        sizes = {"batch_size": self.batch_size}
        if self.teacher_init == PRETRAINED and self.trained_teacher is not None:
            sizes["teacher.batch_size"] = self.trained_teacher.batch_size
        for key, batch_size in sizes.items():
            require_equal_shares(key, batch_size, self.hardware.parameters.get("replicas") or 1)

    def _require_names(self) -> None:
        """Checks what names the run: the marks of a teacher's run, and texts that can be shown as they are."""
        for key, value in self.variant.items():
            check(key, value, Annotated[Any, Printable()])
        methods = {"method.name": (self.method, self.is_teacher), "teacher.method.name": (self.teacher.method, True)}
        for key, (method, is_teacher) in methods.items():
            if (method.name == TEACHER_METHOD) != is_teacher:
                raise ConfigError(
                    f"{key}={method.name}: {TEACHER_METHOD} is the name of the run of a teacher, and of no other; set "
                    "method.label to rename a row."
                )

    def _require_mixing(self) -> None:
        """Checks that nothing mixes images twice, and that the method can learn from mixed images."""
        _require_one_mixing("augmentation", self.augmentation)
        if self.trained_teacher is not None:
            _require_one_mixing("teacher.augmentation", self.trained_teacher.augmentation)
        mixes = self.augmentation.mixes
        if mixes and not class_constant("method", self.method.target, "supports_mixed_images"):
            raise ConfigError(
                f"augmentation.{mixes}={getattr(self.augmentation, mixes):g}: method={self.method.name} needs the one "
                "label of each image, and mixed images have two; leave it out for this method."
            )

    @property
    def teacher_init(self) -> str | None:
        """The method's teacher: "pretrained", trained from "scratch" together with the student, or None."""
        value = class_constant("method", self.method.target, "teacher_init")
        return check(f"{self.method.target}.teacher_init", value, Literal["pretrained", "scratch"] | None)

    @property
    def is_teacher(self) -> bool:
        """Whether the run trains a pair's teacher."""
        return class_constant("method", self.method.target, "network") == "teacher"

    @property
    def evaluated(self) -> TeacherFile | None:
        """The teacher in a file, if this is its run: it is evaluated and not trained."""
        return self.teacher if self.is_teacher and isinstance(self.teacher, TeacherFile) else None

    @property
    def needs_architecture(self) -> bool:
        """Whether the teacher is built as the pair says; a Keras file has its network."""
        return not isinstance(self.teacher, TeacherFile) or self.teacher.has_weights_alone

    @property
    def trained_teacher(self) -> TeacherProtocol | None:
        """How the teacher is trained; None for a teacher in a file."""
        return self.teacher if isinstance(self.teacher, TeacherProtocol) else None

    def stored(self) -> dict[str, Any]:
        """The config for the run's folder, which can be given back to the command.

        Without callbacks: they cannot change the result, and their parameters may be passwords or keys.
        """
        values = identity.nodes(self)
        if self.trained_teacher is None:
            values["teacher"].pop("checksum")
        return hydra_settings() | values | {"callbacks": {}}

    def facts(self) -> dict[str, Any]:
        """Everything that can change the result, as plain containers."""
        return identity.facts_of(self)

    @cached_property
    def digest(self) -> str:
        """The digest of everything that can change the result: 16 hexadecimal digits."""
        return identity.digest(self.facts())

    @cached_property
    def protocol(self) -> str:
        """The digest without seed, fraction and the values of a search. Only runs that share it are averaged."""
        return identity.protocol(self.facts())

    @cached_property
    def code(self) -> str:
        """The fingerprint of the sources that can change the result: 16 hexadecimal digits."""
        return code.fingerprint(identity.targets(self.facts()))

    @property
    def sources(self) -> list[Path]:
        """The files of these sources."""
        return code.files(identity.targets(self.facts()))

    @cached_property
    def directory(self) -> Path:
        """The run's folder."""
        return identity.directory(self)

    @property
    def title(self) -> str:
        """A short description of the run, for messages."""
        return title(self.dataset.name, self.method.name, self.fraction, self.seed, self.variant)

    def with_model_in_title(self) -> Self:
        """Returns the run with its model among what names it, because it is not the one of its preset."""
        return replace(self, variant={"model": self.model.name} | self.variant)

    def teacher_run(self) -> "RunConfig | None":
        """Returns the run that trains this run's teacher, with the teacher's protocol, or evaluates the one in a file.

        The teacher does not depend on this run's validation images. The result is None if this run needs no teacher.
        """
        if self.teacher_init != PRETRAINED:
            return None
        run = replace(
            self, method=self.teacher.method, fraction=1.0, validation=0.0, kd_weight=0.0, **self.teacher.settings
        )
        named = {key: value for key, value in self.variant.items() if key not in self.teacher.variant}
        return replace(run, variant=identity.shown(run, variant_of_teacher(named)))

    def beside_others(self) -> Self:
        """Returns the run for a parallel launcher: `hardware=auto` uses one GPU instead of all."""
        parameters = self.hardware.parameters
        if parameters.get("device") != "auto" or parameters.get("replicas") is not None:
            return self
        return replace(self, hardware=replace(self.hardware, parameters={**parameters, "replicas": 1}))


def require_equal_shares(key: str, batch_size: int, replicas: int) -> None:
    """Raises `ConfigError` if the batch cannot be split equally over the replicas."""
    if batch_size % replicas:
        below, above = batch_size - batch_size % replicas, batch_size + replicas - batch_size % replicas
        raise ConfigError(
            f"{key}={batch_size}: {replicas} replicas (hardware.replicas) cannot split it equally; "
            f"set it to {below or above} or {above}, or change the number of replicas."
        )


def _require_one_mixing(key: str, augmentation: Augmentation) -> None:
    """Raises `ConfigError` if both MixUp and CutMix are on."""
    if augmentation.mixup and augmentation.cutmix:
        raise ConfigError(
            f"{key}.cutmix={augmentation.cutmix:g}: {key}.mixup={augmentation.mixup:g} already mixes "
            "the images; set one of them to 0."
        )


def _require_extra(key: str, extra: str | None) -> None:
    """Raises `ConfigError` if the package of an extra, which has the same name, is not installed."""
    if extra is not None and importlib.util.find_spec(extra) is None:
        raise ConfigError(f"{key}: needs the package {extra}; install the extra {extra}: pip install '.[{extra}]'.")


def _require_held_out_images(parameters: Mapping[str, Any]) -> None:
    """Raises ConfigError if the split names show that training images are tested: `train` contains `train[:10%]`."""
    train, test = str(parameters.get("train_split")), str(parameters.get("test_split"))
    same_split = train.partition("[")[0] == test.partition("[")[0] and "test_split" in parameters
    if same_split and (train == test or "[" not in train or "[" not in test):
        raise ConfigError(f"dataset.test_split={test}: holds training images (dataset.train_split={train}).")


def _parse(key: str, node: Any, schema: Any) -> Any:
    """Makes the dataclass `schema` from a mapping. Checks every field against its annotation."""
    if isinstance(schema, type) and issubclass(schema, Component):
        return schema.parse(key, node)
    if schema == dict[str, Observer]:
        if isinstance(node, Mapping) and "_target_" in node:
            raise ConfigError(f"{key}._target_={node['_target_']}: a callback needs a name; write {key}.mine._target_.")
        return {name: Observer.parse(f"{key}.{name}", one) for name, one in check(key, node, dict[Label, Any]).items()}
    if schema == TeacherProtocol | TeacherFile:
        schema = TeacherFile if isinstance(node, Mapping) and "path" in node else TeacherProtocol
    if not is_dataclass(schema):
        return check(key, node, schema)
    if not isinstance(node, Mapping):
        raise ConfigError(f"{key}={node}: must be a group of keys.")
    if schema is Pair:
        node = with_networks(node)
    if schema is TeacherFile:
        node = read_teacher_file(node)
    check_keys(key, node, [field.name for field in fields(schema)])
    hints = annotations(schema)
    prefix = f"{key}." if key else ""
    return schema(**{name: _parse(prefix + name, node[name], hints[name]) for name in node})


def _folder(outputs: str) -> str:
    """Returns the folder of all runs, with a leading `~` replaced by the user's home."""
    if not outputs:
        raise ConfigError("outputs=: must be the folder of all runs.")
    return str(expanded("outputs", outputs))
