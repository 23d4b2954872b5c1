"""How far runs are, seen from outside, and what a terminal shows of them."""

import os
import subprocess
import sys
import time
from dataclasses import asdict

import pytest
import yaml
from helpers.command import ROOT
from helpers.records import make_record, write_run

from kd_bench.config.compose import jobs
from kd_bench.errors import BenchError
from kd_bench.launch.status import Row, Status, read_status, render_status
from kd_bench.launch.sweep_lists import write_lists
from kd_bench.runs import standing as module
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.lock import locked
from kd_bench.runs.metrics import append_metrics
from kd_bench.runs.standing import State


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


def states(status):
    return [row.state for row in status.rows]


def test_runs_are_done_running_interrupted_or_failed(begin, write_outputs):
    outputs = write_outputs(make_record("AT"), make_record("AT", seed=1), make_record("AB", failed="loss is NaN"))
    begin("seed=3", epochs=10, checkpoint="000010-main-200-0f3c")
    with locked(begin("seed=2", epochs=30)):
        found = read_status([outputs])
    assert (found.done, found.to_do, found.problems) == (2, [], [])
    failed, running, interrupted = sorted(found.rows, key=lambda row: row.title)
    assert failed == Row(State.FAILED, 0.0, "digits ab fraction=1 seed=0", "loss is NaN")
    assert running[0::2] == (State.RUNNING, "digits student fraction=1 seed=2 epochs=40")
    assert 18 <= running.seconds_left <= 20
    assert running.detail.endswith(f":{os.getpid()}")
    assert interrupted[0::2] == (State.INTERRUPTED, "digits student fraction=1 seed=3 epochs=40")
    assert interrupted.detail.split() == ["main", "10/40", "goes", "on", "from", "stage", "main,", "step", "200"]


def test_a_run_that_a_process_tries_again_is_running_and_not_failed(tmp_path):
    path = write_run(tmp_path, make_record("AT", failed="loss is NaN"))
    with locked(RunFolder(path)):
        found = read_status([tmp_path])
    assert states(found) == [State.RUNNING]


def test_a_run_that_reads_its_data_has_no_config_yet(tmp_path):
    folder = RunFolder(tmp_path / "digits/tiny/at/fraction=1/seed=0-0f3c")
    folder.make()
    with locked(folder):
        (run,) = read_status([tmp_path]).rows
    assert run[:3] == (State.RUNNING, float("inf"), str(folder))


def test_a_running_run_is_named_by_its_process_with_what_differs_from_its_preset(tmp_path):
    (config,) = jobs(["method=student", "epochs=40", f"outputs={tmp_path}"])
    folder = RunFolder(config.directory)
    folder.make()
    for text in (None, yaml.safe_dump(config.stored(), sort_keys=False)):
        with locked(folder, title=config.title):
            if text is not None:
                folder.config.write_text(text)
            found = read_status([tmp_path])
        assert [(row.title, row.state) for row in found.rows] == [(config.title, State.RUNNING)]
        assert found.problems == []


def test_a_run_in_several_folders_counts_where_it_is_furthest(begin, write_outputs, tmp_path):
    record = make_record("AT")
    first = write_outputs(record, make_record("AB", failed="loss is NaN"), name="first")
    second = write_outputs(make_record("AT", failed="loss is NaN"), make_record("AB", failed="NaN"), name="second")
    for order in ([first, second], [second, first]):
        found = read_status(order)
        assert (found.done, states(found)) == (1, [State.FAILED])


def test_what_is_damaged_is_named_and_the_others_are_shown(begin, write_outputs):
    outputs = write_outputs(make_record("AT"), make_record("AB"))
    record = next(outputs.glob("*/*/ab/*/*/result.json"))
    record.write_bytes(record.read_bytes()[:-9])
    unreadable, strange = begin("seed=1"), begin("seed=2", epochs=2)
    unreadable.config.write_text("epochs: [")
    strange.metrics.write_text("{\n" + strange.metrics.read_text())
    found = read_status([outputs])
    assert found.done == 1
    assert states(found) == [State.INTERRUPTED] * 2
    paths = {str(record), str(unreadable.config), str(strange.metrics)}
    assert {message.partition(":")[0] for message in found.problems} == paths


def test_a_copied_record_is_named_and_not_counted(write_outputs):
    outputs = write_outputs(*(make_record("AT", seed=seed) for seed in range(3)))
    first, second, _ = sorted(outputs.rglob("result.json"))
    second.write_bytes(first.read_bytes())
    found = read_status([outputs])
    assert found.done == 2
    assert found.problems == [f"{second}: is the record of another run (digits at fraction=1 seed=0); delete the copy"]


