import gzip
import json

import pandas as pd
import pytest
from helpers.records import folder_of, make_record, make_seeds, write_run

from kd_bench.errors import BenchError
from kd_bench.results import load_curves, load_runs
from kd_bench.results.bundle import Entry, read_bundle, unbundle, write_bundle
from kd_bench.results.sources import bundle_runs
from kd_bench.runs.record import read_record, record_document

NETWORK = b"a trained network"


@pytest.fixture
def outputs(tmp_path):
    """A teacher with its network, and two students with curves."""
    folder = tmp_path / "outputs"
    write_run(folder, make_record("Teacher", 0.99), network=NETWORK)
    for record in make_seeds("Student", 0.8, 0.9):
        write_run(folder, record, curve=[0.5, record.scores.last_accuracy])
    return folder


@pytest.fixture(params=["runs.jsonl", "runs.jsonl.gz"])
def bundle(request, outputs, tmp_path):
    path = tmp_path / request.param
    bundle_runs(load_runs(outputs), path)
    return path


def edit(path, old, new):
    """Changes a bundle's text, by hand as it were."""
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    assert old in text
    text = text.replace(old, new)
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)


def test_a_bundle_is_read_like_the_folder_it_was_made_of(outputs, bundle):
    expected, found = load_runs(outputs), load_runs(bundle)
    assert set(found["source"]) == {bundle.as_posix()}
    assert found.drop(columns="source").equals(expected.drop(columns="source"))
    assert load_curves(found).equals(load_curves(expected))


def test_a_bundle_and_its_folder_together_count_each_run_once(outputs, bundle):
    assert len(load_runs(outputs, bundle)) == 3


def test_the_same_runs_make_the_same_bytes_wherever_they_come_from(outputs, bundle, tmp_path):
    again = tmp_path / "again" / bundle.name
    again.parent.mkdir()
    bundle_runs(load_runs(bundle).sample(frac=1, random_state=0), again)
    assert again.read_bytes() == bundle.read_bytes()
    assert (again.parent / "runs.networks").exists()


def test_a_bundle_holds_each_record_as_it_is(outputs, bundle):
    for entry in read_bundle(bundle)[0]:
        assert entry.record == json.loads((outputs / entry.folder / "result.json").read_text())


def test_pandas_reads_a_bundle(bundle):
    lines = pd.read_json(bundle, lines=True)
    accuracies = [record["scores"]["last_accuracy"] for record in lines["record"]]
    assert sorted(accuracies) == sorted(load_runs(bundle)["last_accuracy"])


def test_an_empty_outputs_folder_gets_its_runs_back_with_the_teachers_network(outputs, bundle, tmp_path):
    restored = tmp_path / "restored"
    assert unbundle(bundle, restored) == (3, [])
    records = {path.relative_to(outputs): path.read_text() for path in outputs.rglob("result.json")}
    assert {path.relative_to(restored): path.read_text() for path in restored.rglob("result.json")} == records
    assert [path.read_bytes() for path in restored.rglob("network.keras")] == [NETWORK]
    assert not list(restored.rglob("metrics.jsonl"))


def test_a_restored_folder_gives_the_same_curves_and_the_same_bundle(outputs, bundle, tmp_path):
    unbundle(bundle, tmp_path / "restored")
    restored = load_runs(tmp_path / "restored")
    curves = load_curves(load_runs(outputs))
    assert not curves.empty
    assert load_curves(restored).equals(curves)
    again = tmp_path / "again" / bundle.name
    bundle_runs(restored, again)
    assert again.read_bytes() == bundle.read_bytes()


@pytest.mark.parametrize("content", [b"", b"{}", b'{"checksum": 1}\n', "of another run"])
def test_a_restored_folder_whose_accuracies_are_damaged_is_named(bundle, tmp_path, content):
    unbundle(bundle, tmp_path / "restored")
    damaged, other = sorted((tmp_path / "restored").rglob("bundled.jsonl"))[:2]
    damaged.write_bytes(other.read_bytes() if content == "of another run" else content)
    with pytest.warns(UserWarning, match=str(damaged)):
        load_curves(load_runs(tmp_path / "restored"))


def test_a_run_that_is_done_is_never_overwritten(bundle, tmp_path):
    other = make_record("Student", 0.1)
    write_run(tmp_path / "restored", other)
    assert unbundle(bundle, tmp_path / "restored") == (2, [])
    assert read_record(tmp_path / "restored" / folder_of(other) / "result.json") == other


