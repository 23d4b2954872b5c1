"""`hydra/launcher=slurm` on a real Slurm: sweeps, time limits, pre-emption, GPUs, and what the command says."""

import re
import signal
import subprocess
from pathlib import Path

import pytest
from helpers.command import SHORT, aggregate, records, run, started, wait_for, wait_until
from helpers.compare import assert_same_run, attempts

SLURM = ["-m", "hydra/launcher=slurm", "hydra.launcher.cpus_per_task=1"]
SWEEP = ["method=student,soft_logits,fitnet", "fraction=0.1", *SHORT]
ONLY_A_SIGNAL_SAVES = ["method=student", "deterministic=true", "hardware=cpu", "checkpoint_every=1000000"]
RUN = "digits/tiny/student/*/*"


def slurm(cluster, *command):
    return subprocess.run(command, env=cluster, capture_output=True, text=True, check=True).stdout


def logs(outputs):
    return [path.read_text() for path in sorted(outputs.glob(".slurm/*/*.out"))]


@pytest.fixture(scope="module")
def sweep(cluster, tmp_path_factory):
    outputs = tmp_path_factory.mktemp("sweep") / "slurm"
    gpus = ["hydra.launcher.gpus_per_node=1", "hydra.launcher.setup=[echo GPU $CUDA_VISIBLE_DEVICES]"]
    done = run(*SLURM, *gpus, *SWEEP, outputs=outputs, env=cluster, cwd=outputs.parent)  # jobs must find the package
    assert done.returncode == 0, done.stdout + done.stderr
    return outputs, done.stdout


def test_a_sweep_gives_the_local_sweeps_table(sweep):
    on_slurm, local = sweep[0], sweep[0].parent / "local"
    assert run("-m", *SWEEP, outputs=local).returncode == 0
    tables = [aggregate("--format", "csv", outputs=outputs).stdout for outputs in (on_slurm, local)]
    assert tables[0].replace(str(on_slurm), str(local)) == tables[1]
    assert "FitNet" in tables[0]


def test_a_missing_teacher_is_trained_before_the_jobs_that_need_it_are_submitted(sweep):
    outputs, printed = sweep
    assert re.findall(r"^(\d) submitted to Slurm", printed, re.MULTILINE) == ["2", "1"]
    assert "".join(logs(outputs)).count("teacher fraction=1 seed=0 epochs=2: starts") == 1


def test_each_job_is_listed_with_its_log_beside_the_runs(sweep):
    outputs, printed = sweep
    listed = re.findall(r"^job (\S+): method=.*: (\S+)$", printed, re.MULTILINE)
    assert len(listed) == 3
    assert all(f"job_id={job}," in Path(log).read_text() and outputs in Path(log).parents for job, log in listed)


def test_jobs_at_the_same_time_have_different_gpus(sweep):
    assert {text.partition("\n")[0] for text in logs(sweep[0])} == {"GPU 0", "GPU 1"}


def test_a_pre_empted_run_ends_as_an_undisturbed_one(cluster, tmp_path):
    arguments = [*ONLY_A_SIGNAL_SAVES, "epochs=80"]
    command = started(*SLURM, *arguments, outputs=tmp_path / "pre-empted", env=cluster)
    wait_for(tmp_path, f"pre-empted/{RUN}/metrics.jsonl")
    slurm(cluster, "sbatch", "--partition=urgent", "--cpus-per-task=2", "--output=/dev/null", "--wrap=sleep 2")
    assert run(*arguments, outputs=tmp_path / "undisturbed").returncode == 0
    printed, _ = command.communicate(timeout=200)
    assert command.returncode == 0, printed
    (undisturbed,), (pre_empted,) = (tmp_path.glob(f"{name}/{RUN}") for name in ("undisturbed", "pre-empted"))
    assert [step > 0 for _, step in attempts(pre_empted)] == [False, True]
    assert_same_run(undisturbed, pre_empted)


def test_a_run_goes_on_after_the_time_limit_unless_it_has_met_it_too_often(cluster, tmp_path):
    limit = ["hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=5", "hydra.launcher.max_num_timeout=1"]
    command = started(*SLURM, *limit, *ONLY_A_SIGNAL_SAVES, "epochs=100000", outputs=tmp_path, env=cluster)
    wait_until(lambda: "goes on from stage main, step " in "".join(logs(tmp_path)))
    slurm(cluster, "scancel", "--signal=USR2", f"--user={cluster.get('USER', 'root')}")  # as at the time limit
    printed, _ = command.communicate(timeout=60)
    assert command.returncode == 1
    assert "ended without a result" in printed and "Traceback" not in printed
    (log,) = logs(tmp_path)
    assert "Requeued job" in log and "timed-out too many times" in log
    assert list(tmp_path.glob(f"{RUN}/checkpoints/*.safetensors")) and records(tmp_path) == {}


def test_after_ctrl_c_the_jobs_go_on_and_a_second_command_shares_them(cluster, tmp_path):
    arguments = [*SLURM, "method=student", "seed=0,1", "epochs=40", "hardware=cpu"]
    first = started(*arguments, outputs=tmp_path, env=cluster)
    wait_for(tmp_path, f"{RUN}/metrics.jsonl")
    first.send_signal(signal.SIGINT)
    printed, _ = first.communicate(timeout=20)
    assert first.returncode == 130
    (array,) = re.findall(r"the jobs continue. scancel (\d+) ends them", printed)
    assert slurm(cluster, "squeue", "--noheader", f"--jobs={array}")
    done = run(*arguments, outputs=tmp_path, env=cluster)
    assert done.returncode == 0, done.stderr
    assert {record["status"] for record in records(tmp_path).values()} == {"done"}
    assert [text.count(": starts\n") for text in logs(tmp_path)].count(1) == len(records(tmp_path)) == 2


def test_a_cancelled_job_saves_and_is_not_queued_again(cluster, tmp_path):
    command = started(*SLURM, *ONLY_A_SIGNAL_SAVES, "epochs=100000", outputs=tmp_path, env=cluster)
    wait_for(tmp_path, f"{RUN}/metrics.jsonl")
    slurm(cluster, "scancel", f"--user={cluster.get('USER', 'root')}")
    printed, _ = command.communicate(timeout=60)
    assert command.returncode == 1
    assert "ended without a result" in printed and "Traceback" not in printed
    assert not slurm(cluster, "squeue", "--noheader")
    assert list(tmp_path.glob(f"{RUN}/checkpoints/*.safetensors"))


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ("hydra.launcher.partition=none", "partition"),
        ("hydra.launcher.partition=members", "account"),
        ("hydra.launcher.timeout_min=long", "timeout_min"),
        ("+hydra.launcher.typo=1", "typo"),
    ],
)
def test_what_slurm_refuses_is_one_line(cluster, tmp_path, wrong, named):
    done = run(*SLURM, wrong, "method=student", outputs=tmp_path, env=cluster)
    assert done.returncode == 2
    assert done.stderr.startswith("error: hydra/launcher=slurm: ") and done.stderr.count("\n") == 1, done.stderr
    assert named in done.stderr
