"""What the server of `own_process` imports before it forks."""

from kd_bench.quiet import starting_quietly

with starting_quietly():
    from kd_bench import experiment  # noqa: F401
