"""A user's own images, in folders or in arrays: the same set in either form, wherever it is, and what is refused."""

import shutil
import struct
import zipfile
import zlib

import numpy as np
import pytest
import tensorflow as tf

from kd_bench.build import build
from kd_bench.config.compose import jobs
from kd_bench.data.arrays import load_arrays
from kd_bench.data.description import describe
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
    with pytest.raises(DataError, match=r"broken\.jpg is not an image that can be read \(.*\); replace it, or move it"):
        folder_set(photos)
    (photos / "empty").mkdir()
    with pytest.raises(DataError, match="its folder empty has no images"):
        folder_set(photos)
    with pytest.raises(DataError, match=r"needs a folder per class, at least two; it has 1; set .*photos, which has"):
        folder_set(tmp_path)
    shutil.rmtree(photos / "empty")
    (photos / "dogs/broken.jpg").unlink()
    with pytest.raises(
        DataError, match=r"dataset\.test_share=0\.01 leaves 1 of 60 images .* of class (cats|dogs|eels); the"
    ):
        folder_set(photos, test_share=0.01)
    with pytest.raises(DataError, match=r"dataset\.padding=5: must be below the images' size, 6x5"):
        folder_set(photos, padding=5)


def test_a_set_is_described_in_one_line(photos, capsys):
    for place in ("cats/0.webp", "dogs/1.webp", "eels/1.tif"):
        (photos / place).write_bytes(b"")
    dataset = folder_set(photos)
    assert describe(dataset, with_test=True) == (
        "3 classes (cats, dogs, eels), 45 training and 15 test images of 6x5 pixels in 3 channels, 3 files left out"
    )
    assert describe(dataset, with_test=False) == (
        "3 classes (cats, dogs, eels), 45 training images of 6x5 pixels in 3 channels, 3 files left out"
    )
    assert capsys.readouterr().err == f"warning: dataset.root={photos}: 3 files are left out: .webp (2), .tif (1).\n"


def test_the_line_names_the_parts_and_not_too_many_classes(tmp_path, generator, capsys):
    for part, count in (("Training", 2), ("val", 1)):
        for label in range(12):
            write_images(tmp_path / part / f"class {label:02}", generator.integers(0, 256, (count, 2, 2, 1), np.uint8))
    assert describe(folder_set(tmp_path, channels=1), with_test=True) == (
        "12 classes (class 00, class 01, class 02, class 03, class 04, class 05, class 06, class 07, class 08, ..., "
        "class 11), 24 training and 12 test images of 2x2 pixels in 1 channel, of Training and val"
    )
    assert not capsys.readouterr().err


def test_linked_classes_are_the_same_set(tmp_path, photos):
    (tmp_path / "linked").mkdir()
    for name in ("cats", "dogs", "eels"):
        (tmp_path / "linked" / name).symlink_to(photos / name)
    assert folder_set(tmp_path / "linked").fingerprint == folder_set(photos).fingerprint


def test_a_class_of_one_image_is_named(photos, images):
    write_images(photos / "newts", images[0, :1])
    with pytest.raises(DataError, match=r"its class newts has one image, and dataset\.test_share=0\.25 needs one to"):
        folder_set(photos)


def test_a_class_that_a_fraction_leaves_out_is_named(photos):
    with pytest.raises(
        DataError, match=r"^fraction=0\.02 keeps 1 of 48 images and none of class (cats|dogs|eels); the"
    ):
        build(run_on(photos, "fraction=0.02", "dataset.padding=1"), None)
    with pytest.raises(DataError, match=r"^validation=0\.02 leaves 1 of 48 .* none of class (cats|dogs|eels); the"):
        build(run_on(photos, "validation=0.02", "dataset.padding=1"), None)


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
        ({"x": PIXELS, "y": LABELS * 0}, "all training images have the label 0; two classes are needed"),
        ({"x": PIXELS, "y": LABELS + 2**32}, "y has the label 4294967297; labels must be 0 to K-1"),
        ({"x": PIXELS, "y": LABELS * 2**31}, "y has the label 2147483648; labels must be 0 to K-1"),
        ({"x": PIXELS, "y": LABELS.astype(np.uint64) + np.uint64(2**64 - 2)}, "y has the label 18446744073709551615"),
        ({"x": PIXELS, "y": LABELS * 10**9}, "no training image has the label 1; .* The highest is 1000000000"),
        ({"x": PIXELS, "y": np.arange(8) // 7}, "its class 1 has one image, and dataset.test_share=0.25 needs"),
        ({"x": PIXELS, "y": np.int64(3)}, r"y is int64 \(\), not integers"),
        ({"x": PIXELS, "y": LABELS > 0}, "y is bool"),
        ({"x": np.uint8(3), "y": LABELS}, r"x is uint8 \(\), not uint8"),
        ({"x": PIXELS[:0], "y": LABELS[:0]}, r"x has the shape \(0, 4, 4, 1\): no images"),
        ({"x": PIXELS[:, :, :0], "y": LABELS}, r"x has the shape \(8, 4, 0, 1\): no images"),
        *(
            (
                {"x": np.zeros((8, channels, 16, 16), np.uint8), "y": LABELS},
                r"looks like \[N, C, H, W\]; save x\.transp",
            )
            for channels in (1, 3, 4)
        ),
        ({"x": PIXELS.reshape(4, 4, 1, 8), "y": LABELS}, r"x is uint8 \(4, 4, 1, 8\), not uint8 \[8, H, W, C\]"),
    ],
)
def test_what_arrays_cannot_be(tmp_path, arrays, problem):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=rf"^dataset\.path=.*{problem}"):
        arrays_set(tmp_path / "a.npz")


