"""What a run's process tells the command."""

import multiprocessing

from kd_bench.launch.processes import FAILED_STATUS, _reported


def test_a_run_that_fails_after_its_command_was_killed_ends_without_a_traceback(capsys):
    reader, writer = multiprocessing.Pipe(duplex=False)
    reader.close()
    assert _reported("a reason", FAILED_STATUS, writer) == FAILED_STATUS
    assert capsys.readouterr().err == "error: a reason\n"
