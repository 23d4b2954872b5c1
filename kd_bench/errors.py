"""Errors that the user can correct: one paragraph, no traceback."""


class BenchError(ValueError):
    """Something outside the code is wrong; the message says what, with which key and value, and what to do."""


class ConfigError(BenchError):
    """A config key is unknown, or its value has the wrong type or is out of range."""


class RunFailedError(BenchError):
    """A run has failed and was recorded as failed."""


class StorageError(BenchError):
    """A file cannot be written: no space or no permission."""


class DamageError(BenchError):
    """A file on disk is not what was written: it is cut short or altered, or belongs to another run."""


class DataError(BenchError):
    """A data set cannot be found, read or divided as the config asks; the message says what to do."""


class SmallMachineError(ConfigError, DataError):
    """What the config asks for does not fit into the memory or the disk of this machine; it may fit into another's."""
