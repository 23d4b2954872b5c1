"""A sweep's memory does not grow from run to run, and no run depends on those before it."""

import json

from helpers.command import SHORT, records, run

SWEEP = ["-m", "method=student", "epochs=1", "fraction=0.1", "hardware=cpu", "deterministic=true", "seed=range(0,12)"]


def test_the_runs_of_a_sweep_take_as_much_as_its_first(tmp_path):
    done = run(*SWEEP, outputs=tmp_path)
    assert done.returncode == 0, done.stderr
    found = {seed: record for (_, _, seed), record in records(tmp_path).items()}
    peaks = [found[seed]["cost"]["peak_memory_bytes"] / 2**20 for seed in sorted(found)]
    print("peak resident set of the runs, in MiB:", " ".join(f"{peak:.0f}" for peak in peaks))
    assert len(peaks) == 12
    assert max(peaks[-4:]) < 1.05 * max(peaks[:4])


def test_a_run_is_the_same_alone_and_in_a_sweep(tmp_path):
    arguments = ["method=student", *SHORT, "deterministic=true"]
    assert (
        run("-m", *arguments, "seed=0,1", "precision=mixed_bfloat16,float32", outputs=tmp_path / "sweep").returncode
        == 0
    )
    assert run(*arguments, "seed=1", "precision=float32", outputs=tmp_path / "alone").returncode == 0
    (alone,) = tmp_path.glob("alone/digits/tiny/student/*/*/predictions.npy")
    swept = tmp_path / "sweep" / alone.relative_to(tmp_path / "alone")
    assert swept.read_bytes() == alone.read_bytes()
    scores = [json.loads((path.parent / "result.json").read_text())["scores"] for path in (alone, swept)]
    assert scores[0] == scores[1]
