"""A user's own images, in folders or in arrays: the same set in either form, wherever it is, and what is refused."""

import shutil

import numpy as np
import pytest
import tensorflow as tf

from kd_bench.config.compose import jobs
from kd_bench.data.arrays import load_arrays
from kd_bench.data.folder import load_folder
from kd_bench.errors import ConfigError, DataError

OPTIONS = {"content": "", "test_share": 0.25, "padding": 1, "flip": False}


def write_images(folder, images, name="{}.png"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        (folder / name.format(number)).write_bytes(tf.io.encode_png(image).numpy())


@pytest.fixture
def images(generator):
    """Twenty images of each of three classes."""
    return generator.integers(0, 256, (3, 20, 6, 5, 3), np.uint8)


@pytest.fixture
def photos(tmp_path, images):
    for label, name in enumerate(("cats", "dogs", "eels")):
        write_images(tmp_path / "photos" / name, images[label])
    return tmp_path / "photos"


def folder_set(root, **options):
    return load_folder("photos", root=str(root), **(OPTIONS | {"image_size": None, "channels": 3} | options))


def arrays_set(path, **options):
    return load_arrays("photos", path=str(path), **(OPTIONS | options))


def test_folders_and_arrays_of_the_same_images_are_the_same_set_in_any_order(tmp_path, photos, images, generator):
    order = generator.permutation(60)
    np.savez(tmp_path / "a.npz", x=images.reshape(60, 6, 5, 3)[order], y=np.repeat(np.arange(3), 20)[order, None])
    one, other = folder_set(photos), arrays_set(tmp_path / "a.npz")
    assert one.fingerprint == other.fingerprint
    assert (len(one.train), len(one.test), one.num_classes) == (45, 15, 3)
    assert np.bincount(one.test.labels).tolist() == [5, 5, 5]
    np.testing.assert_array_equal(one.train.pixels, other.train.pixels)
    np.testing.assert_array_equal(one.test.pixels, other.test.pixels)


def test_train_and_test_may_be_given(tmp_path, photos, images):
    for place, part in (("split/train", slice(0, 15)), ("split/test", slice(15, 20))):
        for label, name in enumerate(("cats", "dogs", "eels")):
            write_images(tmp_path / place / name, images[label, part])
    parts = [images[:, :15].reshape(45, 6, 5, 3), images[:, 15:].reshape(15, 6, 5, 3)]
    labels = [np.repeat(np.arange(3, dtype=np.uint8), count) for count in (15, 5)]
    named = dict(zip(("x_train", "x_test", "y_train", "y_test"), (*parts, *labels), strict=True))
    np.savez(tmp_path / "a.npz", **named)
    one, other = folder_set(tmp_path / "split"), arrays_set(tmp_path / "a.npz")
    assert one.fingerprint == other.fingerprint
    assert (len(one.train), len(one.test)) == (45, 15)


def test_images_are_resized_and_read_as_gray_on_request(photos):
    write_images(photos / "cats", [np.zeros((9, 9, 3), np.uint8)], "large.png")
    with pytest.raises(DataError, match=r"vary in size: .*has 6x5 pixels, .*large\.png has 9x9; set a size"):
        folder_set(photos)
    assert folder_set(photos, image_size=4, channels=1).train.pixels.shape == (46, 4, 4, 1)


def test_images_that_both_parts_have_are_counted(tmp_path, images, capsys):
    for part in ("train", "test"):
        for label in range(2):
            write_images(tmp_path / "photos" / part / str(label), images[label, :3])
    _ = folder_set(tmp_path / "photos").test
    assert "6 of its 6 test images are also training images" in capsys.readouterr().err


def test_what_folders_cannot_be(tmp_path, photos):
    (photos / "dogs/broken.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"broken\.jpg is not an image that can be read"):
        folder_set(photos)
    (photos / "empty").mkdir()
    with pytest.raises(DataError, match="its folder empty has no images"):
        folder_set(photos)
    with pytest.raises(DataError, match="needs a folder per class, at least two; it has 1"):
        folder_set(tmp_path)
    shutil.rmtree(photos / "empty")
    (photos / "dogs/broken.jpg").unlink()
    with pytest.raises(DataError, match=r"dataset\.test_share=0\.01 leaves 1 of 60 images for evaluation"):
        folder_set(photos, test_share=0.01)
    with pytest.raises(DataError, match=r"dataset\.padding=5: must be below the images' size, 6x5"):
        folder_set(photos, padding=5)


PIXELS, LABELS = np.zeros((8, 4, 4), np.uint8), np.arange(8) % 2


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"pixels": PIXELS}, "has the arrays pixels; it needs x_train, y_train, x_test and y_test, or x and y"),
        ({"x": PIXELS / 255, "y": LABELS}, r"x is float64 \(8, 4, 4, 1\), not uint8 \[8, H, W, C\]"),
        ({"x": PIXELS, "y": LABELS[:5]}, r"not uint8 \[5, H, W, C\] as y has 5 labels"),
        ({"x": PIXELS, "y": np.eye(8)}, r"y is float64 \(8, 8\), not integers \[N\] from 0"),
        ({"x": PIXELS, "y": LABELS - 1}, r"y is int64 \(8,\), not integers \[N\] from 0 to K-1"),
        ({"x": PIXELS, "y": LABELS + 1}, r"no training image has the label 0; labels must be 0 to K-1"),
    ],
)
def test_what_arrays_cannot_be(tmp_path, arrays, problem):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=problem):
        arrays_set(tmp_path / "a.npz")


def test_a_file_that_is_no_npz(tmp_path):
    (tmp_path / "a.npz").write_text("text")
    with pytest.raises(DataError, match=r"is not a file that numpy\.savez wrote"):
        arrays_set(tmp_path / "a.npz")


def run_on(root):
    (config,) = jobs(["method=student", "dataset=folder", f"dataset.root={root}"])
    return config


def test_the_content_and_not_the_path_is_part_of_the_digest(tmp_path, photos):
    before = run_on(photos)
    assert (before.dataset.name, before.variant) == ("photos", {})
    moved = tmp_path / "elsewhere/photos"
    moved.parent.mkdir()
    photos.rename(moved)
    (moved / "cats/0.png").rename(moved / "cats/renamed.png")
    assert run_on(moved).digest == before.digest
    copy = tmp_path / "altered/photos"
    shutil.copytree(moved, copy)
    (copy / "cats/1.png").write_bytes((copy / "cats/2.png").read_bytes())
    assert run_on(copy).digest != before.digest


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["dataset=folder"], r"^dataset\.root: Missing mandatory value"),
        (["dataset=arrays", "dataset.path=/nowhere.npz"], r"^dataset\.path=/nowhere\.npz: there is no such file"),
    ],
)
def test_own_data_that_are_not_there_are_refused_before_anything_starts(arguments, problem):
    with pytest.raises(ConfigError, match=problem):
        jobs(["method=student", *arguments])
