"""Paths that users give, which may begin with `~`, and the folders of prepared sets."""

import os
import re
from pathlib import Path

from kd_bench.errors import ConfigError


def expanded(key: str, path: object) -> Path:
    """Returns a path with the home folder in place of `~` or `~user`.

    Args:
        key: of the config, for the message.
        path: its value.

    Raises:
        ConfigError: there is no such home.
    """
    try:
        return Path(str(path)).expanduser()
    except RuntimeError as problem:
        raise ConfigError(f"{key}={path}: there is no such home; write the path without ~.") from problem


def prepared_folder(name: str, data_dir: str | None) -> Path:
    """Returns the folder of all versions of a set of TensorFlow Datasets, which may not be there yet.

    Args:
        name: of the set, perhaps with a configuration or a version.
        data_dir: the folder of prepared sets; None for TensorFlow Datasets' own, of which this follows the rule.

    Raises:
        ConfigError: there is no such home.
    """
    given = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return expanded("dataset.data_dir", given) / re.split("[/:]", name)[0]


def require_home() -> None:
    """Checks that this user has a home, whose path is absolute, because Keras and TensorFlow Datasets write there.

    Raises:
        ConfigError: HOME is not set, and the system does not know the user, as in many containers.
    """
    if not Path(os.path.expanduser("~")).is_absolute():  # noqa: PTH111 - it does not raise, but returns `~`
        raise ConfigError(
            f"HOME={os.environ.get('HOME', '')}: must be the whole path of a folder, in which data sets are prepared, "
            "because the system knows no home of this user; set it, as in HOME=/tmp."
        )
