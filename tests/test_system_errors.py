"""What counts as a failure of the system, with the errors that Python and TensorFlow raise."""

import errno

import numpy as np
import pytest
import tensorflow as tf

from kd_bench.system_errors import headline, system_error


def raised(function):
    with pytest.raises(Exception) as caught:
        function()
    return caught.value


def mapped(error):
    """Returns TensorFlow's error for an error of a Python function that it calls."""

    def fail(_):
        raise error

    read = tf.data.Dataset.range(1).map(lambda number: tf.numpy_function(fail, [number], tf.uint8))
    return raised(lambda: next(iter(read)))


@pytest.mark.parametrize(
    ("problem", "cause", "remedy"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/data/x"), "/data/x: No space", "Free some space"),
        (OSError(errno.ESTALE, "Stale file handle", b"/data/x"), "/data/x: Stale", "network file system"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files. ", "ulimit -n"),
        (MemoryError("Unable to allocate 3 GiB"), "the memory is full (Unable to allocate 3 GiB)", "batch_size"),
        (RuntimeError("can't start new thread"), "no thread", "ulimit -u"),
        (tf.errors.InternalError(None, None, "CUDA_ERROR_LAUNCH_FAILED"), "device", "batch_size"),
        (tf.errors.UnavailableError(None, None, "connection reset"), "(connection reset)", "connection"),
    ],
)
def test_a_system_error_has_a_cause_and_a_remedy(problem, cause, remedy):
    text = system_error(problem)
    assert cause in text and remedy in text and "\n" not in text


def test_tensorflow_names_the_files_that_it_cannot_use():
    lost = raised(lambda: tf.io.read_file("/nowhere/a b"))
    assert system_error(lost).startswith("/nowhere/a b: No such file or directory. Put it back")
    full = raised(lambda: tf.io.write_file("/dev/full", "x" * 10000))
    assert system_error(full).startswith("/dev/full: No space left on device. Free some space")
    stale = mapped(OSError(errno.ESTALE, "Stale file handle", "/data/images.npy"))
    assert system_error(stale).startswith("/data/images.npy: Stale file handle. Check the disk")


def test_a_tensor_that_does_not_fit_is_no_bug():
    large = tf.function(lambda size: tf.zeros((size, size, size)))
    text = system_error(raised(lambda: large(tf.constant(10**6))))
    assert "OOM when allocating tensor" in text and "\n" not in text


@pytest.mark.parametrize(
    "problem",
    [
        ValueError("a bug"),
        OSError("what a library says"),
        RuntimeError("a bug"),
        tf.errors.InternalError(None, None, "an assertion"),
        tf.errors.InvalidArgumentError(None, None, "shapes"),
    ],
)
def test_a_bug_is_no_system_error(problem):
    assert system_error(problem) is None


def test_the_headline_of_an_error_is_the_same_each_time():
    assert headline(ValueError(f"what {object()} is\nmore")) == "what <object object> is"
    assert headline(mapped(ValueError("a bug"))) == "ValueError: a bug"
    product = tf.function(lambda size: tf.linalg.matmul(tf.zeros((2, size)), tf.zeros((2, np.int32(3)))))
    assert headline(raised(lambda: product(tf.constant(3)))).startswith("Matrix size-incompatible")
    assert headline(ValueError()) == ""
