"""What a terminal shows of runs."""

from kd_bench.results.status import Status, Unfinished
from kd_bench.results.status_text import render_status
from kd_bench.runs.lock import Holder
from kd_bench.runs.progress import Progress

AT = Progress("main", 12, 40, over=12, left=28, seconds=2.0)


def test_a_run_is_two_lines_and_who_ends_first_is_first():
    status = Status(
        done=118,
        running=[
            Unfinished("later", Holder("node1", 42), None, None, silent=3.0),
            Unfinished("digits at", Holder("node2", 43), AT, None, silent=1.0),
        ],
        interrupted=[
            Unfinished("digits fsp", None, AT, ("main", 240), 99.0),
            Unfinished("new", None, None, None, 99.0),
        ],
        failed=[("digits ab", "loss is NaN")],
    )
    assert render_status(status) == (
        "118 done, 2 running, 2 interrupted, 1 failed\n"
        "\n"
        "running:\n"
        "  digits at\n"
        "    main 12/40             2.00 s/epoch    00:55 left   node2:43\n"
        "  later\n"
        "    in its first epoch                  00:03 since start   node1:42\n"
        "\n"
        "interrupted; the same command goes on:\n"
        "  digits fsp\n"
        "    main 12/40             goes on from stage main, step 240\n"
        "  new\n"
        "    no epoch done          goes on from its start: no checkpoint\n"
        "\n"
        "failed; the same command tries again:\n"
        "  digits ab\n"
        "    loss is NaN"
    )


def test_lines_fit_the_terminal_and_paths_stay_whole():
    path = "/data/outputs/" + "x" * 90
    status = Status(failed=[("digits at", f"{'a reason of many words ' * 9}\n{path}")])
    lines = render_status(status, width=60).splitlines()
    assert f"    {path}" in lines
    assert max(len(line) for line in lines if path not in line) <= 60


def test_done_alone_is_one_line():
    assert render_status(Status(done=3)) == "3 done"
