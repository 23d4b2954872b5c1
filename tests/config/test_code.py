"""A fingerprint changes with the code that can change a result, and with nothing else."""

import hashlib
import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kd_bench.config import code
from kd_bench.config.forget import forget

TARGET = "mine.Mine"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Makes an own method with a helper beside it importable, and returns its folder."""
    (tmp_path / "mine.py").write_text("import math\nimport helper\n\nclass Mine:\n    weight = 1\n")
    (tmp_path / "helper.py").write_text("def scale():\n    return 1\n")
    (tmp_path / "unrelated.py").write_text("X = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def fingerprint(*targets):
    forget()
    importlib.invalidate_caches()
    return code.fingerprint(targets)


@pytest.mark.parametrize(
    ("file", "old", "new"), [("mine.py", "weight = 1", "weight = 2"), ("helper.py", "return 1", "return 2")]
)
def test_a_change_of_an_own_method_or_of_what_it_imports_is_noticed(package, file, old, new):
    before = fingerprint(TARGET)
    path = package / file
    path.write_text(path.read_text().replace(old, new))
    assert fingerprint(TARGET) != before


def test_comments_docstrings_layout_and_unrelated_files_do_not_count(package):
    before = fingerprint(TARGET)
    (package / "mine.py").write_text(
        '"""Mine."""\nimport math  # why\n\n\nimport helper\n\nclass Mine:\n    """A method."""\n\n    weight = 1\n'
    )
    (package / "unrelated.py").write_text("X = 2\n")
    assert fingerprint(TARGET) == before


def test_it_is_the_same_in_every_version_of_python(package):
    """Python 3.11 and 3.12 differ in `ast.unparse`, and 3.13 in `ast.dump`, for code like this."""
    source = "def f(a, *, b=None):\n    x = f'{a!r:>9} {a[\"k\"]} \\n'\n    return [x, 1.5, ...]\n"
    (package / "mine.py").write_text(source)
    forget()
    text = code._normalised("mine")
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "21e40eed502dd3a6"


def test_a_method_does_not_depend_on_another_ones_code():
    at, ft = "kd_bench.distillers.at.AttentionTransfer", "kd_bench.distillers.ft.FactorTransfer"
    assert fingerprint(at) != fingerprint(ft)
    reached = code._reached({"kd_bench.distillers.at"})
    assert "kd_bench.distillers.base" in reached
    assert not any(module.endswith((".ft", ".results")) for module in reached)


def test_a_change_of_the_loop_is_noticed_by_every_run(tmp_path):
    """In a copy of the package: the fingerprint is of the files, wherever they are."""
    root = Path(code.__file__).parents[2]
    shutil.copytree(root / "kd_bench", tmp_path / "kd_bench", ignore=shutil.ignore_patterns("__pycache__"))
    program = "from kd_bench.config import code; print(code.fingerprint(['kd_bench.distillers.student.Student']))"

    def ask():
        asked = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return asked.stdout

    before = ask()
    results = tmp_path / "kd_bench/results/__init__.py"
    results.write_text(results.read_text() + "\nX = 1\n")
    assert ask() == before
    loop = tmp_path / "kd_bench/training/loop.py"
    loop.write_text(loop.read_text() + "\nX = 1\n")
    assert ask() != before


def test_no_library_is_imported_for_it():
    program = (
        "import sys; from kd_bench.config import code;"
        "code.fingerprint(['kd_bench.distillers.co.ComprehensiveOverhaul', 'keras.optimizers.SGD']);"
        "print(*sys.modules)"
    )
    asked = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {"tensorflow", "keras", "scipy"}.isdisjoint(asked.stdout.split())
