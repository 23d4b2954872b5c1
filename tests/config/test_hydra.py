"""What users of Hydra type is checked beforehand as Hydra will run it."""

from pathlib import Path

import pytest

from kd_bench.config import compose
from kd_bench.errors import ConfigError
from kd_bench.installation import CONF

STUDENT = "_target_: kd_bench.distillers.student.Student\n"
STUDY = """\
# @package _global_
# A study.
experiment: study
epochs: 2
batch_size: 64
teacher: {epochs: 2, batch_size: 64}
hydra: {mode: MULTIRUN, sweeper: {params: {method: "student,soft_logits", seed: "0,1"}}}
"""


@pytest.fixture
def own(tmp_path):
    """Makes a user's folder of configs."""
    for path, text in {
        "method/mine.yaml": f"# Mine.\n{STUDENT}name: mine\nlabel: Mine\n",
        "method/broken.yaml": "name: [\n",
        "experiment/study.yaml": STUDY,
        "own.yaml": "defaults: [config, _self_]\nepochs: 7\n",
    }.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def methods_and_seeds(*arguments):
    return [(run.method.name, run.seed) for run in compose.jobs(arguments)]


@pytest.mark.parametrize(
    ("sweep", "seeds"),
    [
        ("range(0,3)", {0, 1, 2}),
        ("choice(4,2)", {4, 2}),
        ("shuffle(1,2)", {1, 2}),
        ("sort(3,1)", {1, 3}),
        ("5,6", {5, 6}),
    ],
)
def test_every_sweep_that_can_be_listed_is(sweep, seeds):
    assert {run.seed for run in compose.jobs(["-m", f"seed={sweep}"])} == seeds


def test_a_glob_sweeps_over_a_group_s_choices():
    assert {method for method, _ in methods_and_seeds("-m", "method=glob(k*)")} == {"kd_eid", "kd_svd"}
    presets = {path.stem for path in (CONF / "experiment").glob("c*")}
    assert {run.experiment for run in compose.jobs(["-m", "experiment=glob(c*)"])} == presets


def test_a_sweep_kept_in_a_preset_is_listed(own):
    search = f"hydra.searchpath=[file://{own}]"
    four = [("student", 0), ("student", 1), ("soft_logits", 0), ("soft_logits", 1)]
    assert methods_and_seeds(search, "experiment=study") == four
    assert methods_and_seeds(search, "experiment=study", "method=at") == [("at", 0), ("at", 1)]
    assert methods_and_seeds(search, "experiment=study", "hydra.mode=RUN") == [("soft_logits", 0)]
    assert len(methods_and_seeds(search, "experiment=study", "hydra.sweeper.params.seed='0,1,2'")) == 6


def test_a_sweep_is_asked_for_by_the_mode_as_by_the_flag():
    assert methods_and_seeds("hydra.mode=MULTIRUN", "seed=0,1") == methods_and_seeds("-m", "seed=0,1")
    assert len(compose.jobs(["-m", "+hydra.sweeper.params.seed='0,1'"])) == 2


@pytest.mark.parametrize("way", ["--config-dir={}", "hydra.searchpath=[file://{}]"])
def test_an_own_folder_of_configs_is_searched(own, way):
    (run,) = compose.jobs([way.format(own), "method=mine"])
    assert run.directory.is_relative_to("outputs/digits/tiny/mine")
    with pytest.raises(ConfigError, match=r"Choose one of: ab, at, .* mhgd, mine, .*rkd"):
        compose.jobs([way.format(own), "method=mien"])
    with pytest.raises(ConfigError, match=r"method/broken\.yaml, line 2: is not valid YAML"):
        compose.jobs([way.format(own), "method=broken"])


def test_an_own_primary_config_is_composed(own):
    (run,) = compose.jobs([f"--config-dir={own}", "--config-name=own"])
    assert (run.epochs, run.variant) == (7, {})
    (own / "conf").symlink_to(compose.CONF)
    (run,) = compose.jobs([f"--config-path={own}/conf", "method=at"])
    assert run == compose.jobs(["method=at"])[0]


@pytest.mark.parametrize("model", ["model: ???", "model: tiny_mixed"])
def test_a_model_is_named_where_the_primary_config_has_another_or_none(own, model):
    text = (compose.CONF / "config.yaml").read_text()
    (own / "open.yaml").write_text(text.replace("model: tiny", model))
    (run,) = compose.jobs([f"--config-dir={own}", "--config-name=open", "model=tiny"])
    assert run.variant == {"model": "tiny"}
    assert run.digest == compose.jobs([])[0].digest


@pytest.mark.parametrize("argument", ["--config-dir=/nosuch", "--config-path=/nosuch", "--config-name=nosuch"])
def test_a_config_that_does_not_exist_is_refused(argument):
    with pytest.raises(ConfigError):
        compose.jobs([argument])


def test_a_config_that_is_not_utf_8_is_refused_by_its_name(own):
    (own / "method/mine.yaml").write_bytes("# größer\n".encode("latin1"))
    with pytest.raises(ConfigError, match=r"method/mine\.yaml: is not UTF-8 text"):
        compose.jobs([f"--config-dir={own}", "method=mine"])


def test_an_interval_is_refused_by_the_basic_sweeper():
    with pytest.raises(ConfigError, match="an interval has no list of values"):
        compose.jobs(["-m", "method=at", "method.beta=interval(1,10)"])


def test_a_sweeper_that_does_finished_runs_again_is_refused():
    with pytest.raises(ConfigError, match=r"^hydra/sweeper=basic: .* Write hydra/sweeper=grid"):
        compose.jobs(["-m", "hydra/sweeper=basic", "seed=0,1"])


def test_a_value_that_only_swept_choices_have_is_refused_as_hydra_would():
    with pytest.raises(ConfigError, match=r"write method\.beta=choice\(1\)"):
        compose.jobs(["-m", "method=at,kd_svd", "method.beta=1"])
    assert [
        run.method.parameters["beta"] for run in compose.jobs(["-m", "method=at,kd_svd", "method.beta=choice(1)"])
    ] == [1, 1]


def test_an_interpolation_of_hydra_s_own_is_resolved():
    (run,) = compose.jobs(["dataset.data_dir=${hydra:runtime.cwd}/sets"])
    assert run.dataset.parameters["data_dir"] == str(Path.cwd() / "sets")


def test_values_are_set_as_hydra_sets_them():
    (merged,) = compose.jobs(["model.student={depth:16}"])
    tiny = {"width": 1, "stem_channels": 8, "stem_stride": 1, "padding": "same"}
    assert merged.model.student.parameters == tiny | {"depth": 16}
    (interpolated,) = compose.jobs(["teacher.epochs=${epochs}", "epochs=3"])
    assert interpolated.teacher.epochs == 3
    (chosen,) = compose.jobs(["optimizer@teacher.optimizer=adam"])
    assert chosen.variant == {"teacher.optimizer": "adam"}
