"""The package installed from its wheel, in a folder without anything: the commands, and runs from Python."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from helpers.command import ROOT

import kd_bench
from kd_bench.config.code import fingerprint

SUFFIXES = (".py", ".yaml", ".html", ".css", ".js")
PARTS = ("conf", "kd_bench", "hydra_plugins")
AT = "kd_bench.distillers.at.AttentionTransfer"
SCRIPT = """\
import json, os, signal, sys, threading
import kd_bench
from kd_bench.config.code import fingerprint

print("the script is executed")
assert "tensorflow" not in sys.modules
AT = "kd_bench.distillers.at.AttentionTransfer"
short = ["fraction=0.2", "epochs=1", "teacher.epochs=1"]
record = kd_bench.run(["method=mine", *short], config_dir="own")
problems = []
for overrides in (["method=at", "batch_size=100000"], ["method=student", "optimizer.learning_rate=1e30"], ["-m"]):
    try:
        kd_bench.run([*overrides, *short] if "-m" not in overrides else overrides)
    except kd_bench.errors.BenchError as problem:
        problems.append(f"{type(problem).__name__}: {problem}")
threading.Timer(2, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    kd_bench.run(["method=student", "epochs=5000"])
except KeyboardInterrupt as stop:
    problems.append(str(stop))
runs = kd_bench.load_runs()
print(json.dumps([record.run.method, record.setting.git, fingerprint([AT]), problems, sorted(runs["label"])]))
"""
METHOD = "from kd_bench.distillers.soft_logits import SoftLogits\n\n\nclass Mine(SoftLogits):\n    pass\n"
CHOICE = "defaults: [soft_logits, _self_]\n_target_: mine.Mine\nname: mine\nlabel: Mine\n"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Installs a wheel of the repository into a folder; returns the folder."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    for part in PARTS:
        shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", target]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, source], check=True)
    return target


@pytest.fixture
def run(installed, tmp_path):
    """Runs a program with the installed package in an empty folder; the first argument is a script or a command."""

    def started(program, *arguments):
        path = installed / "bin" / program if program == "kd-bench" else program
        env = os.environ | {"PYTHONPATH": str(installed)}
        return subprocess.run(
            [sys.executable, path, *arguments], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=400
        )

    return started


def test_every_module_and_config_is_in_the_wheel(installed):
    def files(root, part):
        return {path.relative_to(root / part) for path in (root / part).rglob("*.*") if path.suffix in SUFFIXES}

    for part in PARTS:
        inside = installed / "kd_bench" if part == "conf" else installed
        assert files(inside, part) - {"conf"} >= files(ROOT, part)
    assert not (installed / "conf").exists()


def test_the_command_says_what_it_does_and_checks_what_is_typed(run, tmp_path):
    assert "usage: kd-bench run [-m]" in run("kd-bench", "run", "--help").stdout
    assert "usage: kd-bench table [-h]" in run("kd-bench", "table", "--help").stdout
    assert "beta: " in run("kd-bench", "run", "--cfg", "job", "method=at").stdout
    refused = run("kd-bench", "run", "-m", "method=at,fsp", "method.temprature=3")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error: method.temprature: there is no such key.")
    unknown = run("kd-bench", "runs")
    assert (unknown.returncode, unknown.stderr) == (
        2,
        "error: runs: there is no such command. Choose one of: run, table, status, tune, export.\n",
    )
    empty = run("kd-bench", "table")
    assert empty.stderr.endswith(
        "outputs: there is no such folder or bundle; start a run: kd-bench run method=fitnet\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_the_command_finds_modules_of_the_folder_where_it_is_started(run, tmp_path):
    (tmp_path / "own/method").mkdir(parents=True)
    (tmp_path / "own/method/mine.yaml").write_text(CHOICE)
    (tmp_path / "mine.py").write_text(METHOD)
    done = run("kd-bench", "run", "--dry-run", "--config-dir=own", "method=mine")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 run: 0 done before, 1 to do." in done.stdout


def test_a_script_without_a_main_guard_gets_records_and_reasons(run, tmp_path):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)  # the user's, which did not make the runs
    (tmp_path / "own/method").mkdir(parents=True)
    (tmp_path / "own/method/mine.yaml").write_text(CHOICE)
    (tmp_path / "mine.py").write_text(METHOD)
    (tmp_path / "script.py").write_text(SCRIPT)
    done = run("script.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the script is executed") == 1
    method, git, code, (refused, failed, flag, stop), labels = json.loads(done.stdout.splitlines()[-1])
    assert (method, git) == ("mine", {"revision": None, "dirty": None})
    assert refused.startswith("ImpossibleRunsError: digits at ") and "only 259 training images" in refused
    assert failed.startswith("RunFailedError: digits student ") and "is not finite" in failed
    assert flag.startswith("ConfigError: -m: flags are for the command line")
    assert stop == "the run has saved its state; the same call continues"
    assert labels == ["Mine", "Student", "Teacher"]
    assert code == fingerprint([AT])
    assert f"Made with kd_bench {kd_bench.__version__} at an unknown revision." in run("kd-bench", "table").stdout
