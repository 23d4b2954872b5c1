"""Signatures and constants are read from sources, wherever Python itself would find them."""

import subprocess
import sys
from typing import Annotated

import pytest

from kd_bench.checks import Range
from kd_bench.config import sources
from kd_bench.config.signature import Parameter, check_parameters, class_constant, keyword_only
from kd_bench.errors import ConfigError

TARGET = "kd_bench.distillers.soft_logits.SoftLogits"


def test_a_signature_is_read_without_importing_it():
    assert list(keyword_only("method", TARGET)) == ["temperature", "task_weight", "distill_weight", "standardize"]
    assert keyword_only("method", "kd_bench.distillers.student.Student") == {}
    inherited = keyword_only("method", "kd_bench.distillers.kd_eid.KDEID")
    assert inherited == keyword_only("method", "kd_bench.distillers.kd_svd.KDSVD")
    assert "beta" in inherited
    depth = keyword_only("model", "kd_bench.networks.wide_resnet.wide_resnet")["depth"]
    assert depth == Parameter(Annotated[int, Range(least=1)], required=True)


@pytest.mark.parametrize("target", ["soft_logits", "no.such.Module", "kd_bench.config.Missing", ""])
def test_a_target_that_does_not_exist_is_refused(target):
    with pytest.raises(ConfigError, match="_target_"):
        keyword_only("method", target)


def test_a_misspelt_parameter_is_refused_with_the_nearest():
    given = {"temprature": 1.0, "task_weight": 1.0, "distill_weight": 1.0}
    with pytest.raises(ConfigError, match=r"method\.temprature.*Did you mean temperature\?"):
        check_parameters("method", TARGET, given)
    with pytest.raises(ConfigError, match=r"method\.temperature: is missing"):
        check_parameters("method", TARGET, {"task_weight": 1.0, "distill_weight": 1.0})


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Returns a function that makes an importable module of a text."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name, text):
        path = tmp_path / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        sources.source.cache_clear()
        sources.tree.cache_clear()

    return write


def test_a_reexported_target_is_followed_without_importing_keras():
    program = (
        "import sys; from kd_bench.config.signature import keyword_only;"
        "print(*keyword_only('a', 'keras.layers.Dense')); keyword_only('a', 'keras.optimizers.AdamW');"
        "keyword_only('a', 'keras.applications.MobileNetV2'); keyword_only('a', 'hydra.compose');"
        "assert 'keras' not in sys.modules"
    )
    asked = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "dtype" in asked.stdout.split()


@pytest.mark.parametrize(
    "imported",
    ["from one import Base", "from one import *", "try:\n    from one import Base\nexcept ImportError:\n    pass"],
)
def test_an_import_in_any_form_is_followed(module, imported):
    module("one", "class Base:\n    def __init__(self, *, weight: Positive): ...")
    module("two", imported)
    assert list(keyword_only(f"key {imported}", "two.Base")) == ["weight"]


@pytest.mark.parametrize(
    ("imported", "base"),
    [
        ("from far.away import Base", "Base"),
        ("from far.away import Base as Other", "Other"),
        ("from far import away", "away.Base"),
        ("import far.away", "far.away.Base"),
        ("import far.away as near", "near.Base"),
    ],
)
def test_an_inherited_constructor_is_read_from_the_base(module, imported, base):
    module("far.away", "class Base:\n    start = 'scratch'\n    def __init__(self, *, weight: Positive): ...")
    module("mine_too", f"{imported}\n\nclass Mine({base}):\n    pass")
    assert list(keyword_only(f"key {base}", "mine_too.Mine")) == ["weight"]
    assert class_constant(f"key {base}", "mine_too.Mine", "start") == "scratch"


def test_options_that_a_constructor_hands_on_can_be_set(module):
    base = "class Base:\n    def __init__(self, *, weight: Positive): ..."
    module("handing", f"{base}\n\nclass Mine(Base):\n    def __init__(self, *, own: int, **options): ...")
    assert list(keyword_only("key", "handing.Mine")) == ["weight", "own"]


def test_only_the_first_base_with_a_constructor_counts(module):
    bases = "class A:\n    def __init__(self, *, a: int): ...\n\nclass B:\n    def __init__(self, *, b: int): ..."
    module("several", f"{bases}\n\nclass Mine(A, B):\n    pass")
    assert list(keyword_only("key", "several.Mine")) == ["a"]


