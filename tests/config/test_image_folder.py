"""One list of a folder's images: what is in it, what is left out, which folders are parts, and what is refused."""

import os
import shutil

import pytest

from kd_bench.config import resolvers
from kd_bench.config.compose import jobs
from kd_bench.config.forget import forget
from kd_bench.config.image_folder import list_images
from kd_bench.errors import ConfigError, DataError

ORDINARY = "15805654dcf10779"
SPLIT = "a887ab36898f9ce8"
"""The contents of two folders, as they were before links and hidden files were thought of."""


def make(root, *places):
    """Writes a file at each of these places; its content is the place."""
    for place in places:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(place)
    return root


@pytest.fixture
def photos(tmp_path):
    return make(tmp_path / "photos", "cats/0.png", "cats/1.JPG", "dogs/0.gif", "dogs/more/1.bmp", "eels/0.jpeg")


def content(root):
    forget()
    return resolvers.folder_content(str(root))


def names(root):
    listed = list_images(str(root))
    return [
        {name: len(files) for name, files in classes.items()} if classes else None
        for classes in (listed.train, listed.test)
    ]


ALL = {"cats": 2, "dogs": 2, "eels": 1}


def test_the_content_of_ordinary_folders_is_what_it_always_was(photos, tmp_path):
    assert content(photos) == ORDINARY
    assert (
        content(make(tmp_path / "split", *(f"{part}/{name}/0.png" for part in ("train", "test") for name in "ab")))
        == SPLIT
    )


def test_a_link_is_what_it_leads_to(photos, tmp_path):
    linked = tmp_path / "linked"
    linked.mkdir()
    for name in ALL:
        (linked / name).symlink_to(photos / name)
    assert content(linked) == ORDINARY
    (tmp_path / "all").symlink_to(photos)
    assert content(tmp_path / "all") == ORDINARY
    (photos / "cats/0.png").write_text("another")
    assert content(linked) == content(photos) != ORDINARY


def test_a_link_inside_a_class_is_followed(photos, tmp_path):
    make(tmp_path / "store", "a.png", "deep/b.png")
    (photos / "cats/more").symlink_to(tmp_path / "store")
    (photos / "eels/1.png").symlink_to(tmp_path / "store/a.png")
    before = content(photos)
    assert names(photos)[0] == {"cats": 4, "dogs": 2, "eels": 2}
    (tmp_path / "store/deep/b.png").write_text("another")
    assert content(photos) != before


@pytest.mark.parametrize(
    "place",
    [
        *(".DS_Store", "cats/._0.png", ".hidden/0.png", "cats/.ipynb_checkpoints/0.png", "__MACOSX/cats/0.png"),
        *("cats/Thumbs.db", "desktop.ini", "dogs/__macosx/0.png", ".git/objects/0.png", "dogs/more/.trash/0.jpg"),
    ],
)
def test_hidden_files_are_as_if_they_were_not_there(photos, place):
    make(photos, place)
    assert content(photos) == ORDINARY
    assert names(photos) == [ALL, None]
    assert not list_images(str(photos)).left_out


def test_what_is_no_image_is_counted_and_has_no_effect(photos):
    make(photos, "README.txt", "0.png", "cats/0.webp", "dogs/1.webp", "dogs/more/2.TIF", "eels/noending")
    (photos / "eels/2.png").symlink_to("nowhere")
    os.mkfifo(photos / "eels/3.png")
    assert content(photos) == ORDINARY
    left_out = {"images of no class": 1, ".txt": 1, ".webp": 2, ".tif": 1, "no ending": 1, "no file": 2}
    assert list_images(str(photos)).left_out == left_out


@pytest.mark.parametrize("place", ["0.png", "cats/pipe.png", "cats/deeper/pipe", "cats/socket.jpg"])
def test_a_pipe_is_counted_and_never_opened(photos, place):
    (photos / place).parent.mkdir(exist_ok=True)
    os.mkfifo(photos / place)
    assert list_images(str(photos)).left_out == {"no file": 1}
    content(photos)


@pytest.mark.parametrize(
    ("training", "testing"),
    [
        *(("train", "test"), ("train", "val"), ("train", "valid"), ("train", "validation"), ("train", "dev")),
        *(("training", "testing"), ("Training", "TESTING"), ("Train", "Val"), ("seg_train", "seg_test")),
        *(("train2017", "val2017"), ("training_set", "test_set"), ("my-train", "my-val")),
        *(("train1", "test1"), ("trainData", "testData"), ("traindata", "testset"), ("TrainA", "TestA")),
    ],
)
def test_folders_named_as_parts_are_parts(tmp_path, training, testing):
    root = make(
        tmp_path,
        f"{training}/a/0.png",
        f"{training}/b/0.png",
        f"{testing}/a/0.png",
        "labels.csv",
        "0.png",
        "info/0.txt",
    )
    assert names(root) == [{"a": 1, "b": 1}, {"a": 1}]
    listed = list_images(str(root))
    assert listed.parts == (training, testing)
    assert listed.left_out == {".csv": 1, "images of no class": 1, "info/": 1}


