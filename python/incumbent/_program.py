"""The command that the wheel brings."""

from __future__ import annotations

import shutil
import sysconfig
from pathlib import Path

from .errors import ConfigError


def path() -> str:
    """Where the command is: beside this interpreter, or else on the path."""
    installed = Path(sysconfig.get_path("scripts"), "incumbent")
    if installed.exists():
        return str(installed)
    found = shutil.which("incumbent")
    if found is None:
        raise ConfigError(f"the command incumbent is neither at {installed} nor on the PATH")
    return found
