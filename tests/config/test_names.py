"""What a run may be named and numbered: whatever the config accepts, tables can hold and documents can show."""

import pytest

from kd_bench.config.compose import jobs
from kd_bench.errors import ConfigError

LARGEST = 2**63 - 1


@pytest.mark.parametrize("key", ["seed", "subset_seed", "evaluate_every", "checkpoint_every", "teacher.seed"])
def test_whole_numbers_have_64_bits(key):
    (run,) = jobs([f"{key}={LARGEST}"])
    assert run
    for number in (LARGEST + 1, 10**30, 10**400):
        with pytest.raises(ConfigError, match=rf"{key}=\d+: must be at most {LARGEST}"):
            jobs([f"{key}={number}"])


@pytest.mark.parametrize(
    "label", ["a\nb", "a\x01b", "a\x1b[2J", "<!-- results:end -->", "-->", "\u202etxt", "a\u2028b"]
)
@pytest.mark.parametrize("key", ["method.label", "teacher.method.label"])
def test_a_label_that_cannot_be_shown_is_refused(key, label):
    with pytest.raises(ConfigError, match="must have no control characters, no line breaks and no <!-- or -->"):
        jobs([f"{key}='{label}'"])


@pytest.mark.parametrize("label", ["<b>", "=1+1", "Größer & besser", "a|b", "\N{SNOWMAN}"])
def test_any_other_label_is_only_a_text(label):
    (run,) = jobs([f"method.label='{label}'"])
    assert run.method.label == label


@pytest.mark.parametrize(
    "lines",
    [
        ["method=soft_logits", "method.name=teacher"],
        ["method=teacher", "method.name=student"],
        ["method=at", "method.name=fitnet"],
        ["teacher.method.name=at"],
    ],
)
def test_a_method_does_not_take_the_name_of_another(lines):
    with pytest.raises(ConfigError, match=r"method\.name=\w+: .* method\.label to rename a row"):
        jobs(lines)


@pytest.mark.parametrize("line", ["method=../method/at", "model=../model/tiny", "experiment=[../experiment/digits]"])
def test_a_choice_is_a_name_and_no_path(line):
    with pytest.raises(ConfigError, match=r"must be the name of a"):
        jobs([line])
