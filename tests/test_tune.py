"""Fair tuning as a user starts it: trials on held-out images, then the best setting by the full protocol."""

import json
import subprocess
import sys

import pytest
from helpers.command import ROOT, SHORT, aggregate


def tune(*arguments, outputs):
    command = [sys.executable, ROOT / "tune.py", *arguments, f"outputs={outputs}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=800)


def records(outputs):
    return {path: json.loads(path.read_text()) for path in outputs.rglob("result.json")}


def value(record, key):
    group, name = key.split(".")
    return record["config"][group][name]


def test_each_method_has_its_trials_and_the_best_is_tested(tmp_path):
    options = ["--methods", "student,soft_logits", "--trials", "2", "--jobs", "2", "--seeds", "0"]
    arguments = [*options, "--validation", "0.25", "fraction=0.5", *SHORT]
    done = tune(*arguments, outputs=tmp_path)
    assert done.returncode == 0, done.stderr
    found = records(tmp_path)
    for method in ("student", "soft_logits"):
        own = [record for record in found.values() if record["run"]["method"] == method]
        trials = [record for record in own if record["config"].get("validation") == 0.25]
        tested = [record for record in own if "validation" not in record["config"]]
        assert [record["run"]["seed"] for record in trials] == [1000] * 2
        assert [record["run"]["seed"] for record in tested] == [0]
        best = max(record["scores"]["last_accuracy"] for record in trials)
        winners = [record for record in trials if record["scores"]["last_accuracy"] == best]
        for record in tested:
            assert record["config"]["tuned"]["trials"] == 2
            keys = record["config"]["tuned"]["keys"]
            assert "optimizer.learning_rate" in keys
            assert any(all(value(one, key) == value(record, key) for key in keys) for one in winners)
    assert len(found) == 2 * (2 + 1) + 1  # and a teacher

    shown = aggregate(outputs=tmp_path).stdout
    assert "| Student (tuned)" in shown and "| Soft_logits (tuned)" in shown
    assert "on held-out training images (2 each)" in shown

    written = {path: path.stat().st_mtime_ns for path in found}
    assert tune(*arguments, outputs=tmp_path).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in records(tmp_path)} == written


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--methods", "student,teacher"], "error: validation=0.1: a teacher is trained on all"),
        (["--methods", "student", "--validation", "0"], "error: validation=0: a search would choose on the test set"),
        (["--methods", "student", "fraction=0.1,0.5"], "error: fraction=0.1,0.5: a search would choose the easiest"),
        (["--methods", "student", "seed=3"], "tune.py: error: seed= is set for each run; write --seeds"),
    ],
)
def test_a_wrong_command_is_refused_before_the_first_trial(arguments, problem, tmp_path):
    done = tune(*arguments, outputs=tmp_path / "outputs")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(problem)
    assert not list(tmp_path.iterdir())
