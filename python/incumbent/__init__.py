"""Exactly one active instance: leader election and locks over many hosts, with fencing tokens.

>>> import incumbent
>>> with incumbent.lead("billing", store="memory:example") as leadership:
...     leadership.check()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ._election import Election, Leadership, lead, run_as_leader
from ._lock import Lock, RLock, Seat, Semaphore
from ._once import once
from .errors import (
    ConfigError,
    Denied,
    Error,
    Forked,
    Held,
    LeadershipLost,
    NotElected,
    NotYet,
    Paused,
    TimedOut,
    Unreachable,
)

if TYPE_CHECKING:
    from types import ModuleType

    from . import aio

__all__ = [
    "ConfigError",
    "Denied",
    "Election",
    "Error",
    "Forked",
    "Held",
    "Leadership",
    "LeadershipLost",
    "Lock",
    "NotElected",
    "NotYet",
    "Paused",
    "RLock",
    "Seat",
    "Semaphore",
    "TimedOut",
    "Unreachable",
    "lead",
    "once",
    "run_as_leader",
]


def __getattr__(name: str) -> ModuleType:
    # Importing asyncio takes longer than all the rest.
    if name == "aio":
        return import_module(".aio", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
