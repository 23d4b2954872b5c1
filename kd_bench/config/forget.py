"""Forgets what was read from files. A notebook may change a method or a data set between two runs."""

import sys


def forget() -> None:
    """Clears the caches of all modules of this package."""
    for name, module in sys.modules.items():
        if name.startswith(f"{__package__}."):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()