def test_a_parameter_with_a_python_default_may_be_left_out(module):
    module("lenient", "def build(*, weight: Positive = 1.0, kind: Optional[str]): ...")
    assert check_parameters("key", "lenient.build", {"kind": None}) == {"kind": None}
    with pytest.raises(ConfigError, match=r"key\.weight=0: must be a number above 0"):
        check_parameters("key", "lenient.build", {"kind": "a", "weight": 0})
    with pytest.raises(ConfigError, match=r"key\.kind: is missing"):
        check_parameters("key", "lenient.build", {})


@pytest.mark.parametrize(
    "imported",
    [
        "Ending = Literal['linear', 'relu']",
        "Ending: Any = Literal['linear', 'relu']",
        "Linear = Literal['linear']\nEnding = Linear | Literal['relu']",
        "from endings import Ending",
        "from endings import Other as Ending",
    ],
)
def test_an_alias_of_an_annotation_is_followed(module, imported):
    module("endings", "Relu = Literal['relu']\nOther = Ending = Union[Literal['linear'], Relu]")
    module("aliased", f"{imported}\ndef build(*, ending: Ending, others: list[Ending]): ...")
    key = f"key {imported}"
    assert check_parameters(key, "aliased.build", {"ending": "relu", "others": ["linear"]})["others"] == ["linear"]
    with pytest.raises(ConfigError, match=r"\.ending=elu: must be .*linear.*relu"):
        check_parameters(key, "aliased.build", {"ending": "elu", "others": []})


def test_an_assignment_is_no_target_and_hides_none(module):
    module("no_target", "build = None\ndef build(*, weight: Positive): ...\nEnding = Literal['linear', 'relu']")
    assert list(keyword_only("key", "no_target.build")) == ["weight"]
    with pytest.raises(ConfigError, match="no_target defines no function or class 'Ending'"):
        keyword_only("key", "no_target.Ending")


@pytest.mark.parametrize("alias", ["Weight = Weight", "Weight: Any", "def Weight(): ..."])
def test_an_alias_of_nothing_that_can_be_checked_is_refused(module, alias):
    name = f"nothing_{len(alias)}"
    module(name, f"{alias}\ndef build(*, weight: list[Weight]): ...")
    with pytest.raises(ConfigError, match=r"key\.weight: its annotation 'list\[Weight\]' cannot be checked"):
        keyword_only("key", f"{name}.build")


def test_an_annotation_that_cannot_be_checked_is_refused_with_those_that_can(module):
    module("strange", "def build(*, weight: Weight): ...")
    with pytest.raises(ConfigError, match=r"key\.weight: its annotation 'Weight' cannot be checked; use PositiveInt, "):
        keyword_only("key", "strange.build")


def test_a_source_that_is_no_python_is_refused_with_its_line(module):
    module("broken", "x = 1\ndef build(:\n")
    with pytest.raises(ConfigError, match=r"broken\.py, line 2: is not valid Python"):
        keyword_only("key", "broken.build")


def test_a_target_without_python_source_is_refused():
    with pytest.raises(ConfigError, match=r"dataset\._target_=os\.system: there is no Python source"):
        keyword_only("dataset", "os.system")


def test_modules_that_import_a_name_from_each_other_are_refused(module):
    module("ping", "from pong import Ball")
    module("pong", "from ping import Ball")
    with pytest.raises(ConfigError, match="ping defines no function or class 'Ball'"):
        keyword_only("key", "ping.Ball")


def test_a_class_constant_is_read_as_python_would(module):
    assert class_constant("method", TARGET, "teacher_init") == "pretrained"
    assert class_constant("method", "kd_bench.distillers.teacher.Teacher", "teacher_init") is None
    module("late", "START = 1\n\nclass Mine:\n    start = START\n\ndef build(): ...")
    with pytest.raises(ConfigError, match="must be a plain value"):
        class_constant("method", "late.Mine", "start")
    with pytest.raises(ConfigError, match="must be a class, not a function"):
        class_constant("method", "late.build", "start")
    with pytest.raises(ConfigError, match="neither the class nor its bases define end"):
        class_constant("method", "late.Mine", "end")