def test_a_run_that_failed_or_is_damaged_is_replaced(bundle, tmp_path):
    restored = tmp_path / "restored"
    write_run(restored, make_record("Student", failed="NaN"), curve=[0.1, 0.1, 0.1])
    write_run(restored, make_record("Student", seed=1)).joinpath("result.json").write_text("{")
    assert unbundle(bundle, restored)[0] == 3
    assert load_runs(restored)["status"].tolist() == ["done"] * 3
    assert load_curves(load_runs(restored)).equals(load_curves(load_runs(bundle)))


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"last_accuracy": 0.8', b'"last_accuracy": 0.9'), (b"[2, 0.8]", b"[2, 0.99]"), (b"seed=0", b"seed=3")],
)
def test_a_line_that_was_tampered_with_is_named_and_left_out(bundle, tmp_path, old, new):
    edit(bundle, old, new)
    entries, problems = read_bundle(bundle)
    assert len(entries) == 3 - len(problems)
    assert problems[0].startswith(f"{bundle}: line 1 is not what was written (its checksum differs)")
    assert unbundle(bundle, tmp_path / "restored") == (len(entries), problems)


def test_a_record_that_was_tampered_with_before_it_was_bundled_is_named(tmp_path):
    record = make_record()
    document = record_document(record)
    document["scores"]["last_accuracy"] = 0.99
    write_bundle(tmp_path / "runs.jsonl", [Entry(folder_of(record), [], document)])
    with pytest.warns(UserWarning, match=f"{folder_of(record)}: is not what was written"):
        assert load_runs(tmp_path / "runs.jsonl").empty
    restored, problems = unbundle(tmp_path / "runs.jsonl", tmp_path / "restored")
    assert (restored, len(problems)) == (0, 1)


@pytest.mark.parametrize("folder", ["../evil", "/evil", "a/../../evil", "", "C:/evil", r"..\evil"])
def test_no_path_leads_out_of_the_outputs_folder(tmp_path, folder):
    write_bundle(tmp_path / "runs.jsonl", [Entry(folder, [], record_document(make_record()))])
    restored, problems = unbundle(tmp_path / "runs.jsonl", tmp_path / "a" / "b" / "outputs")
    assert restored == 0
    assert "is outside the outputs folder" in problems[0]
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("line", ["[]", "{", "{}", '{"checksum": 1, "folder": 2, "curve": 3, "record": 4}', "3"])
def test_a_line_that_is_no_entry_is_named(tmp_path, line):
    (tmp_path / "runs.jsonl").write_text(line + "\n")
    entries, problems = read_bundle(tmp_path / "runs.jsonl")
    assert entries == []
    assert "runs.jsonl: line 1 " in problems[0]


def test_a_teacher_without_its_network_is_not_put_back(bundle, tmp_path):
    next(tmp_path.glob("runs.networks/*.keras")).unlink()
    restored, problems = unbundle(bundle, tmp_path / "restored")
    assert restored == 2
    assert "without it the teacher must be trained again" in problems[0]


def test_another_network_than_the_teachers_is_not_put_back(bundle, tmp_path):
    next(tmp_path.glob("runs.networks/*.keras")).write_bytes(b"another")
    restored, problems = unbundle(bundle, tmp_path / "restored")
    assert restored == 2
    assert "is not the network that its run wrote" in problems[0]


def test_a_teacher_whose_network_is_gone_is_not_bundled(outputs, tmp_path):
    next(outputs.rglob("network.keras")).unlink()
    with pytest.raises(BenchError, match="bundle teachers with their networks"):
        bundle_runs(load_runs(outputs), tmp_path / "runs.jsonl")
    assert not (tmp_path / "runs.jsonl").exists()


def test_two_runs_of_one_folder_are_not_bundled_together(tmp_path, write_outputs):
    old, new = write_outputs(make_record(code="a"), name="old"), write_outputs(make_record(code="b"), name="new")
    with pytest.raises(BenchError, match="2 runs have the folder digits/"):
        bundle_runs(load_runs(old, new), tmp_path / "runs.jsonl")


def test_a_bundle_is_known_by_its_ending(tmp_path):
    with pytest.raises(BenchError, match=r"runs\.txt: a bundle's name ends in \.jsonl or \.jsonl\.gz"):
        write_bundle(tmp_path / "runs.txt", [])


@pytest.mark.parametrize("name", ["none.jsonl", "folder.jsonl", "text.jsonl.gz", "cut.jsonl.gz"])
def test_a_bundle_that_cannot_be_read_is_named(tmp_path, name):
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "text.jsonl.gz").write_text(json.dumps({}))
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b"a bundle" * 100)[:20])
    with pytest.raises(BenchError, match=f"{name}: cannot be read"):
        read_bundle(tmp_path / name)


def test_a_source_that_is_neither_folder_nor_bundle_is_named(tmp_path):
    (tmp_path / "runs.csv").touch()
    with pytest.raises(BenchError, match=r"runs\.csv: is neither a folder nor a bundle, whose name ends in \.jsonl or"):
        load_runs(tmp_path / "runs.csv")
