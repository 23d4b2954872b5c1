"""The error of this room."""

from kd_bench.errors import BenchError


class DataError(BenchError):
    """A data set cannot be had, read or cut as the config asks; the message says what to do."""
