"""What a finished run leaves, without a process and without training."""

from dataclasses import replace

import numpy as np

from kd_bench.config.compose import jobs
from kd_bench.runs.folder import RunFolder
from kd_bench.runs.outcome import record_done, setting
from kd_bench.runs.record import Cost, Scores, write_record


def config_of(outputs, *arguments):
    (config,) = jobs([*arguments, f"outputs={outputs}"])
    return config


def finish(config, **changes):
    """Writes what a finished run leaves, and returns its folder."""
    folder = RunFolder(config.directory)
    folder.make()
    folder.config.write_text("seed: 0\n")
    folder.metrics.write_text('{"epoch": 1}\n')
    folder.network.write_bytes(b"a network")
    folder.save_predictions(np.arange(5))
    record = record_done(
        config,
        scores=Scores(last_accuracy=0.9),
        cost=Cost(steps={"main": 1}),
        setting=replace(setting(config, "float32", 1), **changes),
        files=folder.checksums(),
    )
    write_record(folder.record, record)
    return folder
