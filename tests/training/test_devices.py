"""A device for each job, by names instead of real GPUs."""

import json
import multiprocessing
import os
import signal
import tempfile
import time

import pytest

from kd_bench.training import devices

SPAWN = multiprocessing.get_context("spawn")


def claim_and_hold(folder, names, count, jobs_per_device):
    tempfile.tempdir = str(folder)
    claimed = devices.claim(names, count, jobs_per_device)
    (folder / f"{os.getpid()}.half").write_text(json.dumps([os.getpid(), claimed]))
    (folder / f"{os.getpid()}.half").rename(folder / f"{os.getpid()}.claim")
    signal.pause()


class Jobs:
    """Processes that claim devices and hold them until they are killed."""

    def __init__(self, folder):
        self.folder = folder
        self.started = []

    def start(self, names, count=1, jobs_per_device=1):
        process = SPAWN.Process(target=claim_and_hold, args=(self.folder, names, count, jobs_per_device))
        process.start()
        self.started.append(process)

    def next_claim(self, seconds=60):
        """Returns the process and the places of a claim; None if there is no new one."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for path in self.folder.glob("*.claim"):
                claim = json.loads(path.read_text())
                path.unlink()
                return claim
            time.sleep(0.05)
        return None

    def end(self):
        for process in self.started:
            process.kill()
            process.join()


@pytest.fixture
def jobs(tmp_path):
    made = Jobs(tmp_path)
    yield made
    made.end()


def test_each_job_has_a_device_and_the_next_one_waits(jobs):
    for _ in range(3):
        jobs.start(["0", "1"])
    (first, one), (_, other) = jobs.next_claim(), jobs.next_claim()
    assert sorted([one, other]) == [[0], [1]]
    assert jobs.next_claim(seconds=2) is None
    os.kill(first, signal.SIGKILL)  # a lock dies with its holder
    assert jobs.next_claim()[1] == one


def test_jobs_share_a_device_if_they_may_and_empty_ones_come_first(jobs):
    places = []
    for _ in range(4):
        jobs.start(["0", "1"], jobs_per_device=2)
        places.append(jobs.next_claim()[1])
    assert places == [[0], [1], [0], [1]]


def test_jobs_that_need_several_devices_do_not_block_each_other(jobs):
    for _ in range(3):
        jobs.start(["0", "1", "2"], count=2)
    for _ in range(3):
        process, places = jobs.next_claim()
        assert len(places) == 2
        os.kill(process, signal.SIGKILL)


def test_a_process_that_claims_again_gives_back_what_it_had(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert devices.claim(["0"], 1) == devices.claim(["0"], 1) == [0]
    devices._release(devices._claimed)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ["0", "1"]),
        ({"CUDA_VISIBLE_DEVICES": "2,5"}, ["2", "5"]),
        ({"CUDA_VISIBLE_DEVICES": "5"}, ["0", "1"]),  # TensorFlow sees others: the variable was set too late
        ({"CUDA_VISIBLE_DEVICES": "0,1", "SLURM_JOB_ID": "7"}, ["job-7-0", "job-7-1"]),
    ],
)
def test_a_device_has_one_name_for_all_processes(environment, expected, monkeypatch):
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert devices.gpu_names(2) == expected
