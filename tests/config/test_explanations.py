"""Which errors are explained in one line: those of Hydra, by what it knows of them, and no others."""

import pytest
from omegaconf import OmegaConf

from kd_bench.config.command_line import read
from kd_bench.config.compose import jobs
from kd_bench.config.explanations import explaining
from kd_bench.errors import ConfigError, DataError


@pytest.mark.parametrize("problem", [ValueError("a bug"), KeyError("a bug"), DataError("photos: no images")])
def test_an_error_that_is_not_hydra_s_stays_as_it_is(problem):
    with pytest.raises(type(problem)) as raised, explaining(read([])):
        raise problem
    assert raised.value is problem


def test_an_error_of_omegaconf_s_names_the_reason():
    with pytest.raises(ConfigError, match=r"^Interpolation key 'nosuch' not found"), explaining(read([])):
        str(OmegaConf.create({"a": "${nosuch}"}).a)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("- one\n", "must be a"),
        ("defaults: [nosuch]\n", "Could not load 'nosuch'"),
        ("defaults: [method: nosuch]\n", "method=nosuch: there is no such method"),
        ("a: [\n", r"mine\.yaml, line 2: is not valid YAML"),
    ],
)
def test_a_wrong_primary_config_is_explained(text, reason, tmp_path):
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigError, match=reason) as refused:
        jobs([f"--config-dir={tmp_path}", "--config-name=mine"])
    assert "\n" not in str(refused.value)
