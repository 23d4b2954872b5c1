import errno
import json
import os
import stat

import pytest

from kd_bench.documents import json_checksum
from kd_bench.errors import StorageError
from kd_bench.runs.files import write_atomically
from kd_bench.runs.record import (
    DONE,
    RecordError,
    SchemaError,
    parse_record,
    read_record,
    record_text,
    write_record,
)


def test_a_record_survives_the_round_trip(tmp_path, make_record):
    record = make_record("FitNet", 0.9731, variant={"method.beta": 500}, steps={"hint": 180, "distill": 600})
    write_record(tmp_path / "result.json", record)
    assert read_record(tmp_path / "result.json") == record
    assert list(tmp_path.iterdir()) == [tmp_path / "result.json"]


def test_stages_keep_their_order(tmp_path, make_record):
    write_record(tmp_path / "result.json", make_record(steps={"z": 1, "a": 2}))
    assert list(read_record(tmp_path / "result.json").cost.steps) == ["z", "a"]


def test_a_failed_run_has_no_scores_but_a_reason(tmp_path, make_record):
    write_record(tmp_path / "result.json", make_record(failed="loss is NaN at step 12"))
    record = read_record(tmp_path / "result.json")
    assert (record.status, record.reason) == ("failed", "loss is NaN at step 12")
    assert record.scores.last_accuracy is None


@pytest.mark.parametrize(
    "changes", [{"accuracy": None}, {"accuracy": 97.3}, {"accuracy": float("nan")}, {"fraction": 0}]
)
def test_a_record_that_makes_no_sense_is_never_made(make_record, changes):
    with pytest.raises(ValueError, match="not in"):
        make_record(**changes)


def test_a_truncated_record_is_named(tmp_path, make_record):
    write_record(tmp_path / "result.json", make_record())
    path = tmp_path / "result.json"
    path.write_text(path.read_text()[:100])
    with pytest.raises(RecordError, match=r"result\.json: .*; delete it and repeat the run"):
        read_record(path)


def rewrite(path, document):
    """Writes a record by another hand, with the checksum that belongs to it."""
    content = {name: value for name, value in document.items() if name != "checksum"}
    path.write_text(json.dumps({"checksum": json_checksum(content), **content}))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"last_accuracy": 0.9,', '"last_accuracy": 0.99,'),
        ('"seed": 0', '"seed": 1'),
        ('"files": {}', '"files": {"a": ""}'),
    ],
)
def test_an_altered_record_is_found(tmp_path, make_record, before, after):
    write_record(tmp_path / "result.json", make_record(accuracy=0.9))
    path = tmp_path / "result.json"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(RecordError, match=r"result\.json: is not what was written .* delete it and repeat the run"):
        read_record(path)


@pytest.mark.parametrize("version", [0, 2, 5, "4"])
def test_another_versions_records_are_refused_by_name(tmp_path, make_record, version):
    write_record(tmp_path / "result.json", make_record())
    path = tmp_path / "result.json"
    rewrite(path, json.loads(path.read_text()) | {"schema": version})
    with pytest.raises(SchemaError, match=rf"result\.json: its schema version is {version}, this version reads 4"):
        read_record(path)


@pytest.mark.parametrize("content", ["[]", "null", "3"])
def test_json_that_is_no_record(tmp_path, content):
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(RecordError, match="is not a record"):
        read_record(tmp_path / "result.json")


def test_a_missing_record(tmp_path):
    with pytest.raises(RecordError, match="No such file"):
        read_record(tmp_path / "result.json")


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, make_record, monkeypatch):
    write_record(tmp_path / "result.json", make_record(accuracy=0.5))

    def full_disk(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(StorageError, match=r"result\.json: cannot be written: No space left on device\. Free some"):
        write_record(tmp_path / "result.json", make_record(accuracy=0.6))
    assert list(tmp_path.iterdir()) == [tmp_path / "result.json"]
    assert read_record(tmp_path / "result.json").scores.last_accuracy == 0.5


def test_replacing_keeps_permissions_and_links(tmp_path):
    (tmp_path / "real.md").write_text("old")
    (tmp_path / "real.md").chmod(0o640)
    (tmp_path / "link.md").symlink_to("real.md")
    write_atomically(tmp_path / "link.md", "new")
    assert (tmp_path / "link.md").is_symlink()
    assert (tmp_path / "real.md").read_text() == "new"
    assert stat.S_IMODE((tmp_path / "real.md").stat().st_mode) == 0o640


def is_done(content):
    try:
        return parse_record(content).status == DONE
    except ValueError:  # a SchemaError is one, too
        return False


def test_a_record_that_is_done_is_known_by_its_content(make_record):
    content = record_text(make_record("AT")).encode()
    assert is_done(content)
    assert not is_done(record_text(make_record("AT", failed="loss is NaN")).encode())
    assert not is_done(content.replace(b"0.98", b"0.99"))
    assert not is_done(content[:-2])
    assert not is_done(b"")


@pytest.mark.parametrize("content", ['{"schema": 4}', '{"checksum": "x", "schema": 4, "status": "done"}', "{}", "[1]"])
def test_what_only_looks_like_a_record_is_not_done(content):
    assert not is_done(content.encode())


def test_a_record_by_other_spaces_and_another_order_is_the_same(tmp_path, make_record):
    record = make_record("AT", 0.9)
    document = json.loads(record_text(record))
    (tmp_path / "result.json").write_text(json.dumps(document, sort_keys=True))
    assert read_record(tmp_path / "result.json") == record
