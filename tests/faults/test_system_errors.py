"""A failure of the system is one paragraph and loses nothing; a failure of the code is tried once more."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from helpers.command import ROOT, records, run
from helpers.compare import attempts
from helpers.kills import attempt
from helpers.storage import assert_one_paragraph, mounted

RUN = ["method=student", "epochs=1", "fraction=0.1", "hardware=cpu"]


def reason(outputs):
    (record,) = records(outputs).values()
    assert record["status"] == "failed"
    return record["reason"]


def checkpoints(outputs):
    return sorted(path.name.rpartition("-")[0] for path in outputs.rglob("*.safetensors"))


def test_a_full_temporary_folder_is_named_and_nothing_is_trained_again(tmp_path):
    # The path of a socket must be short.
    with tempfile.TemporaryDirectory(dir="/tmp") as top, mounted(small := Path(top, "small"), "size=40k"):
        failed = run(*RUN, outputs=tmp_path / "outputs", env=os.environ | {"TMPDIR": str(small)})
    assert failed.returncode == 1
    assert_one_paragraph(failed)
    assert f"failed: {small}: cannot be written: No space left on device." in failed.stderr
    assert "TMPDIR" in failed.stderr
    assert checkpoints(tmp_path) == ["000001-main-20"]
    assert attempt([*RUN, f"outputs={tmp_path}/outputs"]) == 0
    (folder,) = (tmp_path / "outputs").glob("digits/tiny/student/*/*")
    assert attempts(folder)[-1] == ("main", 20)


def test_a_temporary_folder_with_a_long_path_is_named(tmp_path):
    place = tmp_path / ("long" * 20)
    place.mkdir()
    failed = run(*RUN, outputs=tmp_path / "outputs", env=os.environ | {"TMPDIR": str(place)})
    assert failed.returncode == 1
    assert_one_paragraph(failed)
    assert f"{place}: its path is too long" in failed.stderr


def write_method(folder, error):
    """Writes a method that fails in its second epoch; returns its choice and an environment that finds it."""
    (folder / "conf/method").mkdir(parents=True, exist_ok=True)
    (folder / "conf/method/mine.yaml").write_text("_target_: mine.Mine\nname: mine\nlabel: Mine\n")
    (folder / "mine.py").write_text(
        "import tensorflow as tf\n"
        "from kd_bench.distillers.student import Student\n"
        "class Mine(Student):\n"
        "    def task_loss(self, batch):\n"
        "        tf.numpy_function(self.fail, [self.optimizer.iterations], [])\n"
        "        return super().task_loss(batch)\n"
        "    def fail(self, step):\n"
        "        if step == 25:\n"
        f"            raise {error}\n"
    )
    search = f"hydra.searchpath=[file://{folder}/conf]"
    return [search, "method=mine", "epochs=2", *RUN[2:]], os.environ | {"PYTHONPATH": str(folder)}


def test_lost_data_cost_no_checkpoint(tmp_path):
    command, environment = write_method(tmp_path, "OSError(116, 'Stale file handle', '/data/images.npy')")
    for _ in range(2):
        failed = run(*command, outputs=tmp_path / "outputs", env=environment)
        assert failed.returncode == 1
        assert_one_paragraph(failed)
        assert "/data/images.npy: Stale file handle. Check the disk" in failed.stderr
        assert checkpoints(tmp_path) == ["000001-main-20"]


def test_code_that_fails_twice_at_the_same_place_loses_its_checkpoints(tmp_path):
    command, environment = write_method(tmp_path, "ValueError('a bug')")
    failed = run(*command, outputs=tmp_path / "outputs", env=environment)
    assert failed.returncode == 1
    assert "Traceback" in failed.stderr and "in fail" in failed.stderr
    assert reason(tmp_path) == "InvalidArgumentError: ValueError: a bug (after stage main, step 20)"
    assert "The same command tries again from there" in failed.stderr
    assert checkpoints(tmp_path) == ["000001-main-20"]
    again = run(*command, outputs=tmp_path / "outputs", env=environment)
    assert again.returncode == 1
    assert "goes on from stage main, step 20" in again.stdout
    assert "It failed there twice, so its checkpoints were deleted" in again.stderr
    assert checkpoints(tmp_path) == []


CRASHES = [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL]


def test_a_process_that_dies_by_a_signal_says_what_the_signal_means(tmp_path):
    """Each run sends its process the signal with the number of its seed."""
    seeds = [signal.SIGKILL, *CRASHES, signal.SIGXCPU]
    sweep = ["-m", *RUN, f"seed={','.join(str(int(one)) for one in seeds)}"]
    callback = ["+callbacks.own._target_=helpers.observers.Signal", "+callbacks.own.number=${seed}"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests")}
    done = run(*sweep, *callback, outputs=tmp_path, env=environment)
    assert done.returncode == 1
    reasons = {record["run"]["seed"]: record["reason"] for record in records(tmp_path).values()}
    assert all(reasons[one].startswith(f"{one.name} ended its process") for one in seeds)
    assert [one for one in seeds if "memory" in reasons[one]] == [signal.SIGKILL]
    assert [one for one in seeds if "TF_ENABLE_ONEDNN_OPTS=0" in reasons[one]] == CRASHES


def test_too_little_memory_to_load_tensorflow_is_one_paragraph(tmp_path):
    limited = ["bash", "-c", 'ulimit -v 1500000; exec "$@"', "bash"]
    command = [*limited, sys.executable, ROOT / "run.py", *RUN, f"outputs={tmp_path}"]
    failed = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert failed.returncode == 1
    assert_one_paragraph(failed)
    assert failed.stderr.count("\n") == 1
    assert "ulimit -v is 1500000 kB" in failed.stderr
    assert reason(tmp_path).startswith("its process cannot be started")