@pytest.mark.parametrize("label", [2**32, 10**9, 2])
def test_labels_that_only_the_test_set_has_are_refused(tmp_path, label):
    parts = {"x_train": PIXELS, "y_train": LABELS, "x_test": PIXELS + 1, "y_test": LABELS + label}
    np.savez(tmp_path / "a.npz", **parts)
    with pytest.raises(DataError, match="label"):
        _ = arrays_set(tmp_path / "a.npz").test


def test_arrays_are_described_in_one_line(tmp_path):
    np.savez(tmp_path / "a.npz", x=PIXELS, y=LABELS)
    assert describe(arrays_set(tmp_path / "a.npz"), with_test=True) == (
        "2 classes (0, 1), 6 training and 2 test images of 4x4 pixels in 1 channel"
    )


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The content of a sound compressed npz file, and of the array `x` in it."""
    path = tmp_path_factory.mktemp("arrays") / "a.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).integers(0, 256, (8, 40, 40), np.uint8), y=LABELS)
    return path.read_bytes(), zipfile.ZipFile(path).read("x.npy")


def flipped(content, place):
    return content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :]


def header(text, length=None):
    """Returns an npy file of version 1 with this header."""
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text) if length is None else length) + text


def shaped(shape):
    return header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}\n".encode())


ODD_ARRAYS = {
    "text": b"text",
    "nothing": b"",
    "10^12 images": shaped((10**12, 4, 4)),
    "more numbers than a machine can count": shaped((2**62, 2**62)),
    "a negative shape": shaped((-1, 4)),
    "a shape of text": shaped(("a",)),
    "brackets in brackets": header(b"(" * 9000),
    "a header without an end": header(b"{'descr'", 60000),
    "no dictionary": header(b"[1,\n"),
    "an unknown version": b"\x93NUMPY\x09\0" + bytes(20),
    "an unknown type": header(b"{'descr': '|q9', 'fortran_order': False, 'shape': (1,)}\n"),
    "objects": header(b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n"),
    "fewer pixels than it says": shaped((8, 4, 4)) + bytes(9),
}


@pytest.mark.parametrize("kind", ODD_ARRAYS)
def test_an_array_that_cannot_be_read_is_refused_in_one_line(tmp_path, kind):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as made:
        made.writestr("x.npy", ODD_ARRAYS[kind])
        made.writestr("y.npy", ODD_ARRAYS[kind])
    with pytest.raises(DataError, match=rf"^dataset\.path={tmp_path}/a\.npz: [^\n]*$"):
        arrays_set(tmp_path / "a.npz")


DAMAGE = {
    "text": lambda content: b"text",
    "nothing": lambda content: b"",
    "cut short": lambda content: content[:-30],
    "a byte of the pixels": lambda content: flipped(content, 2000),
    "the kind of compression": lambda content: content.replace(b"\x08\0", b"\x63\0"),
    "a password": lambda content: content.replace(b"PK\1\2\x2d\3\x2d\0\0", b"PK\1\2\x2d\3\x2d\0\1"),
    "the name of an array": lambda content: content.replace(b"x.npy", b"z.npy", 1),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_file_of_arrays_that_is_damaged_is_refused_in_one_line(tmp_path, archive, kind):
    damaged = DAMAGE[kind](archive[0])
    assert damaged != archive[0]
    (tmp_path / "a.npz").write_bytes(damaged)
    with pytest.raises(
        DataError, match=r"^dataset\.path=[^\n]*: is not a file that numpy\.savez wrote \([^\n]*\); write"
    ):
        arrays_set(tmp_path / "a.npz")


@pytest.mark.parametrize(
    "error", [zlib.error("bad"), EOFError(), MemoryError(), RecursionError("deep"), OSError(5, "I/O")]
)
def test_what_a_reader_raises_is_one_line(tmp_path, photos, error, monkeypatch):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(np, "load", fail)
    with pytest.raises(DataError, match=r"^dataset\.path=x: is not a file .*\(.+\); write it again"):
        arrays_set("x")
    monkeypatch.setattr(tf.io, "decode_image", fail)
    with pytest.raises(DataError, match=r"cats/0\.png is not an image that can be read \(.+\); replace it"):
        folder_set(photos)


def run_on(root, *more):
    (config,) = jobs(["method=student", "dataset=folder", f"dataset.root={root}", *more])
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
