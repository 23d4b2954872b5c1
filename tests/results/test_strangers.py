"""Files that anybody may have written: each odd one is a line that names it, and all other runs are shown."""

import hashlib
import json
import os
import shutil

import pytest
from helpers.records import folder_of, make_record, make_seeds, write_run

from kd_bench.results.aggregate import main
from kd_bench.results.bundle import Entry, write_bundle
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.record import Record, parse_record, record_text

DEEP = json.loads("[" * 200 + "]" * 200)
WILD = [None, True, -1, 2**70, 1e300, "", "x\x01y", "-->", [], [None], {}, {"a\n": 1}, {"a": {"b": "c"}}, DEEP]
VIEWS = {
    "table": ["--verify"],
    "columns": ["--columns", "seconds", "size", "latency"],
    "gains": ["--gains", "--format", "latex"],
    "runs": ["--runs"],
    "csv": ["--runs", "--format", "csv"],
    "status": ["--status"],
    "html": ["--html", "page.html"],
    "plots": ["--plots", "plots"],
    "bundle": ["--bundle", "runs.jsonl"],
}


def forged(document):
    """Returns the text of a record with the checksum that belongs to it."""
    body = json.dumps({key: value for key, value in document.items() if key != "checksum"}, indent=2)
    body = body.removeprefix("{\n") + "\n"
    return f'{{\n  "checksum": "{hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()}",\n{body}'


def edited(record, path, value):
    """Returns the text of a record in which one value is another."""
    document = json.loads(record_text(record))
    *groups, name = path
    node = document
    for group in groups:
        node = node[group]
    node[name] = value
    return forged(document)


def places(node, path=()):
    for name, value in node.items():
        yield (*path, name)
        if isinstance(value, dict):
            yield from places(value, (*path, name))


def numbered(seed):
    return make_record("AT", seed=seed, overrides={"epochs": 3}, stage_multiply_adds={"joint": 5})


def write_text(outputs, text, seed):
    """Writes a record's text into the folder of a run of its own."""
    folder = outputs / f"digits/tiny/at/fraction=1/{seed}"
    folder.mkdir(parents=True)
    (folder / "config.yaml").touch()
    (folder / "result.json").write_text(text, encoding="utf-8", errors="surrogatepass")
    return folder


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    """An outputs folder with sound runs; views write beside it."""
    monkeypatch.chdir(tmp_path)
    for record in [*make_seeds("Student", 0.7, 0.8), make_record("FitNet", 0.75)]:
        write_run(tmp_path / "outputs", record, curve=[0.5, 0.7], network=b"weights")
    return tmp_path / "outputs"


@pytest.fixture
def view(outputs, capsys):
    """Shows the outputs; returns the status, what was printed, and the lines about problems."""

    def shown(*options):
        status = main(["--outputs", str(outputs), *options])
        out, err = capsys.readouterr()
        return status, out, err.splitlines()

    return shown


def test_a_record_with_any_odd_value_is_refused_or_shown_in_every_view(outputs, view):
    document, refused, accepted = json.loads(record_text(numbered(0))), 0, 0
    for path in places(document):
        for value in WILD:
            text = edited(numbered(accepted), path, value)
            try:
                parse_record(text.encode("utf-8", "surrogatepass"))
            except ValueError as problem:
                assert "\n" not in str(problem)
                refused += 1
            else:
                write_text(outputs, text, accepted)
                accepted += 1
    assert refused > 500
    assert accepted > 50
    for options in VIEWS.values():
        status, out, problems = view(*options)
        assert status in (0, 1)
        assert out
        assert not any("Traceback" in line for line in problems)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("run", "seed"), 99999999999999999999),
        (("run", "subset_seed"), 2**63),
        (("scores", "best_epoch"), 2**64),
        (("run", "fraction"), "1"),
        (("run", "extra"), 1),
        (("run", "label"), None),
        (("run", "label"), "A\x01B"),
        (("run", "label"), "<!-- results:end -->"),
        (("run", "dataset"), "a\nb"),
        (("run", "model"), "\u202etxt"),
        (("run", "method"), "\ud800"),
        (("run", "overrides"), ["epochs"]),
        (("run", "overrides"), {"epochs\x1b[2J": 3}),
        (("run", "digest"), "/models/production"),
        (("run", "digest"), "../../../../x"),
        (("run", "digest"), "0123456789abcde"),
        (("run", "protocol"), "0123456789ABCDEF"),
        (("run", "budget"), None),
        (("setting", "code"), None),
        (("setting", "precision"), None),
        (("setting", "git"), {"revision": 5}),
        (("files",), {"../../secret": "0" * 64}),
        (("files",), {"metrics.jsonl": "no digest"}),
        (("cost", "steps"), {}),
        (("config", "method"), None),
        (("config", "tuned"), {"trials": 1}),
        (("config", "deep"), DEEP),
        (("config", "large"), 10**30),
        (("run",), None),
        (("config",), []),
    ],
)
def test_an_odd_record_is_one_line_and_all_others_are_shown(path, value, outputs, view):
    folder = write_text(outputs, edited(numbered(0), path, value), 0)
    status, out, problems = view()
    assert status == 1
    assert [line for line in problems if line.startswith(f"unreadable: {folder}/result.json: ")] == problems
    assert len(problems) == 1
    assert all(label in out for label in ("Student", "FitNet"))


def test_a_record_without_a_group_is_one_line(outputs, view):
    document = json.loads(record_text(numbered(0)))
    del document["run"]
    write_text(outputs, forged(document), 0)
    status, _, (problem,) = view()
    assert status == 1
    assert "run: is missing" in problem


@pytest.mark.parametrize("content", ["[" * 100_000, '{"a":' * 100_000, "9" * 5000, "[1e999]", b"\xff\xfe{"])
def test_a_bomb_in_place_of_a_record_is_one_line(content, outputs, view):
    write_text(outputs, "", 0).joinpath("result.json").write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )
    for options in ([], ["--runs"], ["--status"], ["--bundle", "runs.jsonl"]):
        status, out, problems = view(*options)
        assert status == 1
        assert len([line for line in problems if "result.json: " in line]) == 1
        assert out
