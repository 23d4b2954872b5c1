"""Files that anybody may have written: each odd one is a line that names it, and all other runs are shown."""

import json
import os
import shutil

import pytest
from helpers.records import folder_of, make_record, make_seeds, write_run

from kd_bench.documents import json_checksum
from kd_bench.launch.status import main as show_status
from kd_bench.results.bundle import Entry, write_bundle
from kd_bench.results.command import main
from kd_bench.runs.record import parse_record, record_document, record_text

DEEP = json.loads("[" * 200 + "]" * 200)
STATUS = ("status",)
"""Instead of options: the command that lists the runs."""
WILD = [None, True, -1, 2**70, 1e300, "", "x\x01y", "-->", [], [None], {}, {"a\n": 1}, {"a": {"b": "c"}}, DEEP]
VIEWS = {
    "table": ["--verify"],
    "columns": ["--columns", "seconds", "size", "latency"],
    "gains": ["--gains", "--format", "latex"],
    "runs": ["--runs"],
    "csv": ["--runs", "--format", "csv"],
    "status": STATUS,
    "html": ["--html", "page.html"],
    "plots": ["--plots", "plots"],
    "bundle": ["--bundle", "runs.jsonl"],
}


def forged(document):
    """Returns the text of a record with the checksum that belongs to it."""
    content = {key: value for key, value in document.items() if key != "checksum"}
    return json.dumps({"checksum": json_checksum(content), **content}, indent=2)


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
    return make_record("AT", seed=seed, variant={"epochs": 3}, stage_multiply_adds={"joint": 5})


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


def start(outputs, options):
    """Returns the exit status of the table with these options, or of the status."""
    if options == STATUS:
        return show_status(["--outputs", str(outputs)])
    return main(["--outputs", str(outputs), *options])


@pytest.fixture
def view(outputs, capsys):
    """Shows the outputs; returns the status, what was printed, and the lines about problems."""

    def shown(*options):
        status = start(outputs, options)
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


PIPES = ["result.json", ".lock", ".holder", "metrics.jsonl", "config.yaml", "export/litert.json", "network.keras"]


@pytest.mark.parametrize("name", [*PIPES, "predictions.npy", "other.txt", "logs/epochs.json"])
@pytest.mark.parametrize("finished", [True, False])
def test_a_pipe_never_makes_a_view_wait(name, finished, outputs, view):
    folder = outputs / "digits/tiny/at/fraction=1/seed=6"
    if finished:
        folder = write_text(outputs, record_text(numbered(5)), "seed=5")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    for options in [["--verify"], STATUS, VIEWS["columns"], VIEWS["bundle"]]:
        status, _, problems = view(*options)
        assert status in (0, 1)
        if name == "result.json":
            reason = "cannot be read (it is a pipe or a device, and no file)"
            assert f"unreadable: {folder}/result.json: {reason}" in problems


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
        (("run", "variant"), ["epochs"]),
        (("run", "variant"), {"epochs\x1b[2J": 3}),
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
    status, out, (problem,) = view()
    assert status == 1
    assert problem.startswith(f"unreadable: {folder}/result.json: ")
    assert all(label in out for label in ("Student", "FitNet"))
    assert view(*STATUS) == (1, "3 done\n", [problem])


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
    for options in ([], ["--runs"], STATUS, ["--bundle", "runs.jsonl"]):
        status, out, problems = view(*options)
        assert status == 1
        assert len([line for line in problems if "result.json: " in line]) == 1
        assert out


@pytest.mark.parametrize(
    "lines",
    [
        b"null\n",
        b"[]\n",
        b'{"stage": "joint", "epoch": "1"}\n',
        b'{"stage": null, "epoch": 1}\n',
        b"[" * 99_999 + b"\n",
        b'{"stage": "joint", "epoch": 1, "test_accuracy": NaN}\n',
        b"\xff\n",
    ],
)
@pytest.mark.parametrize("options", [VIEWS["html"], VIEWS["bundle"]])
def test_odd_metrics_are_one_line(lines, options, outputs, view):
    metrics = next(outputs.rglob("fitnet/*/*/metrics.jsonl"))
    metrics.write_bytes(lines)
    status, _, problems = view(*options)
    assert status == 1
    (problem,) = problems
    assert problem.startswith(f"unreadable: {metrics}: line 1 is damaged (")