def test_a_damaged_run_that_is_done_again_is_running(write_outputs):
    outputs = write_outputs(make_record("AT"))
    (record,) = outputs.rglob("result.json")
    record.write_text("{")
    assert len(read_status([outputs]).problems) == 1
    with locked(RunFolder(record.parent)):
        found = read_status([outputs])
    assert states(found) == [State.RUNNING]
    assert not any("result.json" in message for message in found.problems)


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


def test_the_runs_of_a_sweep_that_have_not_begun_are_to_do(begin, tmp_path):
    begin("seed=2")
    write_lists(jobs(["-m", "method=student", "epochs=40", "seed=0,1,2,3,4,5", f"outputs={tmp_path}/outputs"]))
    status = read_status([tmp_path / "outputs"])
    assert states(status) == [State.INTERRUPTED]
    assert render_status(status).splitlines()[0] == "0 done, 1 interrupted, 5 to do"
    assert render_status(status).splitlines()[-3:] == [
        "to do; the same command does them:",
        "  digits student fraction=1 seed=0 epochs=40",
        "  ... digits student fraction=1 seed=5 epochs=40",
    ]


def test_a_listed_run_that_another_outputs_folder_has_is_not_to_do(write_outputs, tmp_path):
    (run, _) = runs = jobs(["-m", "method=student", "seed=0,1", f"outputs={tmp_path}/listed"])
    (tmp_path / "listed").mkdir()
    write_lists(runs)
    there = RunFolder(tmp_path / "other" / run.directory.relative_to(tmp_path / "listed"))
    there.make()
    there.config.touch()
    assert len(read_status([tmp_path / "listed", tmp_path / "other"]).to_do) == 1


def test_a_run_is_two_lines_and_who_ends_first_is_first(begin, tmp_path, monkeypatch):
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    folders = [begin("seed=1"), begin("seed=2", epochs=12)]
    with locked(folders[0]), locked(folders[1]):
        for folder, process, silent in zip(folders, (42, 43), (3.0, 1.0), strict=True):
            folder.holder.write_text(f'{{"host": "node", "process": {process}}}')
            for path in (folder.holder, folder.metrics):
                if path.exists():
                    os.utime(path, (now - silent, now - silent))
        begin("seed=3", epochs=12, checkpoint="000012-main-240-0f3c")
        begin("seed=4")
        write_run(tmp_path / "outputs", make_record("AB", failed="loss is NaN"))
        write_run(tmp_path / "outputs", make_record("AT"))
        text = render_status(read_status([tmp_path / "outputs"]))
    assert text == (
        "1 done, 2 running, 2 interrupted, 1 failed\n"
        "\n"
        "running:\n"
        "  digits student fraction=1 seed=2 epochs=40\n"
        "    main 12/40             2.00 s/epoch    00:55 left   node:43\n"
        "  digits student fraction=1 seed=1 epochs=40\n"
        "    in its first epoch                  00:03 since start   node:42\n"
        "\n"
        "interrupted; the same command goes on:\n"
        "  digits student fraction=1 seed=3 epochs=40\n"
        "    main 12/40             goes on from stage main, step 240\n"
        "  digits student fraction=1 seed=4 epochs=40\n"
        "    no epoch done          goes on from its start: no checkpoint\n"
        "\n"
        "failed; the same command tries again:\n"
        "  digits ab fraction=1 seed=0\n"
        "    loss is NaN"
    )


def test_lines_fit_the_terminal_and_paths_stay_whole():
    path = "/data/outputs/" + "x" * 90
    status = Status(rows=[Row(State.FAILED, 0.0, "digits at", f"{'a reason of many words ' * 9} {path}")])
    lines = render_status(status, width=60).splitlines()
    assert f"    {path}" in lines
    assert max(len(line) for line in lines if path not in line) <= 60


def test_done_alone_is_one_line():
    assert render_status(Status(done=3)) == "3 done"


def test_the_status_is_printed_without_tensorflow_and_damage_shows_in_the_exit_status(tmp_path, write_outputs):
    outputs = write_outputs(make_record("AT"), make_record("AB", failed="loss is NaN"))

    def status(*script):
        return subprocess.run(
            [sys.executable, *script], cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}
        )

    code = "import sys; from kd_bench.launch import status; end = status.main([]); print(*sys.modules); sys.exit(end)"
    done = status("-c", code)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1 done, 1 failed\n")
    assert not {"tensorflow", "keras"} & set(done.stdout.split())
    next(outputs.glob("*/*/at/*/*/result.json")).write_text("{")
    done = status("-m", "kd_bench", "status")
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, "0 done, 1 failed")
    assert done.stderr.startswith("unreadable: outputs/digits/")
