"""What to say about a choice that does not exist."""

import difflib
from collections.abc import Collection, Sequence

_MOST = 200
"""The most characters of a list in a message."""


def no_such_choice(line: str, kind: str, name: str, choices: Collection[str], ours: str | None) -> str:
    """Returns the message.

    Args:
        line: what the user wrote.
        kind: what was to be chosen, such as a network.
        name: the choice that does not exist.
        choices: those that exist.
        ours: what the choice is called here, if other libraries have it by this name.
    """
    near = difflib.get_close_matches(name, choices, n=1)
    hint = f" Here it is {ours}." if ours else f" Did you mean {near[0]}?" if near else ""
    return f"{line}: there is no such {kind}.{hint} Choose one of: {_listed(sorted(choices))}."


def _listed(names: Sequence[str]) -> str:
    """Returns names with commas; if they are many, the first ones and the number of all."""
    text = ", ".join(names)
    if len(text) <= _MOST:
        return text
    return f"{text[:_MOST].rpartition(', ')[0]}, ... ({len(names)}; --help lists them)"