@pytest.mark.parametrize(
    "odd", [{"latency_ms": "fast"}, {"images": 0}, {"format": "onnx"}, {"more": 1}, {"network": "x"}, []]
)
def test_an_odd_export_is_one_line(odd, outputs, view):
    sound = {"format": "litert", "network": "0" * 64, "size_bytes": 1, "images": 1, "accuracy": 1, "differing": 0}
    sound |= {"latency_ms": 1, "batch_size": 1, "images_per_second": 1, "processor": None, "versions": {}}
    export = next(outputs.rglob("fitnet/*/*")) / "export"
    export.mkdir()
    (export / "litert.json").write_text(json.dumps(sound | {"finished": "2026"} | odd if odd else odd))
    status, out, (problem,) = view(*VIEWS["columns"])
    assert status == 1
    assert problem.startswith(f"unreadable: {export}/litert.json: cannot be read (")
    assert "FitNet" in out


BOMB = "a: &a [x, x]\n" + "".join(f"{new}: &{new} [*{old}, *{old}]\n" for old, new in zip("abcdefgh", "bcdefghi"))  # noqa: B905


@pytest.mark.parametrize(
    "config",
    [
        BOMB,
        "[" * 100_000,
        "x: !!python/object/apply:os.system [true]",
        "- 1",
        "seed: 1\nepochs: [1",
        "\x00",
        "é" * 9,
        'dataset: {name: "a\\nb"}\nmethod: {name: at}\nfraction: 1\nseed: 0\nepochs: 3\nevaluate_every: 1\nvariant: {}',
    ],
)
def test_an_odd_config_is_one_line_of_the_status(config, outputs, view):
    folder = outputs / "digits/tiny/at/fraction=1/seed=0-0123456789abcdef"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(config)
    (folder / ".holder").write_text('{"host": "a\\u001b[2J", "process": "x"}')
    (folder / "checkpoints").mkdir()
    for name in ("000001-main-x-abc.safetensors", "1a-main-3-abc.safetensors", "0-.safetensors"):
        (folder / "checkpoints" / name).touch()
    status, out, (problem,) = view(*STATUS)
    assert status == 1
    assert problem.startswith(f"unreadable: {folder}/config.yaml: is damaged (")
    assert out.startswith("3 done, 1 interrupted\n")


def test_a_folder_whose_name_is_no_text_is_one_line(outputs, view):
    sound = next(outputs.rglob("fitnet/*/*"))
    shutil.copytree(sound, sound.parent / os.fsdecode(b"\xff"))
    for options in (VIEWS["table"], VIEWS["csv"], VIEWS["bundle"], VIEWS["html"]):
        status, _, problems = view(*options)
        assert status == 1
        assert sum("the name of this folder is no text" in line for line in problems) == 1


@pytest.mark.parametrize("digest", ["/somewhere/models/production", "../../up", "0" * 8 + "/" + "0" * 7, "", 5])
def test_no_record_names_a_file_outside_of_a_bundle_s_folder(digest, outputs, view, tmp_path):
    record = make_record("Teacher", 0.9, method="teacher")
    folder = write_text(outputs, edited(record, ("run", "digest"), digest), 0)
    (folder / "network.keras").write_bytes(b"a stranger's")
    assert view("--bundle", str(tmp_path / "mine.jsonl"))[0] == 1
    assert not list(tmp_path.rglob("*.keras.*"))
    assert [path for path in tmp_path.rglob("*.keras") if outputs not in path.parents] == []


