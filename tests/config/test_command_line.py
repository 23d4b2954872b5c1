"""What is made of the command line before Hydra reads it."""

import pytest

from kd_bench.config.command_line import escaped, read
from kd_bench.config.overrides import parsed, values
from kd_bench.errors import ConfigError


@pytest.mark.parametrize(
    ("argument", "wanted"),
    [
        ("teacher.path=runs/fraction=0.1/seed=0-0a1b", ["runs/fraction=0.1/seed=0-0a1b"]),
        (r"teacher.path=runs/seed\=0-0a1b", ["runs/seed=0-0a1b"]),
        ("teacher.path='runs/seed=0-0a1b'", ["runs/seed=0-0a1b"]),
        ("teacher.path=a/seed=0,b/seed=1", ["a/seed=0", "b/seed=1"]),
        ("method.beta=500", [500]),
    ],
)
def test_values_may_have_equals_signs_as_the_folders_of_runs_do(argument, wanted):
    (override,) = parsed(escaped([argument]))
    assert [one.value() for line in values(override) for one in parsed([line])] == wanted


@pytest.mark.parametrize("argument", ["--config-dir=a=b", "-m", "method.x={a: 1=2}", "outputs=${oc.env:A=B}"])
def test_other_arguments_stay_as_they_are(argument):
    assert escaped([argument]) == [argument]


def test_a_flag_may_be_between_overrides():
    arguments = ["method=at", "-m", "seed=0,1", "--config-dir", "conf", "epochs=3", "seed=0,1"]
    options = read(arguments)
    assert options.flags == ["-m", "--config-dir", "conf"]
    assert options.overrides == ["method=at", "seed=0,1", "epochs=3", "seed=0,1"]


def test_the_flag_that_hydra_does_not_have_is_taken_out():
    options = read(["-m", "--dry-run", "seed=0,1"])
    assert (options.dry_run, options.flags, options.overrides) == (True, ["-m"], ["seed=0,1"])
    assert not read(["-m"]).dry_run


def test_the_folder_of_a_config_is_relative_to_that_of_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    assert read(["-cp", "mine", "seed=1"]).flags == ["-cp", "mine", "--config-path", str(tmp_path / "mine")]


@pytest.mark.parametrize("arguments", [["--help"], ["--hydra-help"], ["-c", "job"], ["-i"], ["-sc", "query=bash"]])
def test_some_flags_only_show_something(arguments):
    assert read(arguments).shows
    assert not read(["-m", "--resolve", "seed=0,1"]).shows


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--multirun", "--cfg", "job"], "argument --cfg/-c: not allowed with argument --multirun/-m"),
        (["--experimental-rerun", "x"], "unrecognized arguments: --experimental-rerun"),
        (["--config-dir"], "argument --config-dir/-cd: expected one argument"),
    ],
)
def test_wrong_flags_are_refused(arguments, reason):
    with pytest.raises(ConfigError, match=f"^{reason}; --hydra-help lists the flags\\.$"):
        read(arguments)
