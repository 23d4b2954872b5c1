"""What is known of a search before its first trial: the values it may choose, and whether it may begin."""

import importlib.util

import hydra
import pytest

from kd_bench.config import compose
from kd_bench.errors import ConfigError

METHODS = [path.stem for path in sorted((compose.CONF / "method").glob("*.yaml")) if path.stem != "teacher"]
SEARCH = ["-m", "hydra/sweeper=search", "validation=0.1"]


def space(*arguments):
    with hydra.initialize_config_dir(str(compose.CONF), version_base="1.3"):
        composed = hydra.compose("config", ["hydra/sweeper=search", *arguments], return_hydra_config=True)
    return dict(composed.hydra.sweeper.params)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_has_a_space_that_holds_the_student_s(method):
    assert space("method=student").items() <= space(f"method={method}").items()
    assert 2 <= len(space(f"method={method}")) - (0 if method == "student" else 2) <= 3
    assert {run.method.name for run in compose.jobs([*SEARCH, f"method={method}"])} == {method}


def test_a_method_without_a_space_of_its_own_is_searched_by_the_command_line_s(tmp_path):
    (tmp_path / "method").mkdir()
    student = (compose.CONF / "method/student.yaml").read_text()
    own = student.replace("name: student\nlabel: Student", "name: mine\nlabel: Mine")
    (tmp_path / "method/mine.yaml").write_text(own)
    arguments = [f"--config-dir={tmp_path}", *SEARCH, "method=mine"]
    with pytest.raises(ConfigError, match="there is nothing to search; write an interval"):
        compose.jobs(arguments)
    runs = compose.jobs([*arguments, "optimizer.learning_rate=interval(0.1,0.2)"])
    assert {run.optimizer.parameters["learning_rate"] for run in runs} == {0.1, 0.2}


REFUSED = {
    "method.beta=interval(-1,5)": r"method\.beta=-1\.0: must be a number at least 0",
    "optimizer.momentum=interval(0.5,1.5)": r"optimizer\.momentum=1\.5",
    "method.power=range(0,3)": r"method\.power=0: must be a whole number at least 1",
    "method.power=choice(1,2,x,3)": r"method\.power=x: must be a whole number",
    "method.betta=interval(1,5)": r"Did you mean beta\?",
    "method.beta=interval(5,1)": "the first end must be below the second",
    "method.power=range(3,1)": "the first end must be below the second",
    "method.beta=tag(log,interval(0,5))": "and above 0 for a log scale",
    "validation=0": r"validation=0: a search would choose on the test set; write validation=0\.1",
    "validation=0.1,0.2": "a search would choose the easiest task",
    "seed=0,1": "a search would choose the easiest task",
    "fraction=0.5,1.0": "a search would choose the easiest task",
    "method=at,dml": "a search would choose the easiest task",
    "method=teacher": "a teacher is trained on all training images",
    "hydra/sweeper=optuna": r"minimises\. Write hydra/sweeper=search",
    "hydra.sweeper.n_trials=0": r"hydra\.sweeper\.n_trials=0: must be a whole number at least 1",
    "hydra.sweeper.n_jobs=-1": r"hydra\.sweeper\.n_jobs=-1: must be a whole number at least 1",
}


@pytest.mark.parametrize("argument", REFUSED)
def test_a_search_that_would_fail_or_mislead_is_refused(argument):
    with pytest.raises(ConfigError, match=REFUSED[argument]):
        compose.jobs([*SEARCH, "method=at", argument])


def test_a_fixed_value_takes_a_key_out_of_the_space():
    fixed = [f"{key}={value}" for key, value in {"optimizer.learning_rate": 0.1, "optimizer.weight_decay": 0}.items()]
    with pytest.raises(ConfigError, match="there is nothing to search"):
        compose.jobs([*SEARCH, "method=student", *fixed])


def test_a_missing_plugin_is_one_sentence(monkeypatch):
    plugin, find = "hydra_plugins.hydra_optuna_sweeper", importlib.util.find_spec
    # Only of the plugin: what is not found once is taken for missing by all later tests.
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == plugin else find(name))
    with pytest.raises(ConfigError, match=r"needs a Hydra plugin: pip install hydra-optuna-sweeper\.$"):
        compose.jobs([*SEARCH, "method=at"])


def test_what_a_search_chose_is_part_of_a_run_but_not_of_its_row():
    arguments = ["method=at", "method.power=1", "tuned.trials=20", "tuned.keys=[method.beta,optimizer.learning_rate]"]
    (one,) = compose.jobs([*arguments, "method.beta=500", "optimizer.learning_rate=0.1"])
    (other,) = compose.jobs([*arguments, "method.beta=300", "optimizer.learning_rate=0.2", "seed=1"])
    (untuned,) = compose.jobs(["method=at", "method.power=1", "method.beta=500"])
    assert one.protocol == other.protocol != untuned.protocol
    assert one.variant == {"method.beta": 500, "method.power": 1}
    assert len({one.directory.parent, other.directory.parent, untuned.directory.parent}) == 1
    assert len({one.digest, other.digest, untuned.digest}) == 3
    assert one.teacher_run().digest == untuned.teacher_run().digest


def test_without_trials_nothing_was_tuned():
    (default,), (same,) = (compose.jobs(["method=at", *more]) for more in ([], ["tuned.keys=[method.beta]"]))
    assert same.digest == default.digest
