"""Compares the pipeline of photographs with plain tf.data and with Keras: python -m benchmarks.photographs FOLDER.

The folder has a folder of JPEG files per class. All pipelines make batches of 32 images of 224x224 on one core. Then it
measures the memory over some epochs, and computes how long an epoch of ImageNet takes.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import keras
import psutil
import tensorflow as tf

from benchmarks.measure import Action, alternate, show, verdict
from kd_bench.complexity import multiply_adds
from kd_bench.config.compose import jobs
from kd_bench.data.batches import normalise, training_batches
from kd_bench.data.encoded import EncodedPixels
from kd_bench.data.folder import load_folder
from kd_bench.data.framing import RandomCrop, random_window, resized
from kd_bench.data.images import ImageDataset

BOUND, MEMORY_BOUND = 0.95, 1.05
_SIZE, _SHORT_SIDE, _BATCH, _STEPS, _ROUNDS = 224, 256, 32, 12, 5
_CROP = RandomCrop(scale=(0.08, 1.0))
_EPOCHS = 6
_IMAGENET = 1_281_167
_PAIRS = ("resnet34_resnet18", "resnet50_mobilenet")


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints three tables: images a second, memory, and hours of an epoch of ImageNet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="of JPEG files, a folder per class")
    parser.add_argument("--alone", action="store_true", help="measure in this process, which has one core")
    parser.add_argument("--teraflops", type=float, default=50.0, help="that an accelerator sustains (assumed)")
    parser.add_argument("--cores", type=int, default=12, help="of the host for each accelerator (assumed)")
    options = parser.parse_args(arguments)
    if options.alone:
        print("rate", _show_rates(options.folder))
        _show_memory(options.folder)
        return
    rate = _on_one_core(options.folder)
    _show_hours(rate, options.teraflops, options.cores)


def _on_one_core(folder: str) -> float:
    """Runs this program in a process that may use only one core, and returns the images a second of our pipeline."""
    core = min(os.sched_getaffinity(0))
    program = ["taskset", "--cpu-list", str(core), sys.executable, "-m", "benchmarks.photographs", folder, "--alone"]
    done = subprocess.run(program, stdout=subprocess.PIPE, text=True, check=True)
    (rate,) = (line for line in done.stdout.splitlines() if line.startswith("rate "))
    print(done.stdout.replace(f"{rate}\n", ""), end="")
    return float(rate.removeprefix("rate "))


def _show_rates(folder: str) -> float:
    """Prints images a second of each pipeline, and returns ours."""
    dataset = _dataset(folder)
    pipelines = {"ours": _ours(dataset, _STEPS), "tf.data": _plain(dataset), "Keras": _keras(folder, dataset)}
    timings = alternate({name: _all_of(batches) for name, batches in pipelines.items()}, _ROUNDS, warm_up=1)
    images = _STEPS * _BATCH
    rows: list[list[Any]] = [["ours", images / timings.median("ours"), "", "", ""]]
    for name, bound in (("tf.data", BOUND), ("Keras", "")):
        ratio = timings.ratio(name, "ours")
        kept = verdict(ratio, bound, at_most=False) if isinstance(bound, float) else ""
        rows.append([name, images / timings.median(name), ratio, bound, kept])
    show("Images a second and core, 224x224", ["Pipeline", "Images/s", "Ours over it", "At least", ""], rows)
    return images / timings.median("ours")


def _dataset(folder: str) -> ImageDataset:
    return load_folder(
        "photos",
        root=folder,
        content="",
        test_share=0.2,
        image_size=_SIZE,
        channels=3,
        padding=0,
        flip=True,
        resize="crop",
        short_side=_SHORT_SIDE,
        crop_scale=list(_CROP.scale),
        normalisation="imagenet",
        streaming=True,
    )


def _ours(dataset: ImageDataset, steps: int) -> tf.data.Dataset:
    return training_batches(dataset.train, dataset, batch_size=_BATCH, seed=0, first_step=0, steps=steps)


def _plain(dataset: ImageDataset) -> tf.data.Dataset:
    """Returns the same operations on the same files as one would write them by hand, with a shuffle buffer."""
    pixels = dataset.train.pixels
    assert isinstance(pixels, EncodedPixels), "they are cropped at random"
    paths = [pixels.files.name(row) for row in ([] if dataset.train.rows is None else dataset.train.rows)]

    def image(path: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        data = tf.io.read_file(path)
        window = random_window(tf.io.extract_jpeg_shape(data)[:2], seed, _CROP)
        pixels = resized(tf.image.decode_and_crop_jpeg(data, window, channels=3), (_SIZE, _SIZE))
        return normalise(tf.image.stateless_random_flip_left_right(pixels, seed), dataset.mean, dataset.std)

    files = tf.data.Dataset.from_tensor_slices(paths).shuffle(len(paths)).repeat().take(_STEPS * _BATCH)
    seeds = tf.data.Dataset.counter().map(lambda number: tf.stack([tf.cast(number, tf.int32), 0]))
    images = tf.data.Dataset.zip(files, seeds).map(image, num_parallel_calls=tf.data.AUTOTUNE)
    return images.batch(_BATCH).prefetch(tf.data.AUTOTUNE)


def _keras(folder: str, dataset: ImageDataset) -> tf.data.Dataset:
    """Returns what Keras offers: whole images are decoded and resized, then cropped, flipped and normalised."""
    size = (_SHORT_SIDE, _SHORT_SIDE)
    images = keras.utils.image_dataset_from_directory(
        folder, image_size=size, batch_size=_BATCH, crop_to_aspect_ratio=True, verbose=False
    )
    layers = [
        keras.layers.RandomZoom((-1 + _CROP.scale[0] ** 0.5, 0.0)),
        keras.layers.RandomCrop(_SIZE, _SIZE),
        keras.layers.RandomFlip("horizontal"),
        keras.layers.Normalization(mean=dataset.mean, variance=dataset.std**2),
    ]

    def changed(batch: tf.Tensor, _: tf.Tensor) -> tf.Tensor:
        for layer in layers:
            batch = layer(batch, training=True)
        return batch

    return images.repeat().take(_STEPS).map(changed, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)


def _all_of(batches: tf.data.Dataset) -> Action:
    """Returns what makes all batches. No pipeline may have more: it would make them while another one is timed."""

    def make() -> None:
        for _ in batches:
            pass

    return make


def _show_memory(folder: str) -> None:
    dataset = _dataset(folder)
    in_epoch, process, after = len(dataset.train) // _BATCH, psutil.Process(), []
    batches = iter(_ours(dataset, in_epoch * _EPOCHS))
    for _ in range(_EPOCHS):
        for _ in range(in_epoch):
            next(batches)
        after.append(process.memory_info().rss / 1e6)
    ratio = after[-1] / after[1]
    headers = ["Epochs", "After the second, MB", "At the end, MB", "Ratio", "At most", ""]
    kept = verdict(ratio, MEMORY_BOUND, at_most=True)
    show("Memory of the pipeline", headers, [[_EPOCHS, after[1], after[-1], ratio, MEMORY_BOUND, kept]])


def _show_hours(rate: float, teraflops: float, cores: int) -> None:
    """Prints the hours of an epoch: those that the networks need and those that decoding needs, of which the more."""
    rows = []
    for pair in _PAIRS:
        work = 2 * _multiply_adds_of_a_step(pair)  # a multiplication and an addition
        for accelerators in (1, 8):
            networks = _IMAGENET * work / (teraflops * 1e12 * accelerators) / 3600
            decoding = _IMAGENET / (rate * cores * accelerators) / 3600
            rows.append([pair, accelerators, work / 1e9, networks, decoding, max(networks, decoding)])
    headers = ["Pair, soft logits", "Accelerators", "GFLOP an image", "Networks, h", "Decoding, h", "Epoch, h"]
    title = (
        f"Hours of an epoch of ImageNet: computed, not measured, from {rate:.0f} images a second and core and the "
        f"networks' multiply-adds, with {teraflops:g} TFLOP/s an accelerator and {cores} cores for it"
    )
    show(title, headers, rows)


def _multiply_adds_of_a_step(pair: str) -> int:
    """Returns those of an image: the student forward and twice that backward, the teacher forward."""
    (config,) = jobs(["experiment=imagenet", "dataset=imagenet2012", f"model={pair}", "method=student"])
    student, teacher = (
        multiply_adds(network.build((_SIZE, _SIZE, 3), 1000))
        for network in (config.model.student, config.model.teacher)
    )
    assert student is not None and teacher is not None, "they have fixed sizes"
    return 3 * student + teacher


if __name__ == "__main__":
    main()
