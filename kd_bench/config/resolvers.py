"""What configs can write as `${name:path}`. A user's own data are identified by their content, wherever they are."""

import hashlib
import zipfile
from functools import cache
from pathlib import Path

from omegaconf import OmegaConf

from kd_bench.checks import FolderName
from kd_bench.config.checksums import file_checksum
from kd_bench.config.image_folder import list_images, reading
from kd_bench.config.paths import expanded
from kd_bench.errors import DataError

_IMAGENET = (
    "ImageNet's folder has train/n01440764/n01440764_10026.JPEG and val/n01440764/ILSVRC2012_val_00000293.JPEG, a "
    "folder for each of 1,000 classes, from ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar; or write "
    "dataset=imagenet2012 dataset.manual_dir=<the folder of these archives>."
)


@cache
def folder_content(root: str | None) -> str:
    """Returns 16 hexadecimal digits from the content of the images in a folder; nothing if no folder is given.

    The folders of the images count, because they are names of classes, but the names of the files do not.

    Raises:
        ConfigError: there is no such home.
        DataError: there is no such folder, or its images cannot be listed or read.
    """
    if root is None:
        return ""
    images = list_images(str(root))
    with reading(str(root)):
        entries = sorted(
            f"{path.parent.relative_to(images.root).as_posix()} {file_checksum(path)}" for path in images.files()
        )
    # The names of folders may be no text.
    return hashlib.sha256("\n".join(entries).encode(errors="surrogateescape")).hexdigest()[:16]


def imagenet_content(root: str | None) -> str:
    """Returns what `folder_content` does, if the folder can be ImageNet's.

    Raises:
        ConfigError: as of `folder_content`.
        DataError: the same, or it has no training and validation folder; the message says which files belong there.
    """
    try:
        content = folder_content(root)
        if root is not None and not list_images(str(root)).parts:
            raise DataError(f"dataset.root={root}: has no folders train and val.")
    except DataError as problem:
        raise DataError(f"{problem} {_IMAGENET}") from problem
    return content


@cache
def arrays_content(path: str | None) -> str:
    """Returns 16 hexadecimal digits from the content of an npz file; nothing if no file is given.

    Raises:
        ConfigError: there is no such home.
        DataError: there is no such file, or it is no npz file and may be anything, of any size.
    """
    if path is None:
        return ""
    place = expanded("dataset.path", path)
    try:
        if not place.exists():
            raise DataError(f"dataset.path={path}: there is no such file.")
        if not place.is_file():
            raise DataError(
                f"dataset.path={path}: is no file; give an npz file, or write dataset=folder dataset.root=."
            )
        if not zipfile.is_zipfile(place):
            raise DataError(f"dataset.path={path}: is not a file that numpy.savez wrote.")
        return file_checksum(place)[:16]
    except OSError as problem:
        raise DataError(f"dataset.path={path}: cannot be read ({problem}).") from problem


def folder_name(path: str) -> str:
    """Returns the last name of a folder's path as a name for runs; of `.` that of the current folder."""
    place = Path(str(path))
    return FolderName.nearest(place.resolve().name if path and place.name in ("", "..") else place.name)


def file_name(path: str) -> str:
    """Returns the name of a file, without its ending, as a name for runs."""
    return FolderName.nearest(Path(str(path)).stem)


def register() -> None:
    """Tells OmegaConf about these functions, and about `home`, a path with the home folder for `~`."""
    OmegaConf.register_new_resolver("home", lambda path: str(expanded("outputs", path)), replace=True)
    for resolver in (folder_content, imagenet_content, arrays_content, folder_name, file_name):
        OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True)
