"""Adds the folder of --config-dir to Hydra's search path, as Hydra does. Hydra's public way to do this is a plugin."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from kd_bench.errors import ConfigError


class _ConfigDir(SearchPathPlugin):
    """Adds the folder after that of the primary config and before those of `hydra.searchpath`."""

    folder: ClassVar[Path | None] = None

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        if self.folder is not None:
            search_path.append("command-line", f"file://{self.folder}")


@contextlib.contextmanager
def config_dir(folder: str | None) -> Iterator[None]:
    """Adds a folder to the search path while the body initialises and uses Hydra.

    Raises:
        ConfigError: the folder does not exist.
    """
    if folder is not None and not Path(folder).is_dir():
        raise ConfigError(f"--config-dir={folder}: there is no such folder.")
    Plugins.instance().register(_ConfigDir)
    _ConfigDir.folder = Path(folder).resolve() if folder is not None else None
    try:
        yield
    finally:
        _ConfigDir.folder = None
