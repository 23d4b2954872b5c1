"""Records of small runs that never happened, and outputs folders that hold them."""

import copy
import hashlib
import json
from dataclasses import fields

from kd_bench.runs.folder import RunFolder
from kd_bench.runs.metrics import append_metrics
from kd_bench.runs.record import Cost, Record, Run, Scores, Setting, write_record

DEFAULTS = {
    "experiment": "digits",
    "dataset": "digits",
    "model": "wrn_16_2_wrn_10_1",
    "fraction": 1.0,
    "seed": 0,
    "subset_seed": 7,
    "budget": "steps",
    "variant": {},
    "best_accuracy": 0.99,
    "teacher_accuracy": 0.98,
    "teacher_digest": "0123abcd" * 2,
    "train_images": 1437,
    "steps": {"joint": 600},
    "seconds": 12.5,
    "precision": "float32",
    "replicas": 1,
    "seeds": {"shuffle": 1},
    "versions": {"keras": "3.13"},
    "machine": {"platform": "Linux", "processor": "i486"},
    "git": {"revision": "0f3c" * 10, "dirty": False},
    "code": "c0de" * 4,
    "data": "da7a" * 4,
    "finished": "2026-01-01T00:00:00+00:00",
}
CONFIG = {
    "epochs": 30,
    "batch_size": 64,
    "optimizer": {"_target_": "sgd", "learning_rate": 0.1},
    "model": {"student": {"_target_": "resnet", "depth": 8}, "teacher": {"_target_": "resnet"}},
    "teacher": {"seed": 0, "epochs": 30},
}


def make_record(label="Student", accuracy=0.9, failed=None, settings=None, files=None, warnings=(), **changes):
    """Returns the record of a run, done with this accuracy or failed with this reason.

    `settings` change the config as a preset does, `variant` as the command line does: these also name the row.
    """
    values = DEFAULTS | {"label": label, "method": label.lower(), "last_accuracy": accuracy} | changes
    config = _config(values, (settings or {}) | values["variant"])
    kept = {key: value for key, value in config.items() if key not in ("seed", "fraction")}
    values.setdefault("protocol", _digest(kept))
    values.setdefault("digest", _digest(values["protocol"], values["fraction"], values["seed"]))

    def part(kind):
        return kind(**{field.name: values[field.name] for field in fields(kind) if field.name in values})

    return Record(
        status="failed" if failed else "done",
        reason=failed,
        warnings=list(warnings),
        run=part(Run),
        scores=Scores() if failed else part(Scores),
        cost=Cost(seconds=1.0) if failed else part(Cost),
        setting=part(Setting),
        config=config,
        files=files or {},
    )


def make_seeds(label, *accuracies, **changes):
    """Returns the records of one run per accuracy, with the seeds 0, 1, 2, ..."""
    return [make_record(label, accuracy, seed=seed, **changes) for seed, accuracy in enumerate(accuracies)]


def folder_of(record):
    """Returns a run's folder, relative to outputs/."""
    run = record.run
    return f"{run.dataset}/{run.model}/{run.method}/fraction={run.fraction:g}/seed={run.seed}-{run.digest}"


def write_run(outputs, record, curve=(), network=None):
    """Writes a run's folder: config, record, metrics with this test accuracy per epoch, and its network's bytes."""
    folder = RunFolder(outputs / folder_of(record))
    folder.make()
    folder.config.touch()
    for epoch, accuracy in enumerate(curve, start=1):
        append_metrics(folder.metrics, {"stage": "joint", "epoch": epoch, "loss": 1.0, "test_accuracy": accuracy})
    if network is not None:
        folder.network.write_bytes(network)
        record.files.update(folder.checksums())
    write_record(folder.record, record)
    return folder.path


def _config(values, settings):
    config = copy.deepcopy(CONFIG) | {key: values[key] for key in ("seed", "fraction", "subset_seed", "budget")}
    config["method"] = {"_target_": f"kd_bench.distillers.{values['method']}", "name": values["method"]}
    for key, value in settings.items():
        *groups, name = key.split(".")
        node = config
        for group in groups:
            node = node[group]
        node[name] = value
    return config


def _digest(*facts):
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
