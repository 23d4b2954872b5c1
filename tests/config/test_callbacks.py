"""The group `callbacks`: what can be chosen, what is refused, and that it leaves a run's identity as it is."""

import importlib.util
import sys

import pytest

from kd_bench.config.compose import jobs
from kd_bench.errors import ConfigError


def test_callbacks_are_no_part_of_a_run_or_its_teacher():
    (plain,), (logged,) = jobs(["method=at"]), jobs(["method=at", "callbacks=[tensorboard,csv]"])
    assert list(logged.callbacks) == ["tensorboard", "csv"]
    assert plain.callbacks == {}
    for one, other in ((plain, logged), (plain.teacher_run(), logged.teacher_run())):
        assert (one.digest, one.protocol, one.code, one.title, one.variant, one.directory) == (
            other.digest,
            other.protocol,
            other.code,
            other.title,
            other.variant,
            other.directory,
        )


def test_options_of_a_callback_are_values_like_any_other():
    (run,) = jobs(["callbacks=[tensorboard]", "callbacks.tensorboard.histogram_freq=5"])
    assert run.callbacks["tensorboard"].parameters == {"log_dir": "{logs}/tensorboard", "histogram_freq": 5}


@pytest.mark.parametrize(
    "line",
    [
        "+callbacks.mine.tracker={_target_: kd_bench.training.trackers.mlflow_run, experiment: a,tracking_uri: SECRET}",
        "+callbacks.mine.headers={Authorization: SECRET}",
        "+callbacks.mine.root='https://me:SECRET@host'",
        "+callbacks.mine.path=[SECRET]",
    ],
)
def test_parameters_of_callbacks_are_not_stored(line):
    (run,) = jobs(["+callbacks.mine._target_=keras.callbacks.RemoteMonitor", line])
    assert "SECRET" in str(run.callbacks)
    assert "SECRET" not in str(run.stored())
    assert run.stored()["callbacks"] == {}


def test_a_callback_of_a_users_own_config(tmp_path):
    (tmp_path / "callbacks").mkdir()
    (tmp_path / "callbacks/mine.yaml").write_text("mine: {_target_: keras.callbacks.CSVLogger, filename: x.csv}\n")
    (run,) = jobs([f"hydra.searchpath=[file://{tmp_path}]", "callbacks=[csv,mine]"])
    assert run.callbacks["mine"].parameters == {"filename": "x.csv"}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["callbacks=csvs"], "Choose one of: csv, mlflow, none, tensorboard, wandb."),
        (["callbacks=csv", "callbacks.csv.separator=x"], "write +callbacks.csv.separator=..."),
        (["callbacks=csv", "+callbacks.csv.seperator=x"], "Did you mean separator"),
        (["callbacks.mine._target_=my.module.Mine"], "write +callbacks.mine._target_=..."),
        (["+callbacks.mine._target_=keras.callbacks.CSVLogger"], "callbacks.mine.filename: is missing."),
        (["+callbacks.mine._target_=keras.callbacks.CsvLogger"], "defines no function or class 'CsvLogger'"),
        (["+callbacks.mine._target_=my.module.Mine"], "there is no Python source of the module 'my.module'"),
        (["+callbacks._target_=my.module.Mine"], "a callback needs a name; write callbacks.mine._target_."),
        (["+callbacks.mine=3"], "must be a group with a `_target_`"),
        (["callbacks=csv", "+callbacks.csv.extra=absent"], "install the extra absent: pip install '.[absent]'."),
    ],
)
def test_what_is_refused(lines, message):
    with pytest.raises(ConfigError) as refused:
        jobs(lines)
    assert message in str(refused.value)


def test_a_missing_package_ends_the_command_before_any_file(tmp_path, monkeypatch, capsys):
    from kd_bench.launch import run

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "wandb" else find(name, *more))
    monkeypatch.setattr(sys, "argv", ["run.py", "callbacks=wandb", f"outputs={tmp_path}/outputs"])
    monkeypatch.setattr(sys, "path", sys.path.copy())
    for name in ("HYDRA_FULL_ERROR", "KD_BENCH_COMMAND", "KD_BENCH_PROCESS"):
        monkeypatch.setenv(name, "")  # so that they are reset afterwards
    with pytest.raises(SystemExit) as ended:
        run.main()
    assert ended.value.code == 2
    assert "install the extra wandb" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
