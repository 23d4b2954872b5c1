"""No room, no rights: one paragraph that names the place; earlier files stay, the failure is recorded if it can be."""

import json
import resource
import shutil
import subprocess
import sys

from helpers.command import ROOT, SHORT, records, run
from helpers.kills import attempt
from helpers.storage import assert_one_paragraph, mounted


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_full_disk(tmp_path):
    assert attempt(["method=student", *SHORT, f"outputs={tmp_path}/elsewhere"]) == 0
    with mounted(tmp_path / "small", "size=1500k"):
        outputs = tmp_path / "small" / "outputs"
        shutil.copytree(tmp_path / "elsewhere", outputs)
        before = content(outputs)
        # The teacher's checkpoint is larger than what is left; the student's is not.
        failed = run("method=soft_logits", *SHORT, outputs=outputs)
        assert failed.returncode == 1
        assert "No space left on device. Free some space there" in failed.stderr
        assert "checkpoints" in failed.stderr
        assert {path: text for path, text in content(outputs).items() if path in before} == before
        assert not list(outputs.rglob("*.tmp"))
        found = records(outputs)
        assert found["teacher", 1.0, 0]["status"] == "failed"
        assert "No space left on device" in found["teacher", 1.0, 0]["reason"]
        assert "its teacher" in found["soft_logits", 1.0, 0]["reason"]
        subprocess.run(["mount", "-o", "remount,size=20m", tmp_path / "small"], check=True)
        again = run("method=soft_logits", *SHORT, outputs=outputs)
        assert again.returncode == 0, again.stderr
        assert "1 run: 0 done before, 1 to do (1 failed before)" in again.stdout


def test_a_file_that_may_not_grow(tmp_path):
    """The same without root's rights: what is written ends at a limit of the process's."""
    command = [sys.executable, ROOT / "run.py", "method=teacher", *SHORT, f"outputs={tmp_path}"]
    limit = 500_000
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert done.returncode == 1
    assert_one_paragraph(done)
    assert "File too large" in done.stderr
    assert records(tmp_path)["teacher", 1.0, 0]["status"] == "failed"
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_read_only_outputs(tmp_path):
    with mounted(tmp_path / "outputs", "ro"):
        done = run("method=student", *SHORT, outputs=tmp_path / "outputs")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        f"error: {tmp_path}/outputs: cannot be written: Read-only file system. "
        "Make it writable, or set outputs= to a writable folder.\n"
    )


def test_outputs_that_is_a_file(tmp_path):
    (tmp_path / "outputs").write_text("mine")
    done = run("method=student", *SHORT, outputs=tmp_path / "outputs")
    assert done.returncode == 2
    assert_one_paragraph(done)
    assert (tmp_path / "outputs").read_text() == "mine"


def test_a_loss_that_is_no_number(tmp_path):
    done = run("method=fitnet", "optimizer.learning_rate=1e30", *SHORT, outputs=tmp_path)
    assert done.returncode == 1
    assert_one_paragraph(done)
    (record,) = (record for (method, _, _), record in records(tmp_path).items() if method == "fitnet")
    assert record["status"] == "failed"
    assert "digits fitnet" in done.stderr
    assert "stage hint, step " in record["reason"] and "the loss hint is not finite" in record["reason"]
    step = int(record["reason"].partition("step ")[2].partition(":")[0])
    assert 1 <= step <= 20
    assert not list(tmp_path.rglob("fitnet/**/*.safetensors"))
    json.loads(next(tmp_path.glob("digits/tiny/fitnet/*/*/result.json")).read_text())
