"""The page of `aggregate.py --html`: its content, and what it does in a real browser."""

import json
import re

import pytest
from helpers.browser import Browser, needs_chromium
from helpers.records import make_record, make_seeds, write_run

from kd_bench.results.command import main
from kd_bench.results.frame import read_runs
from kd_bench.results.render import grid
from kd_bench.results.report import make_page
from kd_bench.results.table import build_tables

ACCURACIES = {"Student": (0.90, 0.91, 0.92), "FitNet": (0.95, 0.96, 0.97), "AT": (0.2, 0.6, 0.7)}
HOSTILE = "</script><img src=x onerror=alert(1)>"
SUBJECT = "digits, wrn_16_2_wrn_10_1"
AT = "#digits%2C%20wrn_16_2_wrn_10_1/AT/0.1"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Three methods at two fractions, one failed run, and a second table with a hostile name."""
    folder = tmp_path_factory.mktemp("outputs")
    records = [
        record
        for fraction in (1.0, 0.1)
        for label, accuracies in ACCURACIES.items()
        for record in make_seeds(label, *accuracies, fraction=fraction)
    ]
    records += [make_record("CO", failed="loss is not finite"), make_record("Teacher", method="teacher")]
    records += make_seeds("RKD", 0.5, 0.6, dataset="other", experiment=HOSTILE)
    for record in records:
        write_run(folder, record, curve=[0.5, 0.7, record.scores.last_accuracy or 0.0])
    return folder


@pytest.fixture(scope="module")
def tables(outputs):
    return build_tables(read_runs([outputs]).frame)


@pytest.fixture(scope="module")
def page(tables):
    return make_page(tables)


@pytest.fixture(scope="module")
def browser():
    with Browser() as opened:
        yield opened


@pytest.fixture
def look(page, browser, tmp_path):
    """Evaluates a script in the page; nothing may go wrong in it."""
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")

    def look(script, address="", width=1200):
        value, wrong = browser.evaluate(f"{path.as_uri()}{address}", script, width)
        assert wrong == []
        return value

    return look


def content(page):
    return json.loads(re.search(r'id="content">(.*?)</script>', page, flags=re.DOTALL)[1])


def test_each_cell_leads_to_its_runs(page, tables):
    document = content(page)
    (table,) = [one for one in document["tables"] if one["subject"] == SUBJECT]
    assert table["fractions"] == [1.0, 0.1]
    facts = document["facts"]

    def fact(name, run):
        return facts[name]["values"][facts[name]["codes"][run]]

    full, tenth = table["runs"]["AT"]
    assert [fact("seed", run) for run in tenth] == ["0", "1", "2"]
    assert {fact("label", run) for run in full + tenth} == {"AT"}
    assert {fact("fraction", run) for run in tenth} == {"0.1"}
    assert [fact("config.optimizer.learning_rate", run) for run in tenth] == ["0.1"] * 3
    assert document["curves"][tenth[1]] == [[1, 50.0], [2, 70.0], [3, 60.0]]
    assert table["runs"]["Teacher"][1] == []
    assert [fact("reason", run) for run in table["runs"]["CO"][0]] == ["loss is not finite"]


def test_a_run_that_two_tables_show_is_there_once(tables):
    once, twice = content(make_page(tables)), content(make_page([*tables, *tables]))
    assert twice["curves"] == once["curves"]
    assert twice["tables"] == 2 * once["tables"]


def test_the_command_writes_the_page_with_its_filters(outputs, tmp_path, capsys):
    path = tmp_path / "new" / "report.html"
    assert main(["--outputs", str(outputs), "--html", str(path), "--methods", "at"]) == 1  # one run failed
    assert capsys.readouterr().out == f"{path}\n"
    (table,) = content(path.read_text(encoding="utf-8"))["tables"]
    assert [line[0] for line in table["views"]["Accuracy"]["lines"]] == ["AT"]


@pytest.mark.parametrize("other", [["--format", "csv"], ["--plots", "pictures"], ["--runs"]])
def test_another_form_beside_the_page_is_refused(outputs, tmp_path, other, capsys):
    path = tmp_path / "report.html"
    with pytest.raises(SystemExit):
        main(["--outputs", str(outputs), "--html", str(path), *other])
    assert "--html" in capsys.readouterr().err
    assert not path.exists()


@needs_chromium
def test_the_page_shows_the_tables_of_the_command(look, tables):
    found = look("return all('main section').map((one) => [one.id, texts(`[id='${one.id}'] tbody tr > *`)])")
    assert [[name, cells] for name, cells in found] == [
        [f"{table.dataset}, {table.model}", [text for line in grid(table)[1] for text in line]] for table in tables
    ]


@needs_chromium
def test_nothing_is_fetched(look):
    assert (
        look("await wait(() => all('svg.marks').length); return performance.getEntriesByType('resource').length") == 0
    )


@needs_chromium
def test_a_column_sorts_by_number_and_back(look):
    first, second, names = look("""
        const line = () => texts("main section:first-child tbody th");
        all("main section:first-child thead button")[1].click();
        const first = line();
        all("main section:first-child thead button")[1].click();
        const second = line();
        all("main section:first-child thead button")[0].click();
        return [first, second, line()];""")
    assert first == ["Teacher", "FitNet", "Student", "AT", "CO"] or first == [
        "FitNet",
        "Student",
        "Teacher",
        "AT",
        "CO",
    ]
    assert second == [*first[:-1][::-1], "CO"]  # a failed run has no number
    assert names == ["AT", "CO", "FitNet", "Student", "Teacher"]


@needs_chromium
def test_the_filter_holds_when_the_view_changes(look):
    script = """
        const filter = all("main section:first-child input")[0];
        filter.value = " fit"; filter.oninput();
        const accuracy = texts("main section:first-child tbody tr > *");
        const views = all("main section:first-child select")[0];
        views.selectedIndex = 1; views.onchange();
        const gain = texts("main section:first-child tbody tr > *");
        return [accuracy, gain, texts("main section:first-child .captions p")];"""
    accuracy, gain, captions = look(script)
    assert accuracy[0] == gain[0] == "FitNet"
    assert accuracy[1].startswith("96.00 ± 1.00 (3)")
    assert gain[1].startswith("+5.00 [")
    assert captions[0].startswith("A cell is the gain in accuracy over the Student")


@needs_chromium
def test_a_click_on_a_cell_shows_its_runs_their_curves_and_config(look):
    heading, seeds, curves, facts, address, after = look(f"""
        all("a[href='{AT}']")[0].click();
        await wait(() => all("dialog[open] svg.marks").length);
        all("dialog > div > details > summary")[0].click();
        await wait(() => texts("dialog dd").length);
        const shown = [texts("dialog h2")[0], texts("dialog tbody td:first-child"), all("dialog svg path").length > 3,
          texts("dialog dl > *"), location.hash];
        all("dialog button")[0].click();
        await wait(() => !location.hash);
        return [...shown, all("dialog[open]").length];""")
    assert heading == f"AT, 10 % of the training images ({SUBJECT})"
    assert seeds == ["0", "1", "2"]
    assert curves
    named = dict(zip(facts[::2], facts[1::2], strict=True))
    assert named["config.method.name"] == "at"
    assert named["revision"] == "0f3c" * 10
    assert named["seed"] == "0 · 1 · 2"
    assert address == AT
    assert after == 0


@needs_chromium
def test_a_link_to_a_cell_opens_it(look):
    assert look("return texts('dialog[open] tbody td:first-child')", address=AT) == ["0", "1", "2"]


@needs_chromium
@pytest.mark.parametrize("address", ["#nothing", "#digits%2C%20wrn_16_2_wrn_10_1/AT/0.3", "#%"])
def test_a_link_to_nothing_opens_nothing(look, address):
    assert look("return [all('dialog[open]').length, all('main section').length]", address=address) == [0, 2]


@needs_chromium
def test_the_pictures_are_drawn_when_they_are_near(look):
    script = """
        const before = all("svg.marks").length;
        for (const place of all(".picture")) await picture(place);
        return [before, all(".picture").length, all("svg.marks").length];"""
    before, places, after = look(script, width=390)
    assert before < places == after == 4


@needs_chromium
def test_a_phone_scrolls_tables_and_pictures_but_not_the_page(look):
    script = "await picture(all('.picture')[0]); return [innerWidth, document.documentElement.scrollWidth];"
    for width in (1200, 390):
        inner, needed = look(script, width=width)
        assert inner == width
        assert needed <= width


@needs_chromium
def test_names_are_texts_and_never_markup(look):
    name, images = look("""
        all("main section:last-child td a")[0].click();
        await wait(() => all("dialog > div > details > summary").length);
        all("dialog > div > details > summary")[0].click();
        await wait(() => texts("dialog dd").length);
        return [texts("dialog dd").filter((text) => text.includes("script")), all("img").length];""")
    assert name == [HOSTILE]
    assert images == 0