@pytest.mark.parametrize("name", ["../x", "/x", "a" * 300, "/".join("a" * 2000), "a\nb", "a\\b", "C:/x"])
def test_an_odd_folder_in_a_bundle_is_one_line_and_all_others_are_restored(name, tmp_path, capsys):
    records = make_seeds("Student", 0.7, 0.8)
    entries = [Entry(folder_of(record), [], record_document(record)) for record in records]
    write_bundle(tmp_path / "runs.jsonl", [*entries, Entry(name, [], record_document(numbered(0)))])
    restored = tmp_path / "restored"
    assert main(["--outputs", str(restored), "--unbundle", str(tmp_path / "runs.jsonl")]) == 1
    out, err = capsys.readouterr()
    assert f"{restored}: 2 runs restored" in out
    assert err.count("\n") == 1
    assert len(list(tmp_path.rglob("result.json"))) == 2


def test_a_bundle_that_unpacks_to_far_more_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("kd_bench.results.bundle._LARGEST", 1000)
    write_bundle(tmp_path / "runs.jsonl.gz", [Entry("a", [], "0" * 5000)])
    assert main(["--outputs", str(tmp_path / "runs.jsonl.gz")]) == 1
    assert "it has more than 1000 bytes" in capsys.readouterr().err


LABELS = ["=HYPERLINK(1)", "+1-2", "@SUM(A1)", "-cmd|' /C calc'!A0", "<img src=x onerror=alert(1)>"]


@pytest.mark.parametrize("label", [*LABELS, "[x](javascript:alert(1))", "</td><script>", "![x](http://evil/x.png)"])
def test_a_label_is_only_a_text(label, outputs, view):
    write_run(outputs, make_record(label, method="at"))
    for options in (["--runs", "--format", "csv"], ["--format", "csv"]):
        cells = [cell.strip('"') for line in view(*options)[1].splitlines() for cell in line.split(",")]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "-cmd"))]
    for options in ([], ["--gains"], ["--runs"], ["--plots", "plots"]):
        status, out, problems = view(*options)
        assert (status, problems) == (0, [])
        assert not any(odd in out for odd in ("<img", "<script", "](javascript", "](http"))


def test_numbers_in_csv_stay_numbers(view):
    assert "'" not in view("--gains", "--format", "csv")[1]


def test_verify_says_what_it_checked_and_what_is_missing(outputs, view):
    assert view("--verify")[2] == ["verified 6 files of 3 runs"]
    network = next(outputs.rglob("fitnet/*/*/network.keras"))
    network.unlink()
    status, _, problems = view("--verify")
    assert (status, problems) == (0, [f"missing: {network}", "verified 5 files of 3 runs, 1 missing"])
    network.write_bytes(b"other weights")
    status, _, problems = view("--verify")
    assert status == 1
    assert problems[0].startswith(f"altered: {network}")


@pytest.mark.parametrize("options", [["--verify"], [], ["--runs"], STATUS])
def test_an_empty_folder(options, tmp_path, capsys):
    status = start(tmp_path, options)
    out, err = capsys.readouterr()
    assert (status, out) == (0, "0 done\n") if options == STATUS else "no run is done yet; start one" in err


def test_one_run_is_counted_in_the_singular(outputs, view):
    assert view("--bundle", "one.jsonl", "--methods", "fitnet")[1] == "one.jsonl: 1 run\n"
    assert view("--bundle", "two.jsonl", "--methods", "student")[1] == "two.jsonl: 2 runs\n"


@pytest.mark.parametrize("options", [[], ["--verify"], ["--runs"], STATUS])
@pytest.mark.parametrize("closed", ["run", "data set", "record", "search"])
def test_what_may_not_be_read_is_named(closed, options, outputs, view, request):
    run = next(outputs.rglob("fitnet/*/*"))
    place, mode = {
        "run": (run, 0o300),
        "data set": (outputs / "digits", 0),
        "record": (run / "result.json", 0),
        "search": (run, 0o600),
    }[closed]
    place.chmod(mode)
    request.getfixturevalue("as_stranger")
    status, out, problems = view(*options)
    assert status == 1
    assert str(place) in problems[0]
    assert "(Permission denied)" in problems[0]
    assert not any("delete" in line or "start one" in line for line in problems)
    assert closed == "data set" or "Student" in out or "2 done" in out


def test_a_record_of_the_writer_can_be_read():
    record = make_record("AT", variant={"method.beta": 2**62}, fraction=1e-6, warnings=["a\nb"])
    assert parse_record(record_text(record).encode()) == record
