"""Exports one run's network in one format: written, executed on the whole test set, measured, then put in its place."""

import contextlib
import datetime
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

from kd_bench.data.images import Images
from kd_bench.errors import BenchError
from kd_bench.export import formats
from kd_bench.export.finished import Finished
from kd_bench.export.measure import different, median_seconds, size_bytes
from kd_bench.export.packages import versions
from kd_bench.launch.quiet import quietly
from kd_bench.runs import environment
from kd_bench.runs.exports import Export, artefact, measurements, write_export
from kd_bench.runs.files import storing
from kd_bench.training.scores import accuracy

_BLOCK = 500
_BATCH = 64
_SINGLE_IMAGES = 100
_NOISE = {"float32": 1e-3, "mixed_float16": 0.01, "mixed_bfloat16": 0.05}
"""By the precision of the run: all formats compute in float32, but its predictions were made in this one. See
`measure.different`."""


def export(run: Finished, network: keras.Model, form: str) -> Export:
    """Exports a run's network in one format.

    Args:
        run: the run.
        network: the result of `formats.load_network`.
        form: one of `ARTEFACTS`.

    Returns:
        What was measured, which is also in a file beside the exported network.

    Raises:
        BenchError: it cannot be exported, or predicts other classes than the run did. Nothing is written.
        StorageError: it cannot be written.
    """
    place = artefact(run.folder, form)
    with _temporary_folder(run.folder.exports) as folder:
        written = folder / place.name
        with _converting(form), quietly():
            formats.write(form, network, written, run)
            runtime = formats.load(form, written, network, run)
            logits = _logits(runtime, run.dataset.test)
        _require_same_classes(run, form, logits)
        measured = _measure(run, form, written, runtime, logits)
        _replace(written, place, measurements(run.folder, form))
    write_export(run.folder, measured)
    return measured


@contextlib.contextmanager
def _temporary_folder(exports: Path) -> Iterator[Path]:
    """Yields a folder that is deleted at the end, on the same disk as the exported networks."""
    with storing(exports):
        exports.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=exports) as folder:
            yield Path(folder)


@contextlib.contextmanager
def _converting(form: str) -> Iterator[None]:
    """Replaces an error of a converter, or of what executes its result, by a readable one."""
    try:
        yield
    except BenchError:
        raise
    except (RuntimeError, ValueError, TypeError) as problem:
        reason = str(problem).strip().partition("\n")[0]
        raise BenchError(f"{form}: the network cannot be exported in this format ({reason}).") from problem


def _logits(runtime: formats.Runtime, images: Images) -> np.ndarray:
    blocks = np.array_split(np.arange(len(images)), -(-len(images) // _BLOCK))
    return np.concatenate([runtime.logits(runtime.prepare(images.read(block))) for block in blocks])


def _require_same_classes(run: Finished, form: str, logits: np.ndarray) -> None:
    """Raises `BenchError` if a network in floats predicts other classes than the run did."""
    if form == "litert_int8":
        return
    wrong = int(different(logits, run.predictions, _NOISE.get(run.record.setting.precision, 0.0)).sum())
    if wrong:
        raise BenchError(
            f"{form}: {wrong} of {len(logits)} test images get another class than in {run.folder.predictions}, which "
            "rounding does not explain; the exported network is deleted."
        )


def _measure(run: Finished, form: str, path: Path, runtime: formats.Runtime, logits: np.ndarray) -> Export:
    images = run.dataset.test
    some = images.read(np.arange(min(len(images), max(_BATCH, _SINGLE_IMAGES))))
    batch = runtime.prepare(some[:_BATCH])
    single = [runtime.prepare(image[np.newaxis]) for image in some[:_SINGLE_IMAGES]]
    seconds = [median_seconds(runtime.logits, inputs) if runtime.is_own else None for inputs in (single, [batch])]
    return Export(
        format=form,
        network=run.checksum,
        size_bytes=size_bytes(path),
        images=len(images),
        accuracy=accuracy(logits, images.labels),
        differing=int((logits.argmax(axis=1) != run.predictions).sum()),
        latency_ms=None if seconds[0] is None else 1000 * seconds[0],
        batch_size=len(batch),
        images_per_second=None if seconds[1] is None else len(batch) / seconds[1],
        processor=environment.processor(),
        versions=versions(form),
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def _replace(written: Path, place: Path, measured: Path) -> None:
    """Puts an exported network in its place, and deletes the earlier one with what was measured of it."""
    measured.unlink(missing_ok=True)
    if place.is_dir():
        shutil.rmtree(place)
    written.replace(place)
