"""Adds `conf/` of this package to the search path of every primary config, where Hydra looks for plugins.

So a config of the user's, such as the `config.yaml` in the folder of a run, can use the groups of this package.
"""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin

from kd_bench.installation import CONF


class Conf(SearchPathPlugin):
    """Adds `conf/` after all other folders, if it is not there already."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Takes the search path that Hydra has made so far."""
        place = f"file://{CONF}"
        if all(one.path != place for one in search_path.get_path()):
            search_path.append("kd_bench", place)
