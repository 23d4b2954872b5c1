"""Durations in words, for estimates."""

_UNITS = ((86400.0, "days"), (3600.0, "h"), (60.0, "min"))
_AT_LEAST = 1.5
"""A unit is used from this number of it on."""
_ROUND = 10
"""Numbers below have a decimal."""


def format_duration(seconds: float) -> str:
    """Returns a duration with one unit, such as `about 40 min`."""
    for size, unit in _UNITS:
        if (number := seconds / size) >= _AT_LEAST:
            return f"about {round(number, 1 if number < _ROUND else None):g} {unit}"
    return f"about {max(round(seconds), 1)} s"
