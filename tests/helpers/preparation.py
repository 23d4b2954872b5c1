"""The preparation of a data set in a process that kills itself at a chosen moment, as a power cut would."""

import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

CHANGES = ("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.scandir", "open")
"""The events, as Python's audit hooks name them, that end one state of the folder and begin another."""

EACH_RECORDS = 400
_WRITING = os.O_WRONLY | os.O_RDWR


def moments(data_dir):
    """Prepares the digits undisturbed; returns the names of the moments that there are, in order."""
    return _apart(_prepare, str(data_dir), None, 0)


def killed_at(data_dir, number, pause=0):
    """Returns the process that prepares the digits and kills itself at the n-th moment, counted from 1."""
    process = _context().Process(target=_prepare, args=(str(data_dir), number, pause))
    process.start()
    return process


def fingerprints(*data_dirs):
    """Returns the fingerprint of the digits in each folder, as the next process loads them."""
    return _apart(_load, *map(str, data_dirs))


def _context():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kd_bench.launch.preload"])
    return context


def _apart(function, *arguments):
    with _context().Pool(1) as pool:
        return pool.apply_async(function, arguments).get(100)


def _load(*data_dirs):
    from kd_bench.data.datasets import load_dataset

    return [load_dataset("digits", padding=1, data_dir=data_dir).fingerprint for data_dir in data_dirs]


def _prepare(data_dir, number, pause):
    import tensorflow as tf

    from kd_bench.data.preparation import find_builder, prepare

    builder, passed, records, write = find_builder("digits", data_dir, None), [], [], tf.io.TFRecordWriter.write

    def reach(moment):
        passed.append(moment)
        if len(passed) == number:
            time.sleep(pause)
            os.kill(os.getpid(), signal.SIGKILL)

    def hear(event, arguments):
        if event in CHANGES and str(arguments[0]).startswith(data_dir) and (event != "open" or arguments[2] & _WRITING):
            reach(f"{event} {Path(arguments[0]).name.partition('.')[0]}")

    def write_and_count(writer, record):
        write(writer, record)
        records.append(None)
        if len(records) % EACH_RECORDS == 0:
            reach(f"record {len(records)}")

    sys.addaudithook(hear)
    tf.io.TFRecordWriter.write = write_and_count
    prepare(builder, None)
    return passed
