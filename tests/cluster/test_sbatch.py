"""Plain `sbatch` with the script that docs/cluster.md recommends: signals, requeueing, arrays."""

import subprocess

import pytest
from helpers.command import ROOT, SHORT, records, wait_for, wait_until

RUN = "digits/tiny/student/*/seed=0-*"
LONG = ["method=student", "epochs=80", "hardware=cpu", "checkpoint_every=1000000"]


@pytest.fixture
def submit(cluster, tmp_path):
    """Submits docs/slurm.sh and returns the job's id."""

    def submitted(*arguments, options=()):
        command = ["sbatch", "--parsable", f"--output={tmp_path}/log", *options, "docs/slurm.sh", *arguments]
        command.append(f"outputs={tmp_path}")
        return subprocess.run(command, cwd=ROOT, env=cluster, capture_output=True, text=True, check=True).stdout.strip()

    return submitted


def wait_for_the_end(cluster):
    wait_until(lambda: not subprocess.run(["squeue", "--noheader"], env=cluster, capture_output=True).stdout)


def test_a_job_saves_and_goes_on_after_a_time_limit_and_a_pre_emption(cluster, tmp_path, submit):
    job, log = submit(*LONG), tmp_path / "log"
    wait_for(tmp_path, f"{RUN}/metrics.jsonl")
    subprocess.run(["scancel", "--signal=USR1", job], env=cluster, check=True)  # as before the time limit
    wait_until(lambda: "goes on from stage main, step " in log.read_text())
    subprocess.run(["scontrol", "requeue", job], env=cluster, check=True)
    wait_for_the_end(cluster)
    assert [record["status"] for record in records(tmp_path).values()] == ["done"], log.read_text()
    assert log.read_text().count("goes on from stage main, step ") == 2
    assert "the same command continues" in log.read_text() and "Traceback" not in log.read_text()


def test_the_tasks_of_an_array_share_the_runs_of_one_sweep(cluster, tmp_path, submit):
    submit("-m", "method=student,soft_logits", "seed=0,1", *SHORT, options=["--array=1-2"])
    wait_for_the_end(cluster)
    log = (tmp_path / "log").read_text()
    starts = [line for line in log.splitlines() if line.endswith(": starts")]
    assert len(starts) == len(set(starts)) == 5, log
    assert {record["status"] for record in records(tmp_path).values()} == {"done"}
    assert len(records(tmp_path)) == 5
