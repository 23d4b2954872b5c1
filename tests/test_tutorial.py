"""The notebook is executed in an empty folder and shows what is stored in it, numbers aside."""

import re

import nbformat
from helpers.command import ROOT
from nbclient import NotebookClient

TUTORIAL = ROOT / "docs/tutorial.ipynb"


def shown(notebook):
    """Returns what each code cell shows: words of the text, rows of tables, kinds of everything else."""
    return [
        [
            _words(cell.outputs),
            _rows(cell.outputs),
            [sorted(output.data) for output in cell.outputs if "data" in output],
        ]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def _words(outputs):
    return re.findall(r"[a-z_]{2,}", "".join(output.text for output in outputs if output.output_type == "stream"))


def _rows(outputs):
    tables = [output.data.get("text/markdown", "") for output in outputs if "data" in output]
    return re.findall(r"^\| ([^|]*?) *\|", "\n".join(tables), re.MULTILINE)


def test_the_tutorial_shows_what_it_did_when_it_was_stored(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # with it, Jupyter's kernel does not show what the runs' processes print
    stored = nbformat.read(TUTORIAL, as_version=4)
    executed = nbformat.read(TUTORIAL, as_version=4)
    NotebookClient(executed, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert shown(executed) == shown(stored)
    assert "Soft_logits (temperature=2)" in str(shown(stored))
