"""Where the package is: in its repository, or installed from a wheel, which contains `conf` as `kd_bench/conf`."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent

ROOT = _PACKAGE.parent
"""The folder from which Python imports the package: the repository, or `site-packages`."""
INSTALLED = (_PACKAGE / "conf").is_dir()
REPOSITORY = None if INSTALLED else ROOT
CONF = (_PACKAGE if INSTALLED else ROOT) / "conf"
"""The folder of the config files."""

_SCRIPTS = {"run": "run.py", "table": "aggregate.py", "tune": "tune.py", "export": "-m kd_bench.export"}


def program(command: str) -> str:
    """Returns how a user starts a command here: `python run.py` in the repository, `kd-bench run` if installed."""
    return f"kd-bench {command}" if INSTALLED else f"python {_SCRIPTS[command]}"
