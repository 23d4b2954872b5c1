"""How far runs are, seen from outside."""

from dataclasses import asdict

import pytest
import yaml
from helpers.records import make_record, write_run

from kd_bench.config.compose import jobs
from kd_bench.errors import BenchError
from kd_bench.results import status as module
from kd_bench.results.status import read_status
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.lock import locked
from kd_bench.runs.metrics import append_metrics


@pytest.fixture
def begin(tmp_path):
    """Writes what a run leaves before its end."""

    def write(*arguments, epochs=0, checkpoint=None):
        (config,) = jobs(["method=student", "epochs=40", f"outputs={tmp_path}/outputs", *arguments])
        folder = RunFolder(config.directory)
        folder.make()
        folder.config.write_text(yaml.safe_dump(asdict(config), sort_keys=False))
        for epoch in range(1, epochs + 1):
            line = {"stage": "main", "epoch": epoch, "epochs": 40, "seconds": 2.0, "elapsed_seconds": 2.0 * epoch}
            append_metrics(folder.metrics, line)
        if checkpoint:
            folder.checkpoints.mkdir()
            (folder.checkpoints / f"{checkpoint}.safetensors").touch()
        return folder

    return write


def test_runs_are_done_running_interrupted_or_failed(begin, write_outputs):
    outputs = write_outputs(make_record("AT"), make_record("AT", seed=1), make_record("AB", failed="loss is NaN"))
    begin("seed=3", epochs=10, checkpoint="000010-main-200-0f3c")
    with locked(begin("seed=2", epochs=30)):
        found = read_status([outputs])
    assert found.done == 2
    assert [run.title for run in found.running] == ["digits student fraction=1 seed=2 epochs=40"]
    assert found.running[0].holder.process > 0
    assert 18 <= found.running[0].seconds_left <= 20
    (interrupted,) = found.interrupted
    assert interrupted.title == "digits student fraction=1 seed=3 epochs=40"
    assert (interrupted.progress.epoch, interrupted.checkpoint) == (10, ("main", 200))
    assert found.failed == [("digits ab fraction=1 seed=0", "loss is NaN")]
    assert found.damaged == []


def test_a_run_that_a_process_tries_again_is_running_and_not_failed(tmp_path):
    path = write_run(tmp_path, make_record("AT", failed="loss is NaN"))
    with locked(RunFolder(path)):
        found = read_status([tmp_path])
    assert (len(found.running), found.failed) == (1, [])


def test_a_run_that_reads_its_data_has_no_config_yet(tmp_path):
    folder = RunFolder(tmp_path / "digits/tiny/at/fraction=1/seed=0-0f3c")
    folder.make()
    with locked(folder):
        (run,) = read_status([tmp_path]).running
    assert (run.title, run.progress, run.seconds_left) == (str(folder), None, None)


def test_a_run_in_several_folders_counts_where_it_is_furthest(begin, write_outputs, tmp_path):
    record = make_record("AT")
    first = write_outputs(record, make_record("AB", failed="loss is NaN"), name="first")
    second = write_outputs(make_record("AT", failed="loss is NaN"), make_record("AB", failed="NaN"), name="second")
    for order in ([first, second], [second, first]):
        found = read_status(order)
        assert (found.done, len(found.failed)) == (1, 1)


def test_what_is_damaged_is_named_and_the_others_are_shown(begin, write_outputs):
    outputs = write_outputs(make_record("AT"), make_record("AB"))
    record = next(outputs.glob("*/*/ab/*/*/result.json"))
    record.write_bytes(record.read_bytes()[:-9])
    unreadable, strange = begin("seed=1"), begin("seed=2", epochs=2)
    unreadable.config.write_text("epochs: [")
    strange.metrics.write_text("{\n" + strange.metrics.read_text())
    found = read_status([outputs])
    assert found.done == 1
    assert len(found.interrupted) == 2
    paths = {str(record), str(unreadable.config), str(strange.metrics)}
    assert {message.partition(":")[0] for message in found.damaged} == paths


def test_a_copied_record_is_named_and_not_counted(write_outputs):
    outputs = write_outputs(*(make_record("AT", seed=seed) for seed in range(3)))
    first, second, _ = sorted(outputs.rglob("result.json"))
    second.write_bytes(first.read_bytes())
    found = read_status([outputs])
    assert found.done == 2
    assert found.damaged == [f"{second}: is the record of another run (digits at fraction=1 seed=0); delete the copy"]


def test_a_damaged_run_that_is_done_again_is_running(write_outputs):
    outputs = write_outputs(make_record("AT"))
    (record,) = outputs.rglob("result.json")
    record.write_text("{")
    assert len(read_status([outputs]).damaged) == 1
    with locked(RunFolder(record.parent)):
        found = read_status([outputs])
    assert len(found.running) == 1
    assert not any("result.json" in message for message in found.damaged)


def test_looking_changes_nothing(begin, write_outputs):
    outputs = write_outputs(make_record("AT"))
    begin("seed=3", epochs=1)
    before = {path: path.stat().st_mtime_ns for path in outputs.rglob("*")}
    read_status([outputs])
    assert before == {path: path.stat().st_mtime_ns for path in outputs.rglob("*")}


def test_a_run_that_ends_while_it_is_looked_at_is_done(begin, monkeypatch, tmp_path):
    path = write_run(tmp_path, make_record("AT")) / "result.json"
    content = path.read_bytes()
    path.unlink()
    monkeypatch.setattr(module, "is_held", lambda _: bool(path.write_bytes(content)) and False)
    assert read_status([tmp_path]).done == 1


def test_what_is_no_folder_is_refused(tmp_path):
    with pytest.raises(BenchError, match=r"a\.jsonl: is not a folder"):
        read_status([tmp_path / "a.jsonl"])
