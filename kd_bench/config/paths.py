"""Paths of users, which may begin with `~`."""

import os
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
