"""The methods of this package in the order of their rows, as their configs say."""

from functools import cache

import yaml

from kd_bench.installation import CONF


@cache
def method_labels() -> list[str]:
    """Returns the label of each method of this package, in the order of the rows of tables."""
    texts = [path.read_text(encoding="utf-8") for path in (CONF / "method").glob("*.yaml")]
    configs = [yaml.load(text, yaml.CSafeLoader) for text in texts]
    return [config["label"] for config in sorted(configs, key=lambda config: config["row"])]
