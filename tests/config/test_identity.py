"""Which runs are the same run: what is a fact, and that published runs keep their digests."""

import gzip
import json
import subprocess
import sys

import pytest
from helpers.command import ROOT

from kd_bench.config import identity
from kd_bench.config.compose import jobs
from kd_bench.config.signature import defaults

BUNDLES = sorted(ROOT.glob("docs/data/*.jsonl.gz"))


def published(bundle):
    with gzip.open(bundle, "rt") as lines:
        return [json.loads(line)["record"] for line in lines]


def one(*arguments):
    (run,) = jobs(arguments)
    return run


def components(node):
    """Yields each component in a run's facts."""
    if isinstance(node, dict):
        if "_target_" in node:
            yield node
        for inner in node.values():
            yield from components(inner)


@pytest.mark.parametrize("bundle", BUNDLES, ids=lambda path: path.name)
def test_the_facts_of_published_runs_have_their_digests_and_no_default(bundle):
    for record in published(bundle):
        facts, run = record["config"], record["run"]
        assert (identity.digest(facts), identity.protocol(facts)) == (run["digest"], run["protocol"])
        for component in components(facts):
            usual = defaults(component["_target_"])
            assert not [name for name, value in component.items() if usual.get(name, usual) == value]


@pytest.mark.parametrize(
    ("bundle", "arguments"),
    [
        ("digits", ["method=student", "fraction=0.1", "seed=2"]),
        ("digits", ["method=at"]),
        ("digits", ["method=teacher"]),
        ("digits", ["method=mhgd", "fraction=0.5", "seed=1"]),
        ("cifar100_small", ["method=soft_logits", "experiment=cifar100_small", "budget=epochs"]),
        ("cifar100_small", ["method=co", "experiment=cifar100_small", "budget=epochs", "fraction=0.1", "seed=1"]),
    ],
)
def test_a_command_still_names_the_published_run_and_its_teachers(bundle, arguments):
    student, records = one(*arguments), published(ROOT / f"docs/data/{bundle}.jsonl.gz")
    for run in filter(None, (student, student.teacher_run())):
        (facts,) = (record["config"] for record in records if run.digest == record["run"]["digest"])
        assert identity.canonical(facts) == identity.canonical(run.facts())


def test_a_digest_has_64_bits():
    run = one("method=at")
    assert [len(run.digest), len(run.protocol), run.directory.name] == [16, 16, f"seed=0-{run.digest}"]


def test_a_default_that_differs_from_the_preset_names_the_run(tmp_path):
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\ndefaults: [digits]\noptimizer: {schedule: cosine}\n"
    (tmp_path / "experiment" / "mine.yaml").write_text(text)
    mine = ["method=student", "experiment=mine", "--config-dir", str(tmp_path)]
    back = one(*mine, "optimizer.schedule=stepped")
    assert back.digest == one("method=student").digest != one(*mine).digest
    assert back.variant == {"optimizer.schedule": "stepped"}


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """Writes a method with two defaults, and returns what chooses it."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_defaults.py").write_text(
        "from kd_bench.distillers.student import Student\n\n\nUSUAL = 2.0\n\n\n"
        "class Mine(Student):\n"
        "    def __init__(self, student, teacher=None, *, weight: float = -1.0, scale: float = USUAL): ...\n"
    )
    return ["method=student", "method._target_=my_defaults.Mine"]


def test_a_parameter_at_its_default_is_the_same_run(mine):
    plain, same, other = (one(*mine, *more) for more in ([], ["+method.weight=-1"], ["+method.weight=2"]))
    assert (same.digest, same.directory, same.variant) == (plain.digest, plain.directory, plain.variant)
    assert other.digest != plain.digest and other.variant == plain.variant | {"method.weight": 2.0}


def test_only_a_literal_default_is_no_fact(mine):
    assert one(*mine, "+method.scale=2").facts()["method"]["scale"] == 2.0


def test_what_older_runs_have_among_their_facts_stays_there():
    dataset = one("method=student", "dataset=cifar100").facts()["dataset"]
    usual = {"train_split": "train", "test_split": "test", "image_size": None, "padding": 4, "flip": True}
    assert dataset == usual | {"_target_": "kd_bench.data.datasets.load_dataset", "name": "cifar100"}
    augmentation = one("method=student", "augmentation.rand_augment=1").facts()["augmentation"]
    assert augmentation == {"rand_augment": 1, "magnitude": 0.5}


def test_a_teacher_has_one_protocol_whoever_asks_for_it():
    tuned = one("method=at", "tuned.trials=5", "tuned.keys=[optimizer.learning_rate]").teacher_run()
    assert tuned.protocol == one("method=at").teacher_run().protocol


def test_facts_are_read_without_hydra_or_keras():
    program = "import sys, kd_bench.runs.record; assert not {'hydra', 'keras', 'tensorflow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
