"""Lists the images of a user's folder, by part and class. Identity, count and reader see this list and nothing else."""

import contextlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kd_bench.config.paths import expanded
from kd_bench.errors import DataError

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
"""The endings of images, in any case."""

_IGNORED = ("__macosx", "thumbs.db", "desktop.ini")
"""What systems put into folders, beside files whose names begin with a dot."""
_PARTS = {
    "training": {"train", "training", "traindata", "trainset"},
    "test": {"test", "testing", "testdata", "testset"},
    "validation": {"val", "valid", "validation", "dev"},
}
"""The words in the names of folders that hold a part of a set."""
_SHARES = {"fold", "part", "partition", "shard", "split", "subset"}
"""The words in the names of folders that hold a part of a set, and do not say which."""
_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of control characters, of bytes that are no text, and of line ends."""

Classes = dict[str, list[Path]]
"""The images of each class, by the names of the classes, in the order of these names."""


@dataclass(frozen=True)
class ImageFolder:
    """The images of a set, in folders.

    Attributes:
        root: the folder of the set.
        train: the images of each class, all of them if there is no test folder.
        test: the test images of each class that has some; None if there is no test folder.
        parts: the names of the training and of the test folder; none if there are none.
        left_out: how many other files are below `root`, by what they are: an ending, or an unused folder.
    """

    root: Path
    train: Classes
    test: Classes | None
    parts: tuple[str, ...]
    left_out: Counter[str]

    def files(self) -> Iterator[Path]:
        """Yields all images of the set."""
        for classes in (self.train, self.test or {}):
            for files in classes.values():
                yield from files


def list_images(root: str) -> ImageFolder:
    """Lists the images below a folder that has a folder per class, or such folders in a training and a test folder.

    Links are followed. Names that begin with a dot, and what systems put into folders, are as if they were not there.

    Args:
        root: the value of `dataset.root`.

    Raises:
        ConfigError: there is no such home.
        DataError: there is no such folder, it cannot be read, or it is not clear what its classes and parts are.
    """
    folder = _existing(root)
    left_out: Counter[str] = Counter()
    with reading(root):
        parts = _parts(folder)
        if parts is None:
            return ImageFolder(folder, _classes(folder, left_out), None, (), left_out)
        train, test = _classes(parts[0], left_out), _classes(parts[1], left_out, least=1)
        files, folders = _content(folder)
        left_out += Counter(map(_kind, files))
        left_out += Counter({f"{unused.name}/": len(_files(unused)) for unused in folders if unused not in parts})
    if unknown := sorted(set(test) - set(train)):
        raise DataError(
            f"dataset.root={root}: {parts[1] / unknown[0]} has no counterpart in {parts[0].name}; make the classes "
            f"equal, or set dataset.root={parts[0]}, of which dataset.test_share becomes the test set."
        )
    return ImageFolder(folder, train, test, tuple(part.name for part in parts), left_out)


def describe_left_out(left_out: Counter[str]) -> str:
    """Returns what was left out in words, as in `27 files are left out: .webp (27)`."""
    kinds = ", ".join(f"{kind} ({count})" for kind, count in left_out.most_common())
    return f"{left_out.total()} {'file is' if left_out.total() == 1 else 'files are'} left out: {kinds}"


@contextlib.contextmanager
def reading(root: str) -> Iterator[None]:
    """Raises `DataError`, one line with the path, if the system cannot read a file or folder in the body."""
    try:
        yield
    except OSError as problem:
        raise DataError(
            f"dataset.root={root}: {problem.filename or 'a file'} cannot be read ({problem.strerror})."
        ) from problem


def _existing(root: str) -> Path:
    """Returns the folder, if it can be one of images: a whole home would take hours to read."""
    with reading(root):
        folder = expanded("dataset.root", root)
        if not root or not folder.exists():
            raise DataError(f"dataset.root={root}: there is no such folder.")
        if not folder.is_dir():
            raise DataError(f"dataset.root={root}: is no folder; for an npz file, write dataset=arrays dataset.path=.")
        if Path("~").expanduser().resolve().is_relative_to(folder.resolve()):
            raise DataError(f"dataset.root={root}: is your home or contains it; set it to the folder of the images.")
    return folder


def _parts(root: Path) -> tuple[Path, Path] | None:
    """Returns the training and the test folder, which may be named as one for validation; None if there are none."""
    folders = _content(root)[1]
    parts = [folder for folder in folders if _part(folder) and _has_classes(folder)]
    if not parts and not _named_as_parts(folders):
        return None
    training, test, validation = ([folder for folder in parts if _part(folder) == part] for part in _PARTS)
    held_out = test or validation
    if len(training) == len(held_out) == 1:
        return training[0], held_out[0]
    names = ", ".join(folder.name for folder in folders if _part(folder))
    one = f"set dataset.root={training[0]}, of which dataset.test_share becomes the test set, or " if training else ""
    raise DataError(
        f"dataset.root={root}: has folders named as parts of a set ({names}), but not one for training and one for "
        f"testing, each with a folder per class; {one if len(training) == 1 else ''}rename them."
    )


def _named_as_parts(folders: list[Path]) -> bool:
    """Returns whether folders are named as parts of a set, and not by chance: `toy_train` and `tram` can be classes."""
    parts = [_part(folder) for folder in folders]
    exact = {part for part, folder in zip(parts, folders, strict=True) if part and folder.name.lower() in _PARTS[part]}
    return len(exact) > 1 or (len(set(parts)) > 1 and all(parts))


def _part(folder: Path) -> str | None:
    return next((part for part, known in _PARTS.items() if _words(folder) & known), None)


def _words(folder: Path) -> set[str]:
    """Returns the words in a folder's name, such as `train` and `a` of `trainA`, or `fold` of `fold_1`."""
    return {word.lower() for word in re.findall("[A-Z]?[a-z]+|[A-Z]+", folder.name)}


