"""What can go wrong, as a small tree. The messages are those of the command.

::

    Error
    ├── ConfigError       an option, the stores, or another candidate's stores
    ├── NotElected
    │   ├── Held          another candidate holds it, and the call was not to wait
    │   ├── TimedOut      it was not won in time
    │   │   └── NotYet    and no other candidate holds it
    │   └── Paused        an operator has paused the election
    ├── Unreachable       too few stores answer
    ├── Denied            the stores refuse us
    ├── LeadershipLost    what was held is no longer held
    └── Forked            this process is the child of one in which elections run
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "Denied",
    "Error",
    "Forked",
    "Held",
    "LeadershipLost",
    "NotElected",
    "NotYet",
    "Paused",
    "TimedOut",
    "Unreachable",
]


class Error(Exception):
    """What all of these are. A mistake in the call itself raises `TypeError` or `RuntimeError`, as in `threading`."""


class ConfigError(Error, ValueError):
    """The election cannot be used as configured; retrying is pointless."""


class NotElected(Error):
    """The election or the lock was not won."""


class Held(NotElected):
    """Another candidate holds it, and the call was not to wait."""


class TimedOut(NotElected, TimeoutError):
    """It was not won within the time given."""


class NotYet(TimedOut):
    """It was not won within the time given, although no other candidate holds it."""


class Paused(NotElected):
    """An operator has paused the election."""


class Unreachable(Error, ConnectionError):
    """Too few stores answer for a majority."""


class Denied(Error, PermissionError):
    """The stores refuse the user name, the password or a command."""


class LeadershipLost(Error):
    """The leadership or the lock is over, and another holder may act from now on."""

    def __init__(self, message: str, fencing_token: int, reason: str) -> None:
        super().__init__(message, fencing_token, reason)
        #: The token of the leadership that is over.
        self.fencing_token = fencing_token
        #: Why, in words.
        self.reason = reason

    def __str__(self) -> str:
        return str(self.args[0])


class Forked(Error, RuntimeError):
    """A fork took the threads away that keep elections, so this child can hold nothing."""
