import pytest

from kd_bench.runs.metrics import append_metrics, read_metrics
from kd_bench.runs.record import RecordError


def test_lines_come_back_in_order(tmp_path):
    lines = [{"stage": "main", "epoch": 1, "loss": 0.5}, {"stage": "main", "epoch": 2, "loss": 0.25}]
    for line in lines:
        append_metrics(tmp_path / "metrics.jsonl", line)
    assert read_metrics(tmp_path / "metrics.jsonl") == lines


def test_no_file_is_no_lines(tmp_path):
    assert read_metrics(tmp_path / "metrics.jsonl") == []


def test_what_a_killed_run_left_of_a_line_is_ignored_and_then_cut_off(tmp_path):
    append_metrics(tmp_path / "metrics.jsonl", {"stage": "main", "epoch": 1})
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write('{"stage": "main", "epoch": 2, "lo')
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"stage": "main", "epoch": 1}]
    append_metrics(tmp_path / "metrics.jsonl", {"stage": "main", "epoch": 2})
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"stage": "main", "epoch": 1}, {"stage": "main", "epoch": 2}]


def test_a_damaged_line_is_named(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"stage": "main", "epoch": 1}\n{"epo\n{"stage": "main", "epoch": 3}\n')
    with pytest.raises(RecordError, match=r"metrics\.jsonl: line 2 is damaged"):
        read_metrics(tmp_path / "metrics.jsonl")
