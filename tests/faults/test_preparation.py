"""A preparation that is killed at any moment leaves nothing that is used: the next one makes the whole set."""

import signal
import time

import pytest
from helpers.preparation import fingerprints, killed_at, moments


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The moments of a preparation, and the fingerprint of what it prepares."""
    data_dir = tmp_path_factory.mktemp("undisturbed")
    passed = moments(data_dir)
    (fingerprint,) = fingerprints(data_dir)
    return passed, fingerprint


def test_the_moments_are_those_of_a_preparation(undisturbed):
    passed, _ = undisturbed
    assert {"record 400", "record 1600", "open features", "open dataset_info", "os.rename incomplete"} <= set(passed)
    assert passed[-1] == "os.scandir 1"  # of the folder 1.0.0, which is there now


def test_killed_at_any_moment_it_is_prepared_anew(undisturbed, tmp_path):
    passed, expected = undisturbed
    data_dirs = [tmp_path / str(number) for number in range(1, len(passed) + 1)]
    for number, data_dir in enumerate(data_dirs, start=1):
        data_dir.mkdir()
        process = killed_at(data_dir, number)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert (data_dir / "digits/1.0.0").exists() == (number == len(passed))
    assert list(zip(passed, fingerprints(*data_dirs), strict=True)) == [(moment, expected) for moment in passed]


def test_killed_again_and_again_it_is_prepared_in_the_end(undisturbed, tmp_path):
    passed, expected = undisturbed
    for number in range(len(passed) - 1, 0, -3):
        process = killed_at(tmp_path, number)
        process.join()
        assert process.exitcode == -signal.SIGKILL
    assert fingerprints(tmp_path) == [expected]


def test_who_waits_for_one_that_is_killed_prepares_it(undisturbed, tmp_path):
    passed, expected = undisturbed
    process = killed_at(tmp_path, passed.index("record 400") + 1, pause=3)
    while process.is_alive() and not list(tmp_path.glob("digits/incomplete.*")):
        time.sleep(0.01)
    assert fingerprints(tmp_path) == [expected]
    process.join()
    assert process.exitcode == -signal.SIGKILL