def test_validation_images_are_left_out_if_there_are_test_images(tmp_path):
    root = make(tmp_path, *(f"{part}/{name}/0.png" for part in ("train", "valid", "test") for name in "ab"))
    assert list_images(str(root)).parts == ("train", "test")
    assert list_images(str(root)).left_out == {"valid/": 2}
    before = content(root)
    make(root, "valid/a/1.png")
    assert content(root) == before


def test_test_images_without_labels_are_left_out(tmp_path):
    """ImageNet has labels for `train` and `val` only."""
    root = make(tmp_path, "train/a/0.png", "train/b/0.png", "val/a/0.png", "val/b/0.png", "test/0.png", "test/1.png")
    assert list_images(str(root)).parts == ("train", "val")
    assert list_images(str(root)).left_out == {"test/": 2}


@pytest.mark.parametrize(
    "classes", [("train", "tram", "bus"), ("toy_train", "test_tube", "cup"), ("dev", "ops"), ("part1", "part2")]
)
def test_classes_may_have_such_names(tmp_path, classes):
    root = make(tmp_path, *(f"{name}/0.png" for name in classes))
    assert names(root) == [dict.fromkeys(sorted(classes), 1), None]


@pytest.mark.parametrize(
    "places",
    [["part1/a/0", "b/a/0"], ["cats/fold1/0", "dogs/fold1/0"], ["animals/a/0", "plants/b/0"], ["fold1/0", "fold2/a/0"]],
)
def test_classes_may_have_folders_below_them(tmp_path, places):
    root = make(tmp_path, *(f"{place}.png" for place in places))
    assert names(root) == [{place.partition("/")[0]: 1 for place in sorted(places)}, None]


AMBIGUOUS = {
    "two test folders": (["train/a/0", "train/b/0", "test/a/0", "testing/a/0"], "set dataset.root={}/train, of which"),
    "two validation folders": (
        ["train/a/0", "train/b/0", "val/a/0", "valid/a/0"],
        "set dataset.root={}/train, of which",
    ),
    "two training folders": (["train/a/0", "Train/a/0", "test/a/0"], "rename them"),
    "only training": (["train/a/0", "train/b/0"], "set dataset.root={}/train, of which"),
    "only testing": (["test/a/0", "val/b/0"], "rename them"),
    "no classes in the parts": (["train/0", "test/0"], r"\(test, train\)"),
    "no classes in the parts, others beside": (["train/0", "val/0", "extra/0"], r"\(train, val\)"),
    "no classes in prefixed parts": (["a_train/0", "a_test/0"], r"\(a_test, a_train\)"),
    "no classes in the test folder": (["train/a/0", "train/b/0", "test/0"], "set dataset.root={}/train, of which"),
    "a class or a part": (["train/steam/0", "train/diesel/0", "bus/0"], "set dataset.root={}/train, of which"),
    "parts below classes": (
        ["cats/train/0", "cats/test/0", "dogs/train/0"],
        "its folder cats has folders named as parts",
    ),
    "one level too high": (["photos/a/0", "photos/b/0"], "set dataset.root={}/photos, which has several"),
    "parts one level too high": (["x/train/a/0", "x/test/a/0"], "set dataset.root={}/x, which has several"),
    "the part twice": (["train/train/a/0", "train/train/b/0", "test/test/a/0"], "set dataset.root={}/train/train"),
    "another class in test": (["train/a/0", "train/b/0", "test/c/0"], "test/c has no counterpart in train"),
    "test images in one folder": (["train/a/0", "train/b/0", "val/images/0"], "val/images has no counterpart in train"),
    "shares": (
        [f"{share}/{name}/0" for share in ("fold1", "fold2", "fold3") for name in "ab"],
        "dataset.root={}/fold1",
    ),
    "numbered shares": (["split_0/a/0", "split_1/a/0"], "split_0, split_1 are named as parts"),
    "shares beside a class": (["partA/a/0", "partB/b/0", "cats/0"], "put their images directly into them"),
    "shares of the training images": (
        ["train/fold-1/a/0", "train/fold-2/a/0", "test/a/0"],
        "dataset.root={}/train/fold",
    ),
    "one class": (["a/0"], "at least two; it has 1"),
    "no folders": (["0"], "at least two; it has 0"),
}


@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_what_is_not_clear_is_refused_with_what_to_do(tmp_path, kind):
    places, problem = AMBIGUOUS[kind]
    make(tmp_path, *(f"{place}.png" for place in places))
    with pytest.raises(DataError, match=rf"^dataset\.root={tmp_path}.*{problem.format(tmp_path)}"):
        list_images(str(tmp_path))


