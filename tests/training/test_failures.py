"""What a failed run keeps."""

import errno

from kd_bench.errors import StorageError
from kd_bench.training.callbacks import NonFiniteLossError
from kd_bench.training.failures import failure

HERE, THERE = "after stage main, step 20", "after stage main, step 40"


def test_a_bug_deletes_the_checkpoints_only_if_it_fails_twice_at_the_same_place():
    first = failure(ValueError("a bug"), HERE, None)
    assert (first.reason, first.is_bug, first.starts_over) == (f"ValueError: a bug ({HERE})", True, False)
    assert failure(ValueError("a bug"), HERE, first.reason).starts_over
    for other in (failure(ValueError("a bug"), THERE, first.reason), failure(KeyError("a bug"), HERE, first.reason)):
        assert other.is_bug and not other.starts_over


def test_a_system_error_never_deletes_the_checkpoints():
    for problem in (OSError(errno.EIO, "Input/output error", "/data/x"), MemoryError(), StorageError("/data/x: full")):
        first = failure(problem, HERE, None)
        assert not first.is_bug
        assert not failure(problem, HERE, first.reason).starts_over


def test_a_loss_that_is_no_number_deletes_the_checkpoints_at_once():
    failed = failure(NonFiniteLossError("stage main, step 3"), HERE, None)
    assert (failed.starts_over, failed.is_bug) == (True, False)