def _has_classes(folder: Path) -> bool:
    files, folders = _content(folder)
    return bool(folders) and not any(map(_is_image, files))


def _classes(place: Path, left_out: Counter[str], least: int = 2) -> Classes:
    """Returns the images of each class, at least so many classes; counts in `left_out` what else the folder has."""
    beside, folders = _content(place)
    if len(folders) < least:
        raise DataError(_few_classes(place, folders))
    _refuse_shares(place, folders)
    left_out += Counter(map(_kind, beside))
    return {folder.name: _images(place, folder, left_out) for folder in folders}


def _refuse_shares(place: Path, folders: list[Path]) -> None:
    """Raises `DataError` if folders are named as parts of a set, have folders below them, and could be classes, too."""
    shares = [folder for folder in folders if _words(folder) & _SHARES and _has_classes(folder)]
    if len(shares) > 1:
        raise DataError(
            f"dataset.root={place}: {', '.join(folder.name for folder in shares)} are named as parts of a set, but "
            f"not which one is for testing; name one train and one test, or set dataset.root={shares[0]}. If they are "
            "classes, put their images directly into them."
        )


def _images(place: Path, folder: Path, left_out: Counter[str]) -> list[Path]:
    """Returns the images of a class. The first class without images ends the listing: what follows may be large."""
    if any(unicodedata.category(letter) in _UNPRINTABLE for letter in folder.name):
        raise DataError(f"dataset.root={place}: its folder {folder.name!a} has no name that is text; rename it.")
    if _named_as_parts(_content(folder)[1]):
        raise DataError(
            f"dataset.root={place}: its folder {folder.name} has folders named as parts of a set; put the classes "
            "below the parts, as in train/cats and test/cats."
        )
    files = _files(folder)
    images = [file for file in files if _is_image(file)]
    others = Counter(_kind(file) for file in files if not _is_image(file))
    if not images:
        instead = f"; {describe_left_out(others)}" if others else ""
        raise DataError(
            f"dataset.root={place}: its folder {folder.name} has no images ({', '.join(SUFFIXES)}){instead}."
        )
    left_out += others
    return images


def _few_classes(place: Path, folders: list[Path]) -> str:
    problem = f"dataset.root={place}: needs a folder per class, at least two; it has {len(folders)}"
    if len(folders) == 1 and len(_content(folders[0])[1]) > 1:
        return f"{problem}; set dataset.root={folders[0]}, which has several."
    return f"{problem}."


def _files(folder: Path) -> list[Path]:
    """Returns all files below a folder, in the order of their paths."""
    found: list[Path] = []
    waiting, seen = [folder], set()
    while waiting:
        place = waiting.pop()
        status = place.stat()
        if (status.st_dev, status.st_ino) in seen:  # a circle of links would have no end
            raise DataError(f"dataset.root={folder}: its links lead to {place} a second time; remove one.")
        seen.add((status.st_dev, status.st_ino))
        files, folders = _content(place)
        found += files
        waiting += folders
    return sorted(found)


def _content(folder: Path) -> tuple[list[Path], list[Path]]:
    """Returns the files and the folders in a folder that are not ignored, each in the order of their names."""
    files: list[Path] = []
    folders: list[Path] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and entry.name.lower() not in _IGNORED:
                (folders if entry.is_dir() else files).append(folder / entry.name)
    return sorted(files), sorted(folders)


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and file.is_file()


def _kind(file: Path) -> str:
    """Returns what a file is that is left out; a link to nothing is no file."""
    if _is_image(file):
        return "images of no class"
    return (file.suffix.lower() or "no ending") if file.is_file() else "no file"