def test_a_class_without_images_is_refused_with_what_it_has(photos):
    shutil.rmtree(photos / "eels")
    make(photos, "eels/0.tif", "eels/1.tif")
    with pytest.raises(DataError, match=r"its folder eels has no images \(.*\); 2 files are left out: \.tif \(2\)\.$"):
        list_images(str(photos))


@pytest.mark.parametrize("target", [".", "..", "../..", "../dogs/back"])
def test_links_in_a_circle_are_refused(photos, target):
    (photos / "dogs/back").symlink_to("../cats")
    (photos / "cats/up").symlink_to(target)
    with pytest.raises(DataError, match=r"its links lead to .* a second time"):
        list_images(str(photos))


def test_a_link_to_itself_is_refused(photos):
    (photos / "cats/up").symlink_to("up")
    with pytest.raises(DataError, match=r"cats/up.* cannot be read"):
        list_images(str(photos))


@pytest.mark.parametrize("name", [b"caf\xe9", b"a\nb", b"a\x1b[31m", "a\u2028b".encode()])
def test_a_class_whose_name_is_no_text_is_refused(photos, name):
    (photos / os.fsdecode(name)).mkdir()
    with pytest.raises(
        DataError, match=r"^dataset\.root=.*: its folder '.*\\.*' has no name that is text; rename it\.$"
    ):
        list_images(str(photos))


def test_other_names_need_not_be_text(photos):
    """Only the names of classes are shown."""
    (photos / "cats/caf\udce9").mkdir()
    (photos / "cats/caf\udce9/\udce9.png").write_text("image")
    assert len(content(photos)) == 16
    assert names(photos)[0]["cats"] == 3


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Makes a home with a file in it, and a folder above it."""
    make(tmp_path / "above/home", "file.zip", "a/0.png", "b/0.png")
    monkeypatch.setenv("HOME", str(tmp_path / "above/home"))
    monkeypatch.chdir(tmp_path / "above/home")
    return tmp_path / "above"


REFUSED = {
    "a home": ("folder", "root=.", r"dataset\.root=\.: is your home"),
    "a home by its name": ("folder", "root='~'", "dataset.root=~: is your home"),
    "a folder above a home": ("folder", "root=..", r"dataset\.root=\.\.: is your home or contains it"),
    "everything": ("folder", "root=/", "dataset.root=/: is your home or contains it"),
    "no folder": ("folder", "root=nowhere", "dataset.root=nowhere: there is no such folder"),
    "nothing": ("folder", "root=''", "dataset.root=: there is no such folder"),
    "a number": ("folder", "root=2024", "dataset.root=2024: there is no such folder"),
    "nobody's home": ("folder", "root='~nobody-here/x'", "dataset.root=~nobody-here/x: there is no such home"),
    "a file": ("folder", "root=file.zip", r"dataset\.root=file\.zip: is no folder"),
    "a long name": ("folder", f"root={'x' * 300}", r"dataset\.root=x+: .* cannot be read \(File name too long"),
    "a folder for arrays": ("arrays", "path=/", "dataset.path=/: is no file"),
    "no arrays": ("arrays", "path=nowhere.npz", "dataset.path=nowhere.npz: there is no such file"),
    "no path": ("arrays", "path=''", "dataset.path=: is no file"),
    "a file for arrays": ("arrays", "path=file.zip", "dataset.path=file.zip: is not a file that numpy.savez wrote"),
    "a device": ("arrays", "path=/dev/zero", "dataset.path=/dev/zero: is no file"),
    "nobody's arrays": ("arrays", "path='~nobody-here/x'", "dataset.path=~nobody-here/x: there is no such home"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_it_cannot_be_is_refused_before_it_is_read(own, kind, monkeypatch):
    def checksum(path):
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(resolvers, "file_checksum", checksum)
    dataset, value, problem = REFUSED[kind]
    forget()
    with pytest.raises(ConfigError, match=f"^{problem}"):
        jobs(["method=student", f"dataset={dataset}", f"dataset.{value}"])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("photos (2)", "photos _2_"),
        ("-dash", "_dash"),
        ("ha#sh", "ha_sh"),
        ("photos.v1", "photos.v1"),
        ("日本", "日本"),
    ],
)
def test_any_folder_has_a_name_for_its_runs(photos, name, shown):
    photos.rename(photos.with_name(name))
    assert resolvers.folder_name(str(photos.with_name(name))) == shown
    forget()
    (run,) = jobs(["method=student", "dataset=folder", f"dataset.root='{photos.with_name(name)}'"])
    assert run.dataset.name == shown


def test_the_current_folder_has_its_name(photos, monkeypatch):
    monkeypatch.chdir(photos)
    assert [resolvers.folder_name(path) for path in (".", "cats/..", "../photos/", "./cats")] == ["photos"] * 3 + [
        "cats"
    ]
