"""A search as a user starts it: `hydra/sweeper=search`."""

import json

import pytest
from helpers.command import SHORT, run

SEARCH = ["-m", "hydra/sweeper=search", "method=student", "validation=0.25", "fraction=0.5", "hydra.sweeper.n_trials=3"]


def results(outputs):
    return {path: json.loads(path.read_text()) for path in sorted(outputs.rglob("result.json"))}


def test_a_search_survives_a_failed_trial_and_replays_what_is_done(tmp_path):
    arguments = [*SEARCH, *SHORT, "optimizer.learning_rate=choice(1e30,0.1)"]  # the first makes a loss infinite
    done = run(*arguments, outputs=tmp_path)
    assert done.returncode == 0, done.stderr
    found = results(tmp_path)
    accuracies = [record["scores"]["last_accuracy"] for record in found.values()]
    assert len(found) == 3 and accuracies.count(None) == 1
    (best,) = (line for line in done.stdout.splitlines() if line.startswith("Best of 3 trials (1 failed): "))
    assert f"{max(filter(None, accuracies)):.4f} with optimizer.learning_rate=0.1 " in best
    assert "Traceback" not in done.stderr and "float-castable" not in done.stdout + done.stderr

    written = {path: path.stat().st_mtime_ns for path in found}
    again = run(*arguments, outputs=tmp_path)
    assert again.returncode == 0 and best in again.stdout
    changed = [path for path in results(tmp_path) if written.get(path) != path.stat().st_mtime_ns]
    assert [found[path]["status"] for path in changed] == ["failed"]  # it alone is tried again


def test_a_search_of_which_every_trial_fails_has_status_1(tmp_path):
    failing = ["hydra.sweeper.n_trials=2", "optimizer.learning_rate=1e30"]
    done = run(*SEARCH, *SHORT, *failing, outputs=tmp_path)
    assert done.returncode == 1
    assert len(results(tmp_path)) == 2
    assert done.stderr.splitlines()[-1] == "error: no trial is done; the messages above say why."
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("argument", ["validation=0", "optimizer.learning_rate=interval(-1,1)"])
def test_a_wrong_search_ends_in_one_line_and_leaves_nothing(argument, tmp_path):
    done = run(*SEARCH, argument, outputs=tmp_path / "outputs")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("error: ")
    assert not list(tmp_path.iterdir())
