"""Where Hydra finds configs while a command of this package uses it: other programs keep their own search path."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from kd_bench.installation import CONF


class _Folders(SearchPathPlugin):
    """Adds folders after that of the primary config and before those of `hydra.searchpath`."""

    folders: ClassVar[list[Path]] = []

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        present = [Path(one.path.removeprefix("file://")) for one in search_path.get_path()]
        for folder in self.folders:
            if folder not in present:
                search_path.append("kd_bench", f"file://{folder}")


@contextlib.contextmanager
def finding_configs(config_dir: str | None = None) -> Iterator[None]:
    """Lets Hydra, if it is initialised in the body, find `conf/` of this package, also for a config of the user's.

    Args:
        config_dir: another folder with config groups.
    """
    Plugins.instance().register(_Folders)
    _Folders.folders = [CONF, *([Path(config_dir).resolve()] if config_dir is not None else [])]
    try:
        yield
    finally:
        _Folders.folders = []
