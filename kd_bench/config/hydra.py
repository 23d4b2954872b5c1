"""What `conf/config.yaml` says about Hydra itself, for configs that are given back to the command."""

from functools import cache
from typing import Any

import yaml

from kd_bench.installation import CONF


@cache
def hydra_settings() -> dict[str, Any]:
    """Returns the settings of Hydra and the choices of its groups, as a primary config has them."""
    config = yaml.safe_load((CONF / "config.yaml").read_text(encoding="utf-8"))
    choices = [one for one in config["defaults"] if isinstance(one, dict) and "hydra/" in next(iter(one))]
    return {"defaults": ["_self_", *choices], "hydra": config["hydra"]}
