"""What two runs must share if nothing is to have changed, by a kill or by company: all but times and memory."""

import json

import keras
import numpy as np

TIMES = {("cost", name) for name in ("seconds", "training_seconds", "stage_seconds", "peak_memory_bytes")}
CIRCUMSTANCES = {("setting", "finished"), ("setting", "attempts")}


def assert_same_run(one, other):
    """Compares record, metrics, predictions and weights of two runs' directories, bit for bit."""
    assert outcome(one) == outcome(other)
    assert metrics(one) == metrics(other)
    np.testing.assert_array_equal(np.load(one / "predictions.npy"), np.load(other / "predictions.npy"))
    networks = [keras.saving.load_model(directory / "network.keras") for directory in (one, other)]
    for left, right in zip(networks[0].variables, networks[1].variables, strict=True):
        np.testing.assert_array_equal(left.numpy(), right.numpy(), err_msg=left.path)


def outcome(directory):
    """Returns the record without times and checksums."""
    record = json.loads((directory / "result.json").read_text())
    assert record["status"] == "done", record["reason"]
    for part, name in TIMES | CIRCUMSTANCES:
        del record[part][name]
    del record["checksum"], record["files"]
    return record


def metrics(directory):
    """Returns the metrics' lines without times."""
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if not name.endswith("seconds")} for line in lines]


def attempts(directory):
    """Returns where each attempt began."""
    record = json.loads((directory / "result.json").read_text())
    return [(attempt["stage"], attempt["step"]) for attempt in record["setting"]["attempts"]]
