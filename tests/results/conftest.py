import hashlib
import json
from dataclasses import fields

import pytest

from kd_bench.results.outputs import FinishedRun, Outputs
from kd_bench.runs.record import CONFIG_NAME, Cost, Record, Run, Scores, Setting, write_record

DEFAULTS = {
    "experiment": "digits",
    "dataset": "digits",
    "model": "wrn_16_2_wrn_10_1",
    "fraction": 1.0,
    "seed": 0,
    "subset_seed": 7,
    "budget": "steps",
    "overrides": {},
    "best_accuracy": 0.99,
    "teacher_accuracy": 0.98,
    "teacher_digest": "0123abcd",
    "train_images": 1437,
    "steps": {"joint": 600},
    "seconds": 12.5,
    "precision": "float32",
    "replicas": 1,
    "seeds": {"shuffle": 1},
    "versions": {"keras": "3.13"},
    "machine": {},
    "git": {"revision": None, "dirty": None},
    "finished": "2026-01-01T00:00:00Z",
}


def _digest(*facts):
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:8]


def _make_record(label="Student", accuracy=0.9, failed=None, **changes):
    """Returns the record of a small run, done with this accuracy or failed with this reason."""
    values = DEFAULTS | {"label": label, "method": label.lower(), "last_accuracy": accuracy} | changes
    values.setdefault("protocol", _digest(label, values["experiment"], values["budget"], values["overrides"]))
    values.setdefault("digest", _digest(values["protocol"], values["fraction"], values["seed"]))

    def part(kind):
        return kind(**{field.name: values[field.name] for field in fields(kind) if field.name in values})

    scores, cost = (Scores(), Cost(seconds=1.0)) if failed else (part(Scores), part(Cost))
    status = "failed" if failed else "done"
    return Record(status=status, reason=failed, run=part(Run), scores=scores, cost=cost, setting=part(Setting))


def _directory(record):
    run = record.run
    return f"{run.dataset}/{run.model}/{run.method}/fraction={run.fraction}/seed={run.seed}-{run.digest}"


@pytest.fixture
def make_record():
    return _make_record


@pytest.fixture
def make_outputs():
    """Makes what `load_outputs` returns from records, without files."""

    def make(*records, unfinished=()):
        finished = [FinishedRun(f"outputs/{_directory(record)}", record) for record in records]
        return Outputs(finished=finished, repeats=[], unfinished=list(unfinished), unreadable=[])

    return make


@pytest.fixture
def write_outputs(tmp_path):
    """Writes an outputs folder with these records, each in its run's directory."""

    def write(*records):
        outputs = tmp_path / "outputs"
        outputs.mkdir(exist_ok=True)
        for record in records:
            directory = outputs / _directory(record)
            directory.mkdir(parents=True)
            (directory / CONFIG_NAME).touch()
            write_record(directory, record)
        return outputs

    return write


@pytest.fixture
def seeds():
    """Makes a run a seed from accuracies."""

    def make(label, *accuracies, **changes):
        return [_make_record(label, accuracy, seed=seed, **changes) for seed, accuracy in enumerate(accuracies)]

    return make
